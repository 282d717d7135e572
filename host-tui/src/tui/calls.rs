//! The Calls tab's state: the trace in words, what of it is shown, and what is traced.

use std::{cmp::Ordering, collections::VecDeque};

use flob_image::Place;
use flob_link::{Tracing, trace::Asked};
use flob_session::{
    TracePart,
    trace::{Call, Change, Described, Describer, Trace},
};

use super::{
    list::List,
    sieve::{Sieve, natural},
    snapshot::Snapshot,
    text,
};

/// Most rows that are kept.
const KEPT: usize = 10_000;

/// A call in words.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// When it began, in the program's time.
    pub at: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// Who asked.
    pub thread: Option<Place>,
    /// Of the kernel, and not of a service.
    pub is_kernel: bool,
    /// Everything else.
    pub described: Described,
}

/// The tab.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    trace: Trace,
    rows: VecDeque<Row>,
    /// Numbers of the rows that are shown: ascending unless they are sorted.
    shown: VecDeque<u64>,
    /// Selection among them.
    pub list: List,
    /// What is shown of them, and in which order.
    pub sieve: Sieve,
    /// What comes is kept, but what is shown stays as it is.
    pub is_frozen: bool,
    /// What is traced.
    pub tracing: Tracing,
    /// More was asked for and has not come.
    pub is_asked: bool,
    /// Why nothing comes.
    pub error: Option<String>,
}

impl Calls {
    /// The record to be asked for next.
    pub fn next(&self) -> u64 {
        self.trace.next()
    }

    /// Records that were lost before they could be read.
    pub fn lost(&self) -> u64 {
        self.trace.lost()
    }

    /// How many rows are shown.
    pub fn count(&self) -> usize {
        self.shown.len()
    }

    /// A row of those shown.
    pub fn row(&self, index: usize) -> Option<&Row> {
        self.find(*self.shown.get(index)?)
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.row(self.list.selected)
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.rows.binary_search_by_key(&number, |row| row.number).ok()
    }

    fn find(&self, number: u64) -> Option<&Row> {
        self.rows.get(self.index(number)?)
    }

    /// Records have come; `true` if there are more to be asked for.
    pub fn take(&mut self, part: TracePart, snapshot: Option<&Snapshot>) -> bool {
        self.is_asked = false;
        self.error = None;
        self.tracing = part.tracing;
        let came = !part.records.is_empty();
        let follows = self.list.selected + 1 >= self.count();
        let changes = self.trace.take(part.records, part.next);
        let short = |place| snapshot.map_or_else(|| format!("{place:#x}"), |snapshot| snapshot.short(place));
        let describer = Describer::new(snapshot.map(|snapshot| snapshot.environment.as_ref()), &short);
        for change in changes {
            match change {
                Change::Began(number) => self.add(number, &describer),
                Change::Ended(number) => self.end(number, &describer),
                Change::Restored(at) => self.end_all(at, text::CALL_UNDONE),
                Change::Restarted(at) => self.end_all(at, text::CALL_OF_LAST_RUN),
            }
        }
        if self.sieve.column.is_some() && !self.is_frozen {
            self.choose();
        } else if follows {
            self.list.selected = self.count().saturating_sub(1);
        }
        came && self.trace.next() < part.next
    }

    fn add(&mut self, number: u64, describer: &Describer<'_>) {
        let Some(call) = self.trace.call(number) else { return };
        let row = row(call, describer);
        if self.rows.len() == KEPT
            && let Some(oldest) = self.rows.pop_front()
            && self.shown.front() == Some(&oldest.number)
        {
            self.shown.pop_front();
            self.list.selected = self.list.selected.saturating_sub(1);
        }
        if !self.is_frozen && fits(&row, &self.sieve) {
            self.shown.push_back(number);
        }
        self.rows.push_back(row);
    }

    /// A call that ends keeps its row; only then it may fit the filter.
    fn end(&mut self, number: u64, describer: &Describer<'_>) {
        let Some(call) = self.trace.call(number) else { return };
        let new = row(call, describer);
        let fits = !self.is_frozen && self.sieve.column.is_none() && fits(&new, &self.sieve);
        if let Some(index) = self.index(number)
            && let Some(row) = self.rows.get_mut(index)
        {
            // Names are those of the time when it began.
            row.described.outcome = new.described.outcome;
            row.ended = new.ended;
        }
        if let (true, Err(index)) = (fits, self.shown.binary_search(&number)) {
            self.shown.insert(index, number);
        }
    }

    fn end_all(&mut self, at: u64, outcome: &str) {
        for row in self.rows.iter_mut().filter(|row| row.ended.is_none()) {
            row.ended = Some(at);
            row.described.outcome = outcome.to_owned();
        }
    }

    /// Stops what is shown, or lets it go on.
    pub fn freeze(&mut self) {
        self.is_frozen = !self.is_frozen;
        if !self.is_frozen {
            self.choose();
        }
    }

    /// Chooses anew what is shown; the selected row stays selected if it can.
    pub fn choose(&mut self) {
        let selected = self.selected().map(|row| row.number);
        let mut all: Vec<&Row> = self.rows.iter().filter(|row| fits(row, &self.sieve)).collect();
        if let Some(column) = self.sieve.column {
            all.sort_by(|one, other| self.sieve.directed(compare(column, one, other)));
        }
        self.shown = all.iter().map(|row| row.number).collect();
        if self.sieve.column.is_some() {
            let index = self.shown.iter().position(|shown| Some(*shown) == selected);
            self.list.selected = index.unwrap_or(0);
            return;
        }
        let after = selected.map(|number| self.shown.partition_point(|shown| *shown < number));
        let last = self.count().saturating_sub(1);
        self.list.selected = after.unwrap_or(last).min(last);
    }
}

fn row(call: &Call, describer: &Describer<'_>) -> Row {
    Row {
        number: call.number,
        at: call.at,
        ended: call.end.as_ref().map(|(at, _)| *at),
        thread: call.thread,
        is_kernel: matches!(call.asked, Asked::Call { .. }),
        described: describer.describe(call),
    }
}

fn fits(row: &Row, sieve: &Sieve) -> bool {
    sieve.filter.is_empty() || row.described.contains(&sieve.filter)
}

fn compare(column: usize, one: &Row, other: &Row) -> Ordering {
    // What is under way has taken longest of all.
    let took = |row: &Row| row.ended.map_or(u64::MAX, |ended| ended.saturating_sub(row.at));
    match column {
        0 => one.at.cmp(&other.at),
        1 => natural(&one.described.thread, &other.described.thread),
        2 => natural(&one.described.asked(), &other.described.asked()),
        _ => took(one).cmp(&took(other)),
    }
}

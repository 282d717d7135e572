//! The two threads of a save. The saver runs above the child, as the link does: it stops the child, has everything told, and lets it
//! go. The scribe runs at the child's own priority: it makes ready what can be made ready before, and makes a record of what was told
//! behind, while the child runs as well. So the child stands still for what has to be looked at, and for nothing else.
//!
//! A save is answered when its record is made. Until then the host may repeat its request, which changes nothing.

use alloc::vec::Vec;

use flob_checkpointer::pace::Pace;
use flob_link::{Mark, Reply, WaitKind};
use flob_runtime::{
    call,
    service::clock,
    start,
    sync::{Condition, Lock},
};

use super::failure::Outcome;
use super::record::{self, Seen};
use super::state::Nester;
use super::{requests, save};

/// Flobs after which the scribe rests.
const FLOBS: u32 = 512;

/// The epoch and the number of a request of the host's.
pub type Question = (u32, u32);

/// A save that the host wants.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Who is to be answered.
    pub question: Question,
    /// The moment to wait for.
    pub when: Option<WaitKind>,
    /// Only what has changed since then.
    pub since: Option<Mark>,
}

/// What the host, the saver and the scribe hand to each other.
pub struct Tray {
    inside: Lock<Inside>,
    for_saver: Condition,
    for_scribe: Condition,
}

#[derive(Default)]
struct Inside {
    /// An order that has come.
    wanted: Option<Order>,
    /// One that everything has been made ready for.
    order: Option<Order>,
    draft: Option<Draft>,
    record: Option<(Question, Record)>,
}

/// What a record is to be made of.
struct Draft {
    question: Question,
    seen: Seen,
    /// Nobody needs the processor meanwhile.
    is_held: bool,
}

/// A record that was made, or could not be, and what was lent for that.
struct Record {
    bytes: Outcome<Vec<u8>>,
    lent: record::Lent,
}

impl Tray {
    /// An empty one.
    pub fn new() -> Self {
        let inside = Lock::new(Inside::default());
        Self { inside, for_saver: Condition::new(), for_scribe: Condition::new() }
    }

    /// A save is wanted. One that was wanted before is not any more: its host is gone.
    pub fn order(&self, order: Order) {
        self.inside.lock().wanted = Some(order);
        self.for_scribe.signal();
    }
}

/// A save whose record is being made.
struct UnderWay {
    question: Question,
    mark: Mark,
    only_changes: bool,
    /// Ticks for which the child stood still.
    stopped: u64,
}

/// The saver's thread.
pub fn save(nester: &Nester) {
    let Tray { inside, for_saver, for_scribe } = &nester.tray;
    let mut under_way = None;
    loop {
        let mut tray =
            for_saver.wait_until(inside.lock(), |inside| inside.order.is_some() || inside.record.is_some());
        let (order, record) = (tray.order.take(), tray.record.take());
        drop(tray);
        if let Some((question, record)) = record {
            finish(nester, &mut under_way, question, record);
        }
        let Some(order) = order else { continue };
        let from = clock::ticks();
        let question = order.question;
        under_way = None;
        let mut state = nester.lock();
        match save::begin(nester, &mut state, order.when, order.since) {
            Ok(Some(save::Begun { seen, boot, environment, only_changes, is_held })) => {
                drop(state);
                inside.lock().draft = Some(Draft { question, seen, is_held });
                for_scribe.signal();
                // A new epoch drops all translations, this program's too: the child runs as soon as this thread waits.
                let epoch = call::epoch_begin().unwrap_or(0);
                let stopped = clock::ticks().wrapping_sub(from);
                let mark = Mark { boot, environment, epoch };
                under_way = Some(UnderWay { question, mark, only_changes, stopped });
            }
            Ok(None) => requests::reply(nester, &mut state, question, Ok(Reply::Waiting)),
            Err(failure) => requests::reply(nester, &mut state, question, Err(failure)),
        }
    }
}

/// The record of a save has been made.
fn finish(nester: &Nester, under_way: &mut Option<UnderWay>, question: Question, record: Record) {
    let mut state = nester.lock();
    record::give_back(&mut state, record.lent);
    let Some(save) = under_way.take_if(|save| save.question == question) else { return };
    state.stop_time = save::nanoseconds(state.began, save.stopped);
    let reply = record.bytes.map(|bytes| {
        let (answer, size) = record::kept(&mut state, bytes);
        Reply::Saving { answer, size, mark: save.mark, only_changes: save.only_changes }
    });
    requests::reply(nester, &mut state, question, reply);
}

/// The scribe's thread.
pub fn write(nester: &Nester) {
    let Tray { inside, for_saver, for_scribe } = &nester.tray;
    loop {
        let mut tray =
            for_scribe.wait_until(inside.lock(), |inside| inside.wanted.is_some() || inside.draft.is_some());
        let (wanted, draft) = (tray.wanted.take(), tray.draft.take());
        drop(tray);
        if wanted.is_some() {
            // The last epoch dropped this program's translations: found again one by one, they would keep the child waiting.
            start::touch_image();
            inside.lock().order = wanted;
            for_saver.signal();
        }
        if let Some(Draft { question, seen, is_held }) = draft {
            let pace = (!is_held).then(|| Pace::begin(FLOBS));
            let (bytes, lent) = record::assemble(seen, pace);
            inside.lock().record = Some((question, Record { bytes, lent }));
            for_saver.signal();
        }
    }
}

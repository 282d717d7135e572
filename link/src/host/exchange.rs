//! Requests under way: numbers, time-outs and repeats.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use super::{Answer, BULK_WINDOW, LinkError, Timing, Urgency, manager::Submission};
use crate::{Effect, Reply, Request, answers::NUMBER_SPAN};

/// Who gets the answer.
#[derive(Debug)]
pub enum Asker {
    /// The manager: the hello.
    Hello,
    /// The manager: the state of affairs.
    Sync,
    /// Somebody else.
    Caller(u64, Sender<Answer>),
}

impl Asker {
    /// Tells the caller, if it is one, that there will be no answer.
    pub fn fail(self, error: LinkError) {
        if let Self::Caller(tag, answers) = self {
            // A caller that has gone needs no answer.
            let _ = answers.send((tag, Err(error)));
        }
    }

    /// Hands the answer to the caller, if it is one.
    pub fn answer(self, result: Result<Reply, LinkError>) {
        if let Self::Caller(tag, answers) = self {
            let _ = answers.send((tag, result));
        }
    }
}

/// What a request has to wait for before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// That no other order is under way.
    Order,
    /// That there is room in the window.
    Bulk,
}

impl Kind {
    /// That of a request which is not one of many.
    pub const fn of(request: &Request) -> Self {
        if request.is_order() { Self::Order } else { Self::Plain }
    }
}

/// A request as it is sent, and sent again.
#[derive(Debug)]
pub struct Outgoing {
    /// The whole frame.
    pub frame: Vec<u8>,
    /// What it waits for before it is sent.
    pub kind: Kind,
    /// What may have come of it when nobody waits for the answer any more.
    pub effect: Option<Effect>,
}

/// A request that was sent and is not answered yet.
#[derive(Debug)]
pub struct Exchange {
    /// Who asks.
    pub asker: Asker,
    outgoing: Outgoing,
    sent: Instant,
    due: Instant,
    repeats: u32,
}

/// All requests: those that wait to be sent and those under way.
#[derive(Debug)]
pub struct Exchanges {
    urgent: VecDeque<Submission>,
    bulk: VecDeque<Submission>,
    under_way: BTreeMap<u32, Exchange>,
    next_number: u32,
    round_trip: Duration,
    timing: Timing,
}

impl Exchanges {
    /// None yet.
    pub fn new(timing: Timing) -> Self {
        Self {
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            under_way: BTreeMap::new(),
            next_number: 0,
            round_trip: timing.repeat / 4,
            timing,
        }
    }

    /// Takes a request that is to be sent when there is room.
    pub fn queue(&mut self, submission: Submission) {
        match submission.urgency {
            Urgency::Urgent => self.urgent.push_back(submission),
            Urgency::Bulk => self.bulk.push_back(submission),
        }
    }

    /// The request that may be sent now, if any.
    pub fn next_to_send(&mut self) -> Option<Submission> {
        if !self.has_number() {
            return None;
        }
        self.next_urgent()
            .or_else(|| if self.count(Kind::Bulk) < BULK_WINDOW { self.bulk.pop_front() } else { None })
    }

    fn next_urgent(&mut self) -> Option<Submission> {
        let may_order = !self.has_order();
        let may_go = |submission: &Submission| may_order || !submission.request.is_order();
        let next = self.urgent.iter().position(may_go)?;
        self.urgent.remove(next)
    }

    fn count(&self, kind: Kind) -> usize {
        self.under_way.values().filter(|exchange| exchange.outgoing.kind == kind).count()
    }

    /// Whether another number may be used without the guest's cache forgetting the oldest one under way.
    pub fn has_number(&self) -> bool {
        let oldest = self.under_way.first_key_value().map_or(self.next_number, |(number, _)| *number);
        self.next_number.wrapping_sub(oldest) < NUMBER_SPAN
    }

    /// The number that the next request has.
    pub const fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Notes that the request with the next number was sent.
    pub fn sent(&mut self, asker: Asker, outgoing: Outgoing, now: Instant) {
        let due = now + self.patience(0, outgoing.kind);
        self.under_way.insert(self.next_number, Exchange { asker, outgoing, sent: now, due, repeats: 0 });
        self.next_number += 1;
    }

    /// Takes out the request with this number: its answer has come.
    pub fn answered(&mut self, number: u32, now: Instant) -> Option<Exchange> {
        let exchange = self.under_way.remove(&number)?;
        // Which of several repeats an answer belongs to is not known: the first is assumed, so that a slow line makes the
        // host more patient, never less.
        let taken = now.duration_since(exchange.sent).min(self.timing.longest_repeat);
        self.round_trip = (self.round_trip * 3 + taken) / 4;
        Some(exchange)
    }

    /// The frames that are due again.
    pub fn repeats(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let due: Vec<u32> = self
            .under_way
            .iter()
            .filter(|(_, exchange)| exchange.due <= now)
            .map(|(number, _)| *number)
            .collect();
        due.into_iter().filter_map(|number| self.repeat(number, now)).collect()
    }

    fn repeat(&mut self, number: u32, now: Instant) -> Option<Vec<u8>> {
        let exchange = self.under_way.get(&number)?;
        let repeats = exchange.repeats + 1;
        let due = now + self.patience(repeats, exchange.outgoing.kind);
        let exchange = self.under_way.get_mut(&number)?;
        exchange.repeats = repeats;
        exchange.due = due;
        Some(exchange.outgoing.frame.clone())
    }

    /// A bulk request waits on the line behind a whole window of others.
    fn patience(&self, repeats: u32, kind: Kind) -> Duration {
        let least = if kind == Kind::Bulk { self.timing.repeat * 4 } else { self.timing.repeat };
        let first = (self.round_trip * 4).max(least);
        (first * 2_u32.pow(repeats.min(6))).min(self.timing.longest_repeat)
    }

    /// When the next repeat is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.under_way.values().map(|exchange| exchange.due).min()
    }

    /// Whether the manager's own question is under way.
    pub fn is_syncing(&self) -> bool {
        self.under_way.values().any(|exchange| matches!(exchange.asker, Asker::Sync | Asker::Hello))
    }

    /// Whether somebody waits for an answer.
    pub fn has_callers(&self) -> bool {
        let caller = |exchange: &Exchange| matches!(exchange.asker, Asker::Caller(..));
        !self.urgent.is_empty() || !self.bulk.is_empty() || self.under_way.values().any(caller)
    }

    /// Whether an order is under way.
    pub fn has_order(&self) -> bool {
        self.count(Kind::Order) > 0
    }

    /// Nobody is to wait any longer for a guest that says nothing.
    pub fn give_up(&mut self) {
        self.fail_with(&LinkError::Silent, |effect| effect.map_or(LinkError::Silent, LinkError::InDoubt));
    }

    /// Fails what callers wait for; the manager's own questions stay.
    pub fn fail_callers(&mut self, error: &LinkError) {
        self.fail_with(error, |_| error.clone());
    }

    /// The same; what was sent fails with an error of its own.
    fn fail_with(&mut self, unsent: &LinkError, sent: impl Fn(Option<Effect>) -> LinkError) {
        for submission in self.urgent.drain(..).chain(self.bulk.drain(..)) {
            Asker::Caller(submission.tag, submission.answers).fail(unsent.clone());
        }
        for (number, exchange) in std::mem::take(&mut self.under_way) {
            match exchange.asker {
                Asker::Caller(..) => exchange.asker.fail(sent(exchange.outgoing.effect)),
                Asker::Hello | Asker::Sync => drop(self.under_way.insert(number, exchange)),
            }
        }
    }

    /// Nothing that is under way is answered any more.
    pub fn forget(&mut self) {
        self.under_way.clear();
    }
}

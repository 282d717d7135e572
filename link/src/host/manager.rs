//! What the link does: takes what arrives and what is asked, repeats what is overdue. It has no thread of its own: whoever asks,
//! reads or watches the time does what there is to do, one at a time, and so nobody need be woken in between.

mod incoming;

use std::{
    sync::mpsc::Sender,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    Answer, LinkError, Log, Notice, Tell, Timing, Urgency,
    events::Events,
    exchange::{Asker, Exchanges, Kind, Outgoing},
    outward::Outward,
};
use flob_abi::Sum;

use crate::{
    CHANNEL_DEBUGGER, Capacity, Failure, FailureKind, Reply, Request, ToGuest, VERSION,
    frame::{self, Decoder},
};

/// How often it is asked how the guest is, at least.
const REFRESH: Duration = Duration::from_secs(2);
/// The guest keeps events until the host says it has seen them: said after this many.
const EVENTS_BEFORE_ACKNOWLEDGE: u64 = 32;

/// A request of somebody.
#[derive(Debug)]
pub struct Submission {
    pub urgency: Urgency,
    pub request: Request,
    pub tag: u64,
    pub answers: Sender<Answer>,
}

/// How the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Connecting,
    Up,
    Lost,
    Misfit(String),
}

/// Whether the guest may have carried out what nobody waits for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Nothing was given up.
    None,
    /// It may have.
    Open,
    /// All that came of it is told by the events before this one.
    Until(u64),
}

pub struct Manager {
    outward: Outward,
    tell: Tell,
    timing: Timing,
    log: Log,
    epoch: u32,
    /// Which guest has answered the hello.
    boot: Option<u64>,
    decoder: Decoder,
    exchanges: Exchanges,
    events: Events,
    acknowledged: u64,
    standing: Standing,
    /// Orders were given up.
    doubt: Doubt,
    last_heard: Instant,
    last_sync: Instant,
    garbled: u64,
    capacity: Capacity,
    /// Answers that have come, for those who wait for them.
    answered: Vec<(Asker, Result<Reply, LinkError>)>,
    /// The stream has ended.
    is_over: bool,
}

impl Manager {
    /// Says hello.
    pub fn new(outward: Outward, tell: Tell, timing: Timing, log: Log) -> Self {
        let now = Instant::now();
        let mut manager = Self {
            outward,
            tell,
            timing,
            log,
            epoch: fresh_epoch(),
            boot: None,
            decoder: Decoder::new(),
            exchanges: Exchanges::new(timing),
            events: Events::default(),
            acknowledged: 0,
            standing: Standing::Connecting,
            doubt: Doubt::None,
            last_heard: now,
            last_sync: now,
            garbled: 0,
            capacity: Capacity::default(),
            answered: Vec::new(),
            is_over: false,
        };
        manager.send(Request::Hello { version: VERSION }, Asker::Hello, false);
        manager
    }

    /// How long nothing needs to be done. What is sent meanwhile is not overdue before that.
    pub fn sleep(&self) -> Duration {
        let now = Instant::now();
        let quiet = self.last_sync.max(self.last_heard) + self.timing.quiet;
        let next =
            self.exchanges.next_due().map_or(quiet, |due| due.min(quiet)).min(now + self.timing.repeat);
        next.saturating_duration_since(now).max(Duration::from_millis(1))
    }

    /// Whether the stream has ended.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Somebody asks.
    pub fn asked(&mut self, submission: Submission) {
        if self.is_over {
            return Asker::Caller(submission.tag, submission.answers).fail(LinkError::Ended);
        }
        self.queue(submission);
        self.tick();
    }

    fn queue(&mut self, submission: Submission) {
        match &self.standing {
            Standing::Misfit(text) => {
                let error = LinkError::Version(text.clone());
                Asker::Caller(submission.tag, submission.answers).fail(error);
            }
            _ => self.exchanges.queue(submission),
        }
    }

    /// Bytes have come from the guest. The answers among them, to be handed out when nobody is kept from the link by it: who waits
    /// for one finds what has happened before it told already.
    pub fn arrived(&mut self, bytes: &[u8]) -> Vec<(Asker, Result<Reply, LinkError>)> {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.feed(bytes, |frame| {
            if frame.channel == CHANNEL_DEBUGGER {
                self.message(frame.payload, frame.bulk);
            }
        });
        if decoder.garbled() != self.garbled {
            self.garbled = decoder.garbled();
            self.log.line('!', format_args!("{} frames garbled so far", self.garbled));
        }
        self.decoder = decoder;
        self.tick();
        std::mem::take(&mut self.answered)
    }

    /// Nobody waits for anything of this.
    pub fn write_log(&mut self) {
        self.log.flush();
    }

    /// The stream carries nothing for now. What was on its way is lost, half a frame too.
    pub fn interrupted(&mut self) {
        self.log.line('!', "the stream is interrupted");
        self.decoder = Decoder::new();
        self.garbled = 0;
        if self.standing == Standing::Up {
            self.standing = Standing::Lost;
            self.notify(Notice::Lost);
        }
    }

    fn heard(&mut self) {
        self.last_heard = Instant::now();
        if self.standing == Standing::Lost {
            self.standing = Standing::Up;
            self.notify(Notice::Back);
        }
    }

    fn synchronise(&mut self) {
        // A question of our own must not run out of the numbers that the guest still knows, either: the oldest request
        // under way would never be answered.
        let can_ask = self.exchanges.has_number() && !self.exchanges.is_syncing();
        if self.standing == Standing::Connecting || !can_ask {
            return;
        }
        self.last_sync = Instant::now();
        self.acknowledged = self.events.next();
        self.send(Request::Sync { events_from: self.events.next() }, Asker::Sync, false);
    }

    /// Says hello once more. Behind that the guest carries out nothing that was asked before.
    fn begin_epoch(&mut self) {
        self.exchanges.forget();
        self.epoch = self.epoch.wrapping_add(1);
        self.standing = Standing::Connecting;
        self.send(Request::Hello { version: VERSION }, Asker::Hello, false);
    }

    /// Lets nobody wait any longer for a guest that says nothing. It may come to an order all the same, and carry it out: so the epoch
    /// ends, and when the next one begins it is told that what was ordered may have been done.
    fn give_up(&mut self) {
        let was_ordered = self.exchanges.has_order();
        self.exchanges.give_up();
        if was_ordered {
            self.doubt = Doubt::Open;
            self.begin_epoch();
        }
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        let now = Instant::now();
        for frame in self.exchanges.repeats(now) {
            self.log.line('!', format_args!("repeat of {} bytes", frame.len()));
            self.transmit(frame);
        }
        self.watch(now);
        while self.standing == Standing::Up || self.standing == Standing::Lost {
            let Some(submission) = self.exchanges.next_to_send() else { break };
            let asker = Asker::Caller(submission.tag, submission.answers);
            self.send(submission.request, asker, submission.urgency == Urgency::Bulk);
        }
    }

    fn watch(&mut self, now: Instant) {
        let silence = now.duration_since(self.last_heard);
        if silence >= self.timing.lost && self.standing == Standing::Up {
            self.standing = Standing::Lost;
            self.notify(Notice::Lost);
        }
        if silence >= self.timing.give_up && self.exchanges.has_callers() {
            self.give_up();
        }
        let is_quiet = now.duration_since(self.last_sync.max(self.last_heard)) >= self.timing.quiet;
        // However much it talks: how the guest is must not be old news.
        let is_old = self.standing == Standing::Up && now.duration_since(self.last_sync) >= REFRESH;
        if is_quiet || is_old {
            self.synchronise();
        }
    }

    fn send(&mut self, mut request: Request, asker: Asker, is_bulk: bool) {
        let bulk = match &mut request {
            Request::RestorePages { bulk, .. } | Request::Supply { bulk, .. } => std::mem::take(bulk),
            _ => Vec::new(),
        };
        let message = ToGuest { epoch: self.epoch, number: self.exchanges.next_number(), request };
        self.log.line('>', &message);
        let Some(bytes) = self.encode(&message, &bulk) else { return asker.fail(LinkError::TooLong) };
        let kind = if is_bulk { Kind::Bulk } else { Kind::of(&message.request) };
        let outgoing = Outgoing { frame: bytes.clone(), kind, effect: message.request.effect() };
        self.exchanges.sent(asker, outgoing, Instant::now());
        self.transmit(bytes);
    }

    fn encode(&self, message: &ToGuest, bulk: &[u8]) -> Option<Vec<u8>> {
        let payload = postcard::to_allocvec(message).ok()?;
        let mut bytes = Vec::new();
        let encoded = match (bulk, self.capacity.is_lossless) {
            ([], _) => frame::encode(CHANNEL_DEBUGGER, &payload, &mut bytes),
            (bulk, false) => frame::encode_with_bulk(CHANNEL_DEBUGGER, &payload, bulk, &mut bytes),
            (bulk, true) => {
                let head =
                    frame::encode_raw_head(CHANNEL_DEBUGGER, &payload, bulk.len(), Sum::of(bulk), &mut bytes);
                bytes.extend_from_slice(bulk);
                head
            }
        };
        encoded.ok().map(|()| bytes)
    }

    /// A frame for which the writer has no room is as good as lost: it is repeated.
    fn transmit(&mut self, frame: Vec<u8>) {
        if !self.outward.send(frame) {
            self.log.line('!', "no room to send");
        }
    }

    fn notify(&mut self, notice: Notice) {
        (self.tell)(notice);
    }

    /// The stream has ended.
    pub fn end(&mut self) {
        self.log.line('!', "the stream has ended");
        self.is_over = true;
        self.outward.close();
        self.exchanges.fail_callers(&LinkError::Ended);
        self.notify(Notice::Ended);
        self.write_log();
    }
}

/// For those who pass it on to a client.
impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Refused(failure) => failure,
            LinkError::InDoubt(effect) => {
                Self { kind: FailureKind::InDoubt(effect), text: error.to_string() }
            }
            other => Self { kind: FailureKind::Guest, text: other.to_string() },
        }
    }
}

fn fresh_epoch() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u32 ^ std::process::id().rotate_left(16)
}

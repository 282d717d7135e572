//! What the guest says: answers, each to who waits for it, and events in their order.

use std::time::Instant;

use super::{Asker, Doubt, EVENTS_BEFORE_ACKNOWLEDGE, Manager, Standing};
use crate::{
    Event, Failure, FromGuest, Progress, Reply, VERSION,
    host::{Guest, LinkError, Notice},
};

impl Manager {
    /// What came in a frame: see [`crate::message`].
    pub(super) fn message(&mut self, payload: &[u8], bulk: Vec<u8>) {
        let (mut rest, mut bulk) = (payload, Some(bulk));
        loop {
            match postcard::take_from_bytes::<FromGuest>(rest) {
                // One that has bulk is alone in its frame.
                Ok((message, behind)) => {
                    self.take(message, bulk.take().unwrap_or_default());
                    rest = behind;
                }
                Err(error) => return self.log.line('!', format_args!("no message: {error}")),
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self, message: FromGuest, bulk: Vec<u8>) {
        self.log.line('<', &message);
        self.heard();
        match message {
            FromGuest::Reply { epoch, number, result } if epoch == self.epoch => {
                let result =
                    result.map(|reply| if let Reply::Pages(_) = reply { Reply::Pages(bulk) } else { reply });
                self.reply(number, result);
            }
            FromGuest::Reply { .. } => {}
            FromGuest::Event { number, event } => self.event(number, event),
        }
    }

    fn reply(&mut self, number: u32, result: Result<Reply, Failure>) {
        let Some(exchange) = self.exchanges.answered(number, Instant::now()) else { return };
        match (exchange.asker, result) {
            (Asker::Hello, result) => self.hello(result),
            (Asker::Sync, Ok(Reply::Sync(progress))) => self.synchronised(progress),
            (Asker::Sync, _) => {}
            (caller, result) => self.answered.push((caller, result.map_err(LinkError::Refused))),
        }
    }

    fn hello(&mut self, result: Result<Reply, Failure>) {
        match result {
            Ok(Reply::Hello { version: VERSION, size, program, boot, first_event, capacity }) => {
                self.standing = Standing::Up;
                self.capacity = capacity;
                if self.boot == Some(boot) {
                    self.notify(Notice::Back);
                } else {
                    self.boot = Some(boot);
                    self.doubt = Doubt::None;
                    self.events.begin_at(first_event);
                    self.acknowledged = first_event;
                    self.notify(Notice::Up(Guest { size, program, boot, first_event, capacity }));
                }
                self.synchronise();
            }
            Ok(Reply::Hello { version, .. }) => self.misfit(misfit_text(version)),
            Err(failure) => self.misfit(failure.text),
            Ok(other) => self.misfit(format!("the guest answered the hello with {other:?}")),
        }
    }

    fn misfit(&mut self, text: String) {
        self.exchanges.fail_callers(&LinkError::Version(text.clone()));
        self.standing = Standing::Misfit(text.clone());
        self.notify(Notice::Version(text));
    }

    /// Before the hello is answered, an event cannot be told from one of an earlier guest's.
    fn event(&mut self, number: u64, event: Event) {
        if !matches!(self.standing, Standing::Up) {
            return;
        }
        for (number, event) in self.events.take(number, event) {
            self.notify(Notice::Event { number, event });
        }
        self.settle();
        let unacknowledged =
            self.events.next().saturating_sub(self.acknowledged) >= EVENTS_BEFORE_ACKNOWLEDGE;
        if self.events.has_gap() || unacknowledged {
            self.synchronise();
        }
    }

    fn synchronised(&mut self, progress: Progress) {
        if Some(progress.boot) == self.boot {
            let next = progress.next_event;
            self.notify(Notice::Progress(progress));
            if self.doubt == Doubt::Open {
                self.doubt = Doubt::Until(next);
                self.settle();
            }
        } else {
            // It was started anew, and knows nothing of what was asked.
            self.exchanges.fail_callers(&LinkError::Ended);
            self.begin_epoch();
        }
    }

    /// Tells of orders that were given up, when everything that came of them was told.
    fn settle(&mut self) {
        if matches!(self.doubt, Doubt::Until(next) if self.events.next() >= next) {
            self.doubt = Doubt::None;
            self.notify(Notice::GivenUp);
        }
    }
}

fn misfit_text(version: u32) -> String {
    let side = if version < VERSION { "the guest's programs" } else { "flob on the host" };
    format!(
        "the guest speaks version {version} of the link protocol, this flob version {VERSION}: update {side}"
    )
}

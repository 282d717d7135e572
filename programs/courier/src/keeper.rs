//! The keeper of the pages: slow, and whoever wants to know when it has something in its hands is told.

use core::time::Duration;

use flob_program_shared::{Failure, leak};
use flob_runtime::abi::{ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, exception::reply_action};
use flob_runtime::flob::{FlobAt, PortSet};
use flob_runtime::ipc::{Answer, Server};
use flob_runtime::service::clock;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::{println, thread};
use zerocopy::FromBytes;

use crate::pages::Pages;
use crate::{GATE, Options};

/// So many pages can be held at the same time.
const KEEPERS_OF_CHAIN: usize = 6;

/// Where it stops half way.
#[derive(Clone, Copy)]
pub enum Hold {
    /// At this request, and says so.
    Request(u64),
    /// At this page, in silence: the parent, which is kept from going on with its answer, would answer nothing else.
    Page(u64),
    /// At the one page as long as the gate is shut, and at the other until what arrives in the one has come.
    Chain { first: u64, then: u64 },
}

impl Hold {
    fn is_now(self, requests: u64, offset: u64) -> bool {
        match self {
            Self::Request(number) => requests == number,
            Self::Page(page) => offset / PAGE_SIZE == page,
            Self::Chain { first, then } => [first, then].contains(&(offset / PAGE_SIZE)),
        }
    }

    /// Whether it is until something else has come.
    fn is_for_other(self, offset: u64) -> bool {
        matches!(self, Self::Chain { then, .. } if offset / PAGE_SIZE == then)
    }
}

/// What has happened so far.
#[derive(Default)]
struct Progress {
    /// Requests taken and answers about to be given.
    moments: u64,
    /// How many of these the main thread has made use of.
    used: u64,
    over: bool,
    /// It has stopped half way.
    holds: bool,
    /// What was held first has come.
    has_come: bool,
}

/// What is known of the keeper.
pub struct Keeper {
    progress: Lock<Progress>,
    changed: Condition,
}

impl Keeper {
    /// Begins to serve faults at these pages.
    pub fn start(set: FlobAt<PortSet>, pages: Pages, options: &Options) -> Result<&'static Self, Failure> {
        let keeper: &'static Self =
            leak(Self { progress: Lock::new(Progress::default()), changed: Condition::new() });
        let pace = Duration::from_millis(options.pace);
        GATE.at().create()?;
        if options.hold.is_some() {
            GATE.at().lock()?;
        }
        let hold = options.hold;
        // Each restore has those that are held asked for once more, behind the request that is in an image.
        for _ in 0..if options.chain { KEEPERS_OF_CHAIN } else { 1 } {
            thread::spawn(move || keeper.serve(set, pages, pace, hold))?.detach();
        }
        Ok(keeper)
    }

    fn serve(&self, set: FlobAt<PortSet>, pages: Pages, pace: Duration, hold: Option<Hold>) {
        let Ok(mut server) = Server::new(set) else { return };
        let (mut answer, mut requests, mut last) = (Answer::None, 0, (0, 0));
        loop {
            let (request, _) = server.next(answer);
            let Ok((message, _)) = ExceptionMessage::read_from_prefix(request.bytes) else {
                answer = Answer::None;
                continue;
            };
            // Who is made anew asks again, and gets its answer: or nobody would come any further.
            let known = core::mem::replace(&mut last, (message.number, message.address));
            let is_new = known != last;
            if is_new {
                requests += 1;
                self.tell();
            }
            if is_new && hold.is_some_and(|hold| hold.is_now(requests, message.offset)) {
                if matches!(hold, Some(Hold::Request(_))) {
                    println!("half way");
                }
                self.progress.lock().holds = true;
                self.changed.broadcast();
                if hold.is_some_and(|hold| hold.is_for_other(message.offset)) {
                    drop(self.changed.wait_until(self.progress.lock(), |progress| progress.has_come));
                } else {
                    // Opened from outside.
                    let _ = GATE.at().lock();
                    let _ = GATE.at().unlock();
                }
            }
            pages.fill(message.offset);
            if !pace.is_zero() {
                let _ = clock::sleep(pace);
            }
            if is_new {
                self.tell();
            }
            answer = Answer::Exception(ExceptionReply {
                number: message.number,
                action: reply_action::LIFT,
                access: Protection::from_bits(message.access).0,
            });
        }
    }

    /// Another moment.
    fn tell(&self) {
        self.progress.lock().moments += 1;
        self.changed.broadcast();
    }

    /// The transfer has come to its end.
    pub fn is_over(&self) {
        self.progress.lock().over = true;
        self.changed.broadcast();
    }

    /// What was held first was received to its end.
    pub fn has_come(&self) {
        self.progress.lock().has_come = true;
        self.changed.broadcast();
    }

    /// Waits until it has stopped half way.
    pub fn wait_for_hold(&self) {
        drop(self.changed.wait_until(self.progress.lock(), |progress| progress.holds));
    }

    /// Waits for a moment that was not used yet. False if the transfer is over.
    pub fn next_moment(&self) -> bool {
        let progress = self.progress.lock();
        let is_new = |progress: &mut Progress| progress.over || progress.moments > progress.used;
        let mut progress = self.changed.wait_until(progress, is_new);
        progress.used = progress.moments;
        !progress.over
    }
}

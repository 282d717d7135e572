//! The keeper of a child's memory whose region denies accesses for a while: each is asked about here, and lifted page by page.
//!
//! A lift is a translation and may be forgotten; then the page faults again, is found as it should be, and the denial is lifted
//! again. Whoever lifts must keep out those who would deny anew, from its look at the page to [`Denied::lift`]: what was lifted
//! later would undo what they deny.

use flob_abi::{
    ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, exception::reply_action, ipc::Flavour,
};
use flob_runtime::{
    flob::{FlobAt, Reference},
    ipc::{self, Answer, Request, Server},
    nester::{ChildMemory, Desk},
};
use zerocopy::FromBytes;

/// An access that the region has denied.
#[derive(Clone, Copy, Debug)]
pub struct Denied {
    /// The page of the region.
    pub page: u64,
    /// What was tried.
    pub access: Protection,
    /// The first byte of it, as the thread sees it.
    pub address: u64,
    /// Who tried it. Valid while it is handled.
    pub thread: Option<FlobAt<Reference>>,
    /// The number of that thread's exception.
    pub number: u64,
}

impl Denied {
    fn of(request: &Request<'_>) -> Option<Self> {
        let (message, _) = ExceptionMessage::read_from_prefix(request.bytes).ok()?;
        let (page, access) = (message.offset / PAGE_SIZE, Protection::from_bits(message.access));
        let is_one = request.incoming.flavour == Flavour::Idempotent;
        let thread = request.references.first().map(|thread| thread.at());
        is_one.then_some(Self { page, access, address: message.address, thread, number: message.number })
    }

    /// Whether it was tried to write.
    pub fn is_write(&self) -> bool {
        self.access.allows(Protection::WRITE)
    }

    /// Lets the page be accessed so, of this memory, which the region exports.
    pub fn lift(&self, memory: &ChildMemory, access: Protection) {
        if access.allows(Protection::WRITE) {
            // What a nester farther out denies as well has to be asked about from here.
            memory.touch(self.page);
        }
        ipc::reply(&self.reply(reply_action::LIFT, access.0));
    }

    fn reply(&self, action: u32, access: u32) -> ExceptionReply {
        ExceptionReply { number: self.number, action, access }
    }
}

/// A keeper's thread at this desk: each access that was denied is handled. One that is not lifted then is tried again.
pub fn serve(desk: &Desk, mut handle: impl FnMut(&Denied)) {
    let Ok(mut server) = Server::new(desk.set()) else { return };
    let mut answer = Answer::None;
    loop {
        let (request, _) = server.next(answer);
        answer = match Denied::of(&request) {
            Some(denied) => {
                handle(&denied);
                // To one that was answered this is no answer.
                Answer::Exception(denied.reply(reply_action::RETRY, 0))
            }
            None => Answer::None,
        };
    }
}

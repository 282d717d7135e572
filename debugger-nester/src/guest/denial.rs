//! What the region of the environment denies, and its keepers. While a save is on that is writing, while pages are missing
//! everything; else nothing, and the region has no keeper: what it lacks is the child's own business.
//!
//! A denial is lifted page by page: a lift is a translation and may be forgotten; then the page faults again, is found as it
//! should be, and the denial is lifted again.

use flob_abi::{
    ExceptionCode, ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, Status, exception::reply_action,
    ipc::Flavour,
};
use flob_runtime::{
    ipc::{Answer, Request, Server},
    nester::Environment,
};
use zerocopy::FromBytes;

use super::state::{Nester, State};
use super::{copying, lazy};

/// Asked about memory that may not be accessed now.
pub const REGION: &str = "region";
/// Threads that answer: so many pages are waited for at once, whoever else wants one waits for one of these.
pub const KEEPERS: usize = 4;

/// Makes the region deny what is to be denied as things are.
pub fn update(nester: &Nester, state: &State) -> Result<(), Status> {
    let protection = match (lazy::is_on(state), &state.copying) {
        (true, _) => Protection::NONE,
        (false, Some(_)) => Protection::READ_EXECUTE,
        (false, None) => Protection::ALL,
    };
    set(nester, &state.environment, protection)
}

/// An environment that has no child any more denies nothing.
pub fn end(nester: &Nester, environment: &Environment) -> Result<(), Status> {
    set(nester, environment, Protection::ALL)
}

fn set(nester: &Nester, environment: &Environment, protection: Protection) -> Result<(), Status> {
    let keeper = nester.denials.reference(REGION).filter(|_| protection != Protection::ALL);
    environment.guard(protection, keeper)
}

/// A keeper's thread.
pub fn serve(nester: &Nester) {
    let Ok(mut server) = Server::new(nester.denials.set()) else { return };
    let mut answer = Answer::None;
    loop {
        let (request, _) = server.next(answer);
        answer = handle(nester, &request);
    }
}

fn handle(nester: &Nester, request: &Request<'_>) -> Answer<'static> {
    let Ok((message, _)) = ExceptionMessage::read_from_prefix(request.bytes) else { return Answer::None };
    if request.incoming.flavour != Flavour::Idempotent {
        return Answer::None;
    }
    let (action, access) = denied(nester, &message);
    Answer::Exception(ExceptionReply { number: message.number, action, access })
}

/// The region denied an access: what is answered, an action and the access that is granted.
fn denied(nester: &Nester, message: &ExceptionMessage) -> (u32, u32) {
    const AGAIN: (u32, u32) = (reply_action::RETRY, 0);
    if message.code != ExceptionCode::PageFault as u32 {
        return AGAIN;
    }
    let (access, page) = (Protection::from_bits(message.access), message.offset / PAGE_SIZE);
    let mut state = nester.lock();
    let environment = state.replaced;
    while lazy::is_missing(&state, page) {
        lazy::await_page(nester, &mut state, page);
        state = nester.arrived.wait(state);
        if state.replaced != environment {
            return AGAIN;
        }
        lazy::await_no_more(&mut state, page);
    }
    if !access.allows(Protection::WRITE) {
        // What was denied may be allowed by now.
        return if lazy::is_on(&state) { (reply_action::LIFT, access.0) } else { AGAIN };
    }
    if !lazy::is_on(&state) && state.copying.is_none() {
        return AGAIN;
    }
    copying::about_to_change(&mut state, page * PAGE_SIZE, PAGE_SIZE);
    lazy::about_to_write(&mut state, page * PAGE_SIZE, PAGE_SIZE);
    (reply_action::LIFT, access.or(Protection::READ_WRITE).0)
}

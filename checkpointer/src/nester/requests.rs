//! What becomes of a request: it is passed on to the parent, which decides; but the child gets ports of its own nester's, and
//! its input once more after a roll back.

use alloc::vec::Vec;

use flob_image::tags::{self, CLOCK, HOST, LOG, PROGRAMS, STDERR, STDIN, STDOUT};
use flob_runtime::{
    nester::Reply,
    service::{
        Service,
        messages::{ParentReply, ParentRequest, StreamReply, StreamRequest},
        parent, pass_on,
    },
    start,
};
use serde::Serialize;

use super::state::Nester;

/// Name of the parent port.
pub const PARENT: &str = tags::PARENT;
/// All services, by alias.
pub const NAMES: &[&str] = &[PARENT, STDIN, STDOUT, STDERR, CLOCK, PROGRAMS, HOST, LOG];
/// The parent's, in the same order.
static UP: [Service; NAMES.len()] = [
    Service::new(PARENT),
    Service::new(STDIN),
    Service::new(STDOUT),
    Service::new(STDERR),
    Service::new(CLOCK),
    Service::new(PROGRAMS),
    Service::new(HOST),
    Service::new(LOG),
];

/// The name of this service, if there is one, as it is known here.
pub fn known(name: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|known| *known == name)
}

fn up(name: &str) -> Option<&'static Service> {
    UP.iter().zip(NAMES).find(|(_, known)| **known == name).map(|(service, _)| service)
}

/// Does what a request asks; waits as long as the parent does.
pub fn serve(nester: &Nester, service: &str, request: &[u8]) -> Reply {
    match service {
        PARENT => to_parent(nester, request),
        STDIN => input(nester, request),
        _ => up(service).and_then(|up| on(up, request)).map_or(Reply::None, Reply::bytes),
    }
}

fn on(service: &Service, request: &[u8]) -> Option<Vec<u8>> {
    pass_on(service.port().ok()?, request)
}

fn reply(reply: &impl Serialize) -> Reply {
    postcard::to_allocvec(reply).map_or(Reply::None, Reply::bytes)
}

fn to_parent(nester: &Nester, request: &[u8]) -> Reply {
    match postcard::from_bytes(request) {
        Ok(ParentRequest::Lookup { name }) => {
            let is_there = name != PARENT && up(name).is_some_and(|service| service.port().is_ok());
            let bulk = nester.bulk.as_ref().and_then(|desk| desk.reference(name));
            let found = nester.desk.reference(name).filter(|_| is_there).or(bulk);
            match (reply(&ParentReply::Found), found) {
                (Reply::Bytes { bytes, .. }, reference @ Some(_)) => Reply::Bytes { bytes, reference },
                _ => reply(&ParentReply::NoService),
            }
        }
        Ok(ParentRequest::Exit { code }) => {
            nester.lock().has_ended = true;
            parent::exit(code);
            // The child's end is the own one.
            start::forever()
        }
        Err(_) => Reply::None,
    }
}

/// Input that was given before is given again; other comes from above.
fn input(nester: &Nester, request: &[u8]) -> Reply {
    let wanted = postcard::from_bytes(request);
    if let Ok(StreamRequest::Read { position, max }) = wanted
        && let Some(bytes) = nester.lock().input.read(position, max as usize)
    {
        return reply(&StreamReply::Data { bytes: &bytes });
    }
    let Some(answer) = up(STDIN).and_then(|up| on(up, request)) else { return Reply::None };
    if let (Ok(StreamRequest::Read { position, .. }), Ok(StreamReply::Data { bytes })) =
        (wanted, postcard::from_bytes(&answer))
    {
        nester.lock().input.keep(position, bytes);
    }
    Reply::bytes(answer)
}

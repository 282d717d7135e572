//! What is served: a table from a service's name to the function that answers for it. See `docs/services.md`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use flob_runtime::abi::ipc::Flavour;
use flob_runtime::abi::{ExceptionCode, ExceptionMessage};
use flob_runtime::call;
use flob_runtime::eprintln;
use flob_runtime::flob::{FlobAt, Reference};
use flob_runtime::ipc::Request;
use flob_runtime::nester::Desk;
use flob_runtime::service::messages::{
    BulkRequest, ClockReply, ClockRequest, HostReply, HostRequest, ParentReply, ParentRequest, ProgramsReply,
    ProgramsRequest, StreamReply, StreamRequest,
};
use platform_devices::outward;
use serde::Serialize;

use crate::lent::Lent;
use crate::{channels, end, files, line, streams};

/// The port that the child is born with.
pub const PARENT: &str = "parent";
/// The port that hears of the child's exceptions.
pub const KEEPER: &str = "keeper";

/// What a service function answers.
pub struct Outcome {
    /// The reply; empty for none (or one that was given already).
    pub bytes: Vec<u8>,
    /// A reference that goes with it.
    pub reference: Option<FlobAt<Reference>>,
}

impl Outcome {
    /// No answer.
    pub const fn nothing() -> Self {
        Self { bytes: Vec::new(), reference: None }
    }

    /// A reply without a reference.
    pub fn of(reply: &impl Serialize) -> Self {
        Self { bytes: postcard::to_allocvec(reply).unwrap_or_default(), reference: None }
    }
}

type Serve = fn(&Desk, &[u8]) -> Option<Outcome>;

/// Each service with its function; `None` from it means that the request was not understood.
const SERVICES: &[(&str, Serve)] = &[
    (PARENT, parent),
    ("stdin", |_, request| streams::input(request)),
    ("stdout", |_, request| streams::output(&streams::STDOUT, request)),
    ("stderr", |_, request| streams::output(&streams::STDERR, request)),
    ("clock", clock),
    ("programs", programs),
    ("host", host),
    ("bulk", |_, request| bulk(request)),
    ("log", log),
];

/// A port for each service and for the keeper, for as long as the machine runs.
pub fn desk() -> Result<&'static Desk, String> {
    let names: Vec<&'static str> = SERVICES.iter().map(|(name, _)| *name).chain([KEEPER]).collect();
    let desk = Desk::new(&names).map_err(|status| format!("no ports: {}", status.text()))?;
    Ok(Box::leak(Box::new(desk)))
}

/// Does what a request asks.
pub fn serve(desk: &Desk, request: &Request<'_>) -> Outcome {
    let name = desk.name(request.incoming.alias).unwrap_or_default();
    if request.incoming.flavour == Flavour::Idempotent {
        child_died(request.bytes);
    }
    let outcome = if request.is_call() { answer(desk, name, request.bytes) } else { None };
    // What was not understood gets no answer: its connection ends, and that the client sees.
    outcome.unwrap_or(Outcome::nothing())
}

/// What this service answers; `None` if there is none, or it was not understood.
pub fn answer(desk: &Desk, service: &str, request: &[u8]) -> Option<Outcome> {
    let (_, function) = SERVICES.iter().find(|(name, _)| *name == service)?;
    function(desk, request)
}

fn parent(desk: &Desk, request: &[u8]) -> Option<Outcome> {
    Some(match postcard::from_bytes(request).ok()? {
        ParentRequest::Lookup { name } => {
            let public = ![PARENT, KEEPER].contains(&name);
            match desk.reference(name).filter(|_| public) {
                Some(reference) => Outcome { reference: Some(reference), ..Outcome::of(&ParentReply::Found) },
                None => Outcome::of(&ParentReply::NoService),
            }
        }
        ParentRequest::Exit { code } => end::end_machine(u8::try_from(code).unwrap_or(u8::MAX)),
    })
}

/// The outermost nester, or this program, has an exception that nobody handles: that is the end.
fn child_died(message: &[u8]) -> ! {
    use zerocopy::FromBytes;
    let (message, _) = ExceptionMessage::read_from_prefix(message).unwrap_or_default();
    let what = ExceptionCode::from_number(message.code).map_or("an unknown exception", ExceptionCode::text);
    eprintln!(
        "platform: the outermost nester died of: {what} (detail {}, address {:#x})",
        message.detail, message.address
    );
    end::end_machine(end::DIED)
}

fn clock(_: &Desk, request: &[u8]) -> Option<Outcome> {
    let deadline = match postcard::from_bytes(request).ok()? {
        ClockRequest::Now => 0,
        ClockRequest::Sleep { until } => until,
    };
    let nanoseconds = call::timer_wait(deadline).ok()?;
    Some(Outcome::of(&ClockReply::Time { nanoseconds }))
}

fn programs(_: &Desk, request: &[u8]) -> Option<Outcome> {
    let reply = match postcard::from_bytes(request).ok()? {
        ProgramsRequest::Size { name } => {
            files::find(name).map(|file| ProgramsReply::Size { bytes: file.len() as u64 })
        }
        ProgramsRequest::Read { name, offset, max } => {
            let max = (max as usize).min(MAX_PIECE);
            files::find(name).map(|file| ProgramsReply::Data { bytes: files::piece(file, offset, max) })
        }
    };
    Some(Outcome::of(&reply.unwrap_or(ProgramsReply::NoProgram)))
}

/// Lines of nesters, for those who run the machine.
fn log(_: &Desk, request: &[u8]) -> Option<Outcome> {
    let StreamRequest::Write { bytes, .. } = postcard::from_bytes(request).ok()? else {
        return Some(Outcome::of(&StreamReply::Refused));
    };
    call::kernel_log(bytes);
    Some(Outcome::of(&StreamReply::Written { count: u32::try_from(bytes.len()).ok()? }))
}

/// Most bytes of a file or stream in one reply.
pub const MAX_PIECE: usize = 60 * 1024;

fn host(_: &Desk, request: &[u8]) -> Option<Outcome> {
    match postcard::from_bytes(request).ok()? {
        HostRequest::Send { channel, frame } => Some(Outcome::of(
            &channels::send(channel, frame).map_or_else(|refusal| refusal, |()| HostReply::Sent),
        )),
        HostRequest::Receive { channel, frame } => Some(match channels::send_along(channel, frame) {
            Ok(channel) => {
                channel.answer_with_next();
                Outcome::nothing()
            }
            Err(refusal) => Outcome::of(&refusal),
        }),
        HostRequest::Capacity => {
            let line::Capacity { is_lossless, to_host, to_guest } = line::capacity();
            let (to_host, to_guest) = (u32::try_from(to_host).ok()?, u32::try_from(to_guest).ok()?);
            Some(Outcome::of(&HostReply::Capacity { is_lossless, to_host, to_guest }))
        }
    }
}

fn bulk(request: &[u8]) -> Option<Outcome> {
    let send = |asked: &BulkRequest<'_>| channels::send_bulk(asked, Lent::of_child);
    outward::answer(request, send).map(|bytes| Outcome { bytes, reference: None })
}

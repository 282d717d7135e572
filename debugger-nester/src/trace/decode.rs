//! Requests and replies of services, as names and values: what `docs/services.md` says of each.

use alloc::{string::String, vec, vec::Vec};

use flob_link::trace::{MOST_SHOWN, Message, Value};
use flob_runtime::service::messages::{
    ClockReply, ClockRequest, ParentReply, ParentRequest, ProgramsReply, ProgramsRequest, StreamReply,
    StreamRequest,
};

/// The request, as its service reads it.
pub fn request(service: &str, bytes: &[u8]) -> Message {
    let read = match service {
        "parent" => postcard::from_bytes(bytes).ok().map(parent_request),
        "clock" => postcard::from_bytes(bytes).ok().map(clock_request),
        "programs" => postcard::from_bytes(bytes).ok().map(programs_request),
        _ => postcard::from_bytes(bytes).ok().map(stream_request),
    };
    read.unwrap_or_else(|| garbled(bytes))
}

/// The reply to such a request.
pub fn reply(service: &str, bytes: &[u8]) -> Message {
    let read = match service {
        "parent" => postcard::from_bytes(bytes).ok().map(parent_reply),
        "clock" => postcard::from_bytes(bytes).ok().map(clock_reply),
        "programs" => postcard::from_bytes(bytes).ok().map(programs_reply),
        _ => postcard::from_bytes(bytes).ok().map(stream_reply),
    };
    read.unwrap_or_else(|| garbled(bytes))
}

fn message(verb: &str, fields: Vec<(String, Value)>) -> Message {
    Message { verb: verb.into(), fields }
}

fn garbled(bytes: &[u8]) -> Message {
    message("", vec![field("bytes", shown(bytes))])
}

fn field(name: &str, value: Value) -> (String, Value) {
    (name.into(), value)
}

fn number(name: &str, value: u64) -> (String, Value) {
    field(name, Value::Number(value))
}

fn text(name: &str, text: &str) -> (String, Value) {
    let end = (0..=text.len().min(MOST_SHOWN)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    field(name, Value::Text(text.get(..end).unwrap_or_default().into()))
}

fn shown(bytes: &[u8]) -> Value {
    let start = bytes.get(..MOST_SHOWN).unwrap_or(bytes).to_vec();
    Value::Bytes { start, count: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
}

fn parent_request(request: ParentRequest<'_>) -> Message {
    match request {
        ParentRequest::Lookup { name } => message("lookup", vec![text("name", name)]),
        ParentRequest::Exit { code } => message("exit", vec![field("code", Value::Signed(code.into()))]),
    }
}

fn parent_reply(reply: ParentReply) -> Message {
    let verb = match reply {
        ParentReply::Found => "found",
        ParentReply::NoService => "no service",
        ParentReply::Ended => "ended",
    };
    message(verb, Vec::new())
}

fn clock_request(request: ClockRequest) -> Message {
    match request {
        ClockRequest::Now => message("now", Vec::new()),
        ClockRequest::Sleep { until } => message("sleep", vec![number("until", until)]),
    }
}

fn clock_reply(ClockReply::Time { nanoseconds }: ClockReply) -> Message {
    message("time", vec![number("nanoseconds", nanoseconds)])
}

fn programs_request(request: ProgramsRequest<'_>) -> Message {
    match request {
        ProgramsRequest::Size { name } => message("size", vec![text("name", name)]),
        ProgramsRequest::Read { name, offset, max } => {
            message("read", vec![text("name", name), number("offset", offset), number("max", max.into())])
        }
    }
}

fn programs_reply(reply: ProgramsReply<'_>) -> Message {
    match reply {
        ProgramsReply::Size { bytes } => message("size", vec![number("bytes", bytes)]),
        ProgramsReply::Data { bytes } => message("data", vec![field("bytes", shown(bytes))]),
        ProgramsReply::NoProgram => message("no program", Vec::new()),
    }
}

fn stream_request(request: StreamRequest<'_>) -> Message {
    match request {
        StreamRequest::Read { position, max } => {
            message("read", vec![number("position", position), number("max", max.into())])
        }
        StreamRequest::Write { position, bytes } => {
            message("write", vec![number("position", position), field("bytes", shown(bytes))])
        }
    }
}

fn stream_reply(reply: StreamReply<'_>) -> Message {
    match reply {
        StreamReply::Data { bytes } => message("data", vec![field("bytes", shown(bytes))]),
        StreamReply::Written { count } => message("written", vec![number("count", count.into())]),
        StreamReply::Refused => message("refused", Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(message: impl serde::Serialize) -> Vec<u8> {
        postcard::to_allocvec(&message).unwrap_or_default()
    }

    #[test]
    fn messages_are_told_by_the_names_of_the_manual() {
        let read = request("stdin", &bytes_of(StreamRequest::Read { position: 7, max: 4096 }));
        assert_eq!(read, message("read", vec![number("position", 7), number("max", 4096)]));
        let found = request("parent", &bytes_of(ParentRequest::Lookup { name: "clock" }));
        assert_eq!(found, message("lookup", vec![text("name", "clock")]));
        let time = reply("clock", &bytes_of(ClockReply::Time { nanoseconds: 5 }));
        assert_eq!(time, message("time", vec![number("nanoseconds", 5)]));
        assert_eq!(reply("programs", &bytes_of(ProgramsReply::NoProgram)), message("no program", vec![]));
        let exit = request("parent", &bytes_of(ParentRequest::Exit { code: -3 }));
        assert_eq!(exit, message("exit", vec![field("code", Value::Signed(-3))]));
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_no_message_is_shown_as_it_is() {
        let long = [b'x'; 1000];
        let write = request("stdout", &bytes_of(StreamRequest::Write { position: 0, bytes: &long }));
        let start = vec![b'x'; MOST_SHOWN];
        assert_eq!(write.fields[1].1, Value::Bytes { start, count: 1000 });
        let name = "\u{e4}".repeat(40);
        let Value::Text(cut) = text("name", &name).1 else { panic!("a text") };
        assert!(name.starts_with(&cut) && cut.len() <= MOST_SHOWN);
        assert_eq!(request("clock", &[0xff]).verb, "");
    }
}

//! An environment as JSON, for scripts. 64-bit values are `"0x…"` strings: JSON's numbers cannot hold them. Field and
//! link names are those of the table of fields.

use flob_abi::FlobKind;
use serde_json::{Map, Value as Json, json};

use crate::fields::{self, Format, Value};
use crate::{Border, Environment, Flob, Link, Stream};

/// The whole environment.
pub fn to_json(environment: &Environment) -> Json {
    json!({
        "program": environment.program,
        "arguments": environment.arguments,
        "build_id": environment.build_id,
        "size": hex(environment.size),
        "clock": hex(environment.clock),
        "exit": environment.exit,
        "flobs": environment.flobs.iter().map(flob_to_json).collect::<Vec<_>>(),
        "streams": environment.streams.iter().map(stream_to_json).collect::<Vec<_>>(),
        "borders": environment.borders.iter().map(border_to_json).collect::<Vec<_>>(),
    })
}

/// One flob. The vector registers of a thread are left out if all of them are zero.
pub fn flob_to_json(flob: &Flob) -> Json {
    let kind = flob.state.kind();
    let vectors = kind != FlobKind::Thread || has_vectors(flob);
    let shown = fields::of(kind).iter().filter(|field| vectors || !field.name.starts_with("vectors."));
    let state: Map<String, Json> = shown
        .filter(|field| !field.is_reserved())
        .map(|field| (field.name.to_owned(), value_to_json(&field.value(&flob.state))))
        .collect();
    let links: Map<String, Json> = kind
        .links()
        .iter()
        .zip(&flob.links)
        .map(|(name, link)| ((*name).to_owned(), link_to_json(link)))
        .collect();
    json!({ "place": hex(flob.place), "kind": kind.name(), "state": state, "links": links })
}

/// The value of a field: a number or a truth value where JSON can hold it, else text.
pub fn value_to_json(value: &Value) -> Json {
    match (value.format(), value.width(), value.number()) {
        (Format::Bool, _, number @ 0..=1) => Json::Bool(number == 1),
        (Format::Decimal, ..=4, number) => Json::from(number),
        _ => Json::String(value.portable()),
    }
}

/// `null`, or text as in [`fields::parse_link`].
pub fn link_to_json(link: &Link) -> Json {
    if *link == Link::Null { Json::Null } else { Json::String(link.to_string()) }
}

fn stream_to_json(stream: &Stream) -> Json {
    json!({ "name": stream.name, "position": hex(stream.position), "hash": hex(stream.hash) })
}

fn border_to_json(border: &Border) -> Json {
    json!({
        "client": hex(border.client),
        "service": border.service,
        "request": hex_bytes(&border.request),
        "whole": border.whole,
        "delivered": hex(border.delivered),
        "reply": hex_bytes(&border.reply),
    })
}

pub(crate) fn has_vectors(flob: &Flob) -> bool {
    let mut vectors = fields::of(flob.state.kind()).iter().filter(|field| field.name.starts_with("vectors."));
    vectors.any(|field| !field.value(&flob.state).is_zero())
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn hex_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

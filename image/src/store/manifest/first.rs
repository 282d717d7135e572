//! Manifests of format version 1: one body, and the hash of the whole file as the name.
//!
//! ```text
//! 0    as in version 2
//! 16   u64 bytes of the body
//! 24   body: postcard of First
//! end  32 bytes: BLAKE3 of all before; also the checkpoint's full id
//! ```

use serde::Deserialize;

use super::{Chunk, Head, Manifest, Origin, PackReference, PageEntry, number};

const HEADER: usize = 24;

#[derive(Deserialize)]
struct First {
    writer: String,
    kernel: String,
    name: Option<String>,
    parent: Option<String>,
    origin: Origin,
    saved: u64,
    environment: Vec<u8>,
    packs: Vec<PackReference>,
    pages: Vec<PageEntry>,
    input: Vec<Chunk>,
    input_ended: bool,
}

/// The manifest in the bytes of a file, but for their checksum.
pub(super) fn parse(sealed: &[u8]) -> Option<Manifest> {
    let body = sealed.get(HEADER..)?;
    if number(sealed, 16) != body.len() as u64 {
        return None;
    }
    let First { writer, kernel, name, parent, origin, saved, environment, packs, pages, input, input_ended } =
        postcard::from_bytes(body).ok()?;
    let head = Head { writer, kernel, name, parent, origin, saved, environment, input, input_ended };
    Some(Manifest { head, packs, pages })
}

//! A space of a checkpoint as an ELF core file, as Linux writes one: plain gdb opens it, with no guest.
//!
//! ```text
//! ELF header, program headers
//! PT_NOTE   threads: registers and vectors
//! PT_LOAD   memory, a segment for each range of the space; pages of zeroes are holes of the file
//! ```

mod notes;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flob_abi::PAGE_SIZE;
use flob_image::{
    Environment, Link, Place, State,
    store::{Checkpoint, Progress, Step, StoreError, write_whole},
};
use flob_session::{
    Error,
    translate::{Segment, Translation},
};

const FILE_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// A core file to be written.
pub struct CoreFile<'a> {
    checkpoint: &'a Checkpoint,
    segments: Vec<Segment>,
    /// In the order of the file: their numbers count from 1. gdb chooses the first.
    pub threads: Vec<Place>,
    notes: Vec<u8>,
}

/// A program header.
struct Header {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl<'a> CoreFile<'a> {
    /// Of this space.
    pub fn new(checkpoint: &'a Checkpoint, space: Place) -> Result<Self, Error> {
        let environment = checkpoint.environment();
        let threads = threads_of(environment, space);
        if threads.is_empty() {
            return Err(Error::NotFound(
                "this space has no threads: there is nothing a core file could show".into(),
            ));
        }
        let segments = joined(Translation::new(environment).segments(space));
        if segments.len() > usize::from(u16::MAX) - 2 {
            return Err(Error::BadInput(
                "this space has more ranges of memory than a core file can hold".into(),
            ));
        }
        let notes = notes::of(environment, &threads);
        Ok(Self { checkpoint, segments, threads, notes })
    }

    /// Writes it; its bytes, holes counted.
    pub fn write(&self, path: &Path, replace: bool, progress: Progress<'_>) -> Result<u64, Error> {
        Ok(write_whole(path, replace, |file| self.write_to(path, file, progress))?)
    }

    fn write_to(&self, path: &Path, file: &File, progress: Progress<'_>) -> Result<(), StoreError> {
        let failed = |source| StoreError::io(format!("writing {}", path.display()), source);
        let headers = self.headers();
        let end = headers.last().map_or(0, |last| last.offset + last.size);
        file.set_len(end).map_err(failed)?;
        let mut beginning = file_header(headers.len());
        headers.iter().for_each(|header| header.append_to(&mut beginning));
        beginning.extend_from_slice(&self.notes);
        file.write_all_at(&beginning, 0).map_err(failed)?;
        let pages: Vec<u64> = self.checkpoint.pages().map(|(number, _)| number).collect();
        let total = self.segments.iter().map(|segment| within(&pages, segment).len() as u64).sum();
        let mut done = 0;
        progress(Step::Exporting, done, total);
        for (segment, header) in self.segments.iter().zip(headers.iter().skip(1)) {
            for page in within(&pages, segment).iter().map(|page| page * PAGE_SIZE) {
                let start = page.max(segment.place);
                let end = (page + PAGE_SIZE).min(segment.place + segment.size);
                let bytes = self.checkpoint.read(start, (end - start) as usize)?;
                file.write_all_at(&bytes, header.offset + (start - segment.place)).map_err(failed)?;
                done += 1;
                progress(Step::Exporting, done, total);
            }
        }
        Ok(())
    }

    /// The note first, then one for each segment; contents of segments begin on pages.
    fn headers(&self) -> Vec<Header> {
        let offset = FILE_HEADER + PROGRAM_HEADER * (self.segments.len() as u64 + 1);
        let note = Header { kind: PT_NOTE, offset, address: 0, size: self.notes.len() as u64 };
        let mut next = (note.offset + note.size).next_multiple_of(PAGE_SIZE);
        let mut headers = vec![note];
        for segment in &self.segments {
            headers.push(Header {
                kind: PT_LOAD,
                offset: next,
                address: segment.address,
                size: segment.size,
            });
            next = (next + segment.size).next_multiple_of(PAGE_SIZE);
        }
        headers
    }
}

/// Those of ascending page numbers that a segment has something of.
fn within<'a>(pages: &'a [u64], segment: &Segment) -> &'a [u64] {
    let first = pages.partition_point(|page| (page + 1) * PAGE_SIZE <= segment.place);
    let end = pages.partition_point(|page| page * PAGE_SIZE < segment.place + segment.size);
    pages.get(first..end).unwrap_or_default()
}

/// The threads of a space; one that died of an exception comes first.
fn threads_of(environment: &Environment, space: Place) -> Vec<Place> {
    let is_there = |flob: &&flob_image::Flob| {
        matches!(flob.state, State::Thread(_))
            && flob_image::fields::link(flob, "space") == Some(&Link::Flob(space))
    };
    let mut threads: Vec<&flob_image::Flob> = environment.flobs.iter().filter(is_there).collect();
    threads.sort_by_key(|flob| notes::signal(&flob.state) == 0);
    threads.into_iter().map(|flob| flob.place).collect()
}

/// Segments, those that follow each other in address and place made one.
fn joined(segments: &[Segment]) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::new();
    for segment in segments.iter().filter(|segment| segment.size != 0) {
        match joined.last_mut() {
            Some(last)
                if last.address + last.size == segment.address && last.place + last.size == segment.place =>
            {
                last.size += segment.size;
            }
            _ => joined.push(*segment),
        }
    }
    joined
}

fn file_header(headers: usize) -> Vec<u8> {
    // 64 bits, little-endian, version 1; the rest of the identification is zero.
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    // Type core, machine x86-64, version 1.
    bytes.extend_from_slice(&[4, 0, 62, 0, 1, 0, 0, 0]);
    for number in [0, FILE_HEADER, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    let sizes = [FILE_HEADER as u16, PROGRAM_HEADER as u16, headers as u16, 0, 0, 0];
    sizes.iter().for_each(|size| bytes.extend_from_slice(&size.to_le_bytes()));
    bytes
}

impl Header {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        // What may be done with memory is not in a checkpoint's segments: everything.
        let flags: u32 = if self.kind == PT_LOAD { 7 } else { 0 };
        let (memory, align) = if self.kind == PT_LOAD { (self.size, PAGE_SIZE) } else { (0, 4) };
        bytes.extend_from_slice(&self.kind.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        for number in [self.offset, self.address, 0, self.size, memory, align] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

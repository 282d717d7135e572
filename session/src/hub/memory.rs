//! Looking into the guest, and writing to it.

use flob_abi::PAGE_SIZE;
use flob_image::{Environment, Place};
use flob_link::{
    Change, Failure, FailureKind, Memory, Reply, Request,
    host::{LinkError, into_bytes},
    pack::unpack,
};

use super::{Hub, holds::members, lock};

/// Most bytes of one request of a client.
const MOST: u64 = 1 << 20;

impl Hub {
    /// The environment as it is now.
    pub(super) fn look(&self, vectors: bool) -> Result<Environment, Failure> {
        // If that fails it is no reason not to look.
        drop(self.find_out());
        let (held, replaced) = {
            let books = lock(&self.books);
            (books.holds.hold_everything(), books.replaced)
        };
        let generation = {
            let cache = lock(&self.cache);
            if let Some(environment) = cache.environment(vectors).filter(|_| held) {
                return Ok(environment);
            }
            cache.generation()
        };
        let environment = self.look_uncached(vectors)?;
        let mut books = lock(&self.books);
        // It may be of an environment that is gone by now.
        if books.replaced == replaced {
            books.seen = members(&environment);
        }
        drop(books);
        if held {
            lock(&self.cache).keep_environment(generation, vectors, &environment);
        }
        Ok(environment)
    }

    pub(super) fn look_uncached(&self, vectors: bool) -> Result<Environment, Failure> {
        // The guest keeps only a few long answers at a time.
        let _alone = lock(&self.looking);
        let record = self.link.long(Request::Look { vectors })?;
        parse_environment(&record)
    }

    /// Memory; short only where it ends.
    pub(super) fn read(&self, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Failure> {
        check_size(u64::from(count))?;
        let held = lock(&self.books).holds.hold_everything();
        let generation = lock(&self.cache).generation();
        let mut bytes = Vec::new();
        for (start, count) in pieces(address, u64::from(count)) {
            let piece = if held {
                self.read_known(generation, memory, start, count)
            } else {
                self.ask(&Request::Read { memory, address: start, count: count as u32 }).and_then(into_bytes)
            };
            match piece {
                Ok(piece) => {
                    let short = (piece.len() as u64) < count;
                    bytes.extend(piece);
                    if short {
                        break;
                    }
                }
                // The memory ends here: what came before is the answer.
                Err(LinkError::Refused(failure))
                    if failure.kind == FailureKind::NotFound && !bytes.is_empty() =>
                {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }

    /// A piece of a page, while everything stands still: the page is fetched once.
    fn read_known(
        &self,
        generation: u64,
        memory: Memory,
        start: u64,
        count: u64,
    ) -> Result<Vec<u8>, LinkError> {
        let page = start - start % PAGE_SIZE;
        let known = lock(&self.cache).piece(memory, page);
        let whole = match known {
            Some(whole) => whole,
            None => {
                let whole = into_bytes(self.ask(&Request::Read {
                    memory,
                    address: page,
                    count: PAGE_SIZE as u32,
                })?)?;
                lock(&self.cache).keep_piece(generation, memory, page, &whole);
                whole
            }
        };
        let from = (start - page) as usize;
        let to = whole.len().min(from + count as usize);
        Ok(whole.get(from..to).unwrap_or_default().to_vec())
    }

    /// Writes memory, a page after the other. An error says how much was written before.
    pub(super) fn write(&self, memory: Memory, address: u64, bytes: &[u8]) -> Result<(), Failure> {
        check_size(bytes.len() as u64)?;
        let written = pieces(address, bytes.len() as u64).try_for_each(|(start, count)| {
            let from = (start - address) as usize;
            let bytes = bytes.get(from..from + count as usize).unwrap_or_default().to_vec();
            let piece = self.ask(&Request::Write { memory, address: start, bytes }).map_err(Failure::from);
            piece.and_then(done).map_err(|failure| behind(address, start, failure))
        });
        self.changed();
        written
    }

    /// Changes a flob.
    pub(super) fn set(&self, place: Place, hash: u64, change: Change) -> Result<(), Failure> {
        let set = self.link.request(Request::Set { place, hash, change });
        self.changed();
        done(set?)
    }
}

/// A record of an environment.
pub(super) fn parse_environment(record: &[u8]) -> Result<Environment, Failure> {
    postcard::from_bytes(record).map_err(|error| Failure {
        kind: FailureKind::Invalid,
        text: format!("the guest's record of its environment does not parse: {error}"),
    })
}

/// The answer to something that gives nothing back.
pub(super) fn done(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(LinkError::unexpected(&other).into()),
    }
}

/// So many pages of an answer.
pub(super) fn pages(reply: Reply, count: usize) -> Result<Vec<u8>, Failure> {
    match reply {
        Reply::Pages(bulk) => Ok(bulk),
        Reply::Packed(packed) => unpack(&packed, count * PAGE_SIZE as usize).ok_or_else(|| Failure {
            kind: FailureKind::Guest,
            text: "the guest gave pages that do not unpack".into(),
        }),
        other => Err(LinkError::unexpected(&other).into()),
    }
}

fn check_size(count: u64) -> Result<(), Failure> {
    if count <= MOST {
        return Ok(());
    }
    Err(Failure { kind: FailureKind::Invalid, text: "at most 1 MiB of memory at a time".into() })
}

/// Why no more was written from here on, behind what was.
fn behind(address: u64, here: u64, failure: Failure) -> Failure {
    match here - address {
        0 => failure,
        written => {
            let text = format!(
                "{written} bytes were written from {address:#x} on, then at {here:#x}: {}",
                failure.text
            );
            Failure { text, ..failure }
        }
    }
}

/// A range cut at page boundaries, but not beyond the end of all addresses.
fn pieces(address: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = address.saturating_add(count);
    let mut next = address;
    std::iter::from_fn(move || {
        let start = next;
        let page_end = (start - start % PAGE_SIZE).saturating_add(PAGE_SIZE);
        next = page_end.min(end);
        (start < next).then(|| (start, next - start))
    })
}

//! Which pages need not travel because the store has them, asked by their hashes. On a fast line that is not worth it: hashing a
//! page takes the guest longer than sending it.

use std::{collections::HashSet, sync::atomic::AtomicBool};

use flob_image::store::Builder;
use flob_link::{Failure, FailureKind, HASH, MAX_HASHED_PAGES, Request, host::into_bytes};

use super::{Hub, requests::ProgressTo, runs, save::stop_if};

/// What became of the question.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Pages that have to travel.
    pub unknown: Vec<u64>,
    /// Pages that are the same as one of those.
    repeated: Vec<(u64, [u8; HASH])>,
}

impl Hub {
    /// Adds those of the pages that the store has.
    pub(super) fn known_pages(
        &self,
        pages: &[u64],
        builder: &mut Builder,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Known, Failure> {
        if self.capacity().is_lossless {
            return Ok(Known { unknown: pages.to_vec(), ..Known::default() });
        }
        let mut hashes = Vec::new();
        let batches = runs::named(pages, MAX_HASHED_PAGES);
        let requests = batches.iter().map(|runs| Request::SaveHashes { runs: runs.clone() });
        let total = pages.len() as u64;
        progress("hashes", 0, total);
        self.link.pipeline((0..).zip(requests), |index, reply| {
            stop_if(cancelled)?;
            hashes.extend(hashes_of(&batches, index, &into_bytes(reply)?)?);
            progress("hashes", hashes.len() as u64, total);
            Ok::<(), Failure>(())
        })?;
        hashes.sort_unstable();
        Ok(sort_out(hashes, builder))
    }
}

/// Each page of a batch with its hash.
fn hashes_of(
    batches: &[Vec<flob_link::Run>],
    index: u64,
    bytes: &[u8],
) -> Result<Vec<(u64, [u8; HASH])>, Failure> {
    let runs = usize::try_from(index).ok().and_then(|index| batches.get(index));
    let pages = runs.map_or(&[][..], Vec::as_slice);
    let (hashes, rest) = bytes.as_chunks::<HASH>();
    if hashes.len() != runs::numbers(pages).count() || !rest.is_empty() {
        let text = format!("the guest gave {} bytes of hashes", bytes.len());
        return Err(Failure { kind: FailureKind::Guest, text });
    }
    Ok(runs::numbers(pages).zip(hashes.iter().copied()).collect())
}

fn sort_out(hashes: Vec<(u64, [u8; HASH])>, builder: &mut Builder) -> Known {
    let mut known = Known::default();
    let mut coming = HashSet::new();
    for (page, hash) in hashes {
        if builder.add_stored_page(page, &hash) {
            continue;
        }
        if coming.insert(hash) {
            known.unknown.push(page);
        } else {
            known.repeated.push((page, hash));
        }
    }
    known
}

impl Known {
    /// Those that have to travel have come: adds the others.
    pub fn add_repeated(self, builder: &mut Builder) -> Result<(), Failure> {
        match self.repeated.iter().find(|(page, hash)| !builder.add_stored_page(*page, hash)) {
            None => Ok(()),
            Some((page, _)) => Err(Failure {
                kind: FailureKind::Guest,
                text: format!("the guest gave another page {page:#x} than it said"),
            }),
        }
    }
}

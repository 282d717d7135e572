//! Restoring a checkpoint: it is checked whole before the guest is touched, sent beside the present environment, and takes
//! its place only when everything is there.

use std::sync::atomic::AtomicBool;

use flob_abi::PAGE_SIZE;
use flob_image::{
    Environment, Stream,
    store::{Checkpoint, Spool, Store},
    verify::{self, Severity},
};
use flob_link::{CHUNK, Capacity, Failure, Reply, Request, Run, Scope, host::LinkError, pack::pack};

use super::{Hub, memory, replacing::Arriving, requests::ProgressTo, runs, save::stop_if};
use crate::{Error, Owner};

/// A checkpoint that was found whole.
pub(super) struct Prepared {
    /// Its id.
    pub id: String,
    checkpoint: Checkpoint,
    record: Vec<u8>,
}

/// How a checkpoint is restored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// What is odd is no reason not to; unknown external links become null.
    pub force: bool,
    /// The program runs before its memory is there.
    pub lazy: bool,
}

/// Loads a checkpoint and checks every byte of it, but not those of its memory if that is to follow lazily: then each page is
/// checked on its way. What cannot be restored as it stands is refused unless `force`.
pub(super) fn prepare(store: &Store, given: &str, Manner { force, lazy }: Manner) -> Result<Prepared, Error> {
    let checkpoint = store.load(given)?;
    let damage = if lazy { None } else { checkpoint.check().into_iter().next() };
    if let Some(damage) = damage {
        return Err(damage.into());
    }
    let findings = verify::verify(checkpoint.environment());
    let worst: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity() == Severity::Error)
        .map(|finding| format!("\n  {finding}"))
        .collect();
    if !worst.is_empty() && !force {
        return Err(Error::BadInput(format!(
            "checkpoint {} cannot be restored as it stands (try --force):{}",
            checkpoint.id(),
            worst.concat()
        )));
    }
    let record = postcard::to_allocvec(checkpoint.environment())
        .map_err(|error| Error::Internal(format!("a checkpoint's record does not encode: {error}")))?;
    Ok(Prepared { id: checkpoint.id(), checkpoint, record })
}

impl Prepared {
    /// Bytes of input that the program has been given, and their hash.
    pub fn consumed(&self) -> (u64, u64) {
        consumed(self.environment())
    }

    /// The input that was kept with it.
    pub fn spool(&self) -> Result<Spool, Error> {
        Ok(self.checkpoint.spool()?)
    }

    /// Whether all of its input was kept.
    pub fn has_whole_input(&self) -> bool {
        self.checkpoint.input_ended()
    }

    /// What it consists of.
    pub fn environment(&self) -> &Environment {
        self.checkpoint.environment()
    }

    fn pages(&self) -> Vec<u64> {
        self.checkpoint.pages().map(|(number, _)| number).collect()
    }
}

/// Bytes of input that the program of this environment has been given, and their hash.
pub(super) fn consumed(environment: &Environment) -> (u64, u64) {
    let named = |name| environment.streams.iter().find(|stream| stream.name == name);
    let input = named(Stream::STDIN_GIVEN).or_else(|| named("stdin"));
    input.map_or((0, flob_image::hash::FNV_START), |stream| (stream.position, stream.hash))
}

impl Hub {
    /// Restores a checkpoint in this guest; afterwards the user holds everything.
    pub(super) fn restore(
        &self,
        given: &str,
        manner: Manner,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<String, Failure> {
        let _alone = self.long_work.begin(cancelled, progress)?;
        progress("checking", 0, 0);
        let prepared = prepare(&self.store, given, manner)?;
        stop_if(cancelled)?;
        let id = prepared.id.clone();
        // The stream that the checkpoint was taken of: ours, unless we have less of it.
        let (position, hash) = prepared.consumed();
        let ours = self.input.so_far().hash(position).map_err(Error::from)?;
        let input = if ours == Some(hash) && position > 0 { None } else { Some(prepared.spool()?) };
        self.send_checkpoint((prepared, input), manner, cancelled, progress)?;
        Ok(id)
    }

    /// Restores into a guest that has nothing else; then the program runs unless it shall be paused.
    pub(super) fn begin_with(&self, prepared: Prepared, paused: bool, manner: Manner) -> Result<(), Error> {
        let has_ended = prepared.environment().exit.is_some();
        self.send_checkpoint((prepared, None), manner, &AtomicBool::new(false), &|_, _, _| ())?;
        // Of a program that had ended there is nothing to let go.
        if !paused && !has_ended {
            self.release(&Owner::User, Scope::Environment, false)?;
        }
        Ok(())
    }

    /// Puts a checkpoint in place, and its input in the place of ours if one is given. Until the guest has it nothing has changed; what
    /// may fail is done by then.
    fn send_checkpoint(
        &self,
        (prepared, input): (Prepared, Option<Spool>),
        manner: Manner,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(), Failure> {
        let before = self.over_the_line();
        let (record, size) = (prepared.record.len() as u64, prepared.environment().size);
        let environment = self.begin_restore(record, size, manner.lazy)?;
        let pages = if manner.lazy { Vec::new() } else { prepared.pages() };
        let put = self.send_contents(&prepared, &pages, cancelled, progress).and_then(|()| {
            let checkpoint = manner.lazy.then(|| prepared.checkpoint.clone());
            let supply =
                checkpoint.map(|checkpoint| self.prepare_supply(checkpoint, environment)).transpose()?;
            let elf = self.elf_of(prepared.environment());
            let arriving = Arriving { prepared, environment, elf, input, supply, before };
            // The last moment: nothing of it can be seen before.
            stop_if(cancelled)?;
            progress("building", 0, 0);
            self.put_in_place(arriving, manner.force)
        });
        if put.is_err() {
            // A guest that is gone has given up by itself.
            let _ = self.link.request(Request::RestoreAbandon);
        }
        put
    }

    pub(super) fn over_the_line(&self) -> u64 {
        self.link.received() + self.link.sent()
    }

    /// Has the guest make room for an environment; the number that this will have.
    pub(super) fn begin_restore(&self, record: u64, size: u64, is_lazy: bool) -> Result<u32, Failure> {
        match self.link.request(Request::RestoreBegin { record, size, is_lazy })? {
            Reply::Restoring { environment } => Ok(environment),
            other => Err(LinkError::unexpected(&other).into()),
        }
    }

    /// Sends the record of an environment that is being restored.
    pub(super) fn send_record(&self, record: &[u8]) -> Result<(), Failure> {
        let pieces = record.chunks(CHUNK).zip((0_u64..).step_by(CHUNK));
        let pieces =
            pieces.map(|(bytes, offset)| (offset, Request::RestoreRecord { offset, bytes: bytes.into() }));
        self.link.pipeline(pieces, |_, reply| memory::done(reply))
    }

    fn send_contents(
        &self,
        prepared: &Prepared,
        pages: &[u64],
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(), Failure> {
        let accepted = |_, reply: Reply| {
            stop_if(cancelled)?;
            memory::done(reply)
        };
        self.send_record(&prepared.record)?;

        let total = pages.len() as u64;
        let Capacity { is_lossless, to_guest, .. } = self.capacity();
        let batches = runs::batches(pages, to_guest);
        let mut damage = None;
        let mut read = |runs: Vec<Run>| {
            let count = runs::numbers(&runs).count();
            let mut bulk = Vec::with_capacity(count * PAGE_SIZE as usize);
            for page in runs::numbers(&runs) {
                match prepared.checkpoint.page(page) {
                    Ok(bytes) => bulk.extend_from_slice(bytes.as_slice()),
                    Err(error) => {
                        damage = Some(Error::from(error));
                        return None;
                    }
                }
            }
            let request = if is_lossless {
                Request::RestorePages { runs, bulk }
            } else {
                Request::RestorePacked { runs, packed: pack(&bulk) }
            };
            Some((count as u64, request))
        };
        let mut done = 0;
        progress("pages", 0, total);
        self.link.pipeline(batches.into_iter().map_while(&mut read), |count, reply| {
            accepted(count, reply)?;
            done += count;
            progress("pages", done, total);
            Ok::<(), Failure>(())
        })?;
        damage.map_or(Ok(()), |error| Err(error.into()))
    }
}

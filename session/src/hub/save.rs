//! Taking a checkpoint: the guest stands still while it makes its record, then goes on, and its memory as it was is fetched
//! into the store: all of it, or what has changed since the checkpoint that the new one builds on. Until the store has everything there is no new checkpoint; whatever ends a save early leaves the old
//! ones whole.

use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use flob_abi::PAGE_SIZE;
use flob_image::{
    Environment,
    store::{Builder, Details, Input as StoredInput, Origin},
};
use flob_link::{Failure, FailureKind, Mark, Reply, Request, Run, WaitKind, host::LinkError};

use super::{Hub, base::Base, lock, memory, requests::ProgressTo, runs, supply::checkpoint_of};
use crate::{Error, HubEvent, symbols};

/// What a save that waits for its moment hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// It has come.
    Come,
    /// Some long work was cancelled: this one, perhaps.
    LookAgain,
    /// It will not come, for this reason.
    Never(&'static str),
}

/// What is to be saved, and how.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// A name for it.
    pub name: Option<String>,
    /// The moment to wait for.
    pub when: Option<WaitKind>,
    /// All memory is fetched, whatever the store has of it.
    pub is_full: bool,
}

/// A save that the guest has begun.
struct Saving {
    record: Vec<u8>,
    mark: Mark,
    only_changes: bool,
}

/// Numbers of pages, ascending.
#[derive(Default)]
pub(super) struct Found {
    pub used: Vec<u64>,
    pub zero: Vec<u64>,
    /// Not in the guest yet, but in the checkpoint that was restored.
    pub missing: Vec<u64>,
}

impl Hub {
    /// Tells a save that waits for its moment, if one does.
    pub(super) fn tell_save(&self, moment: Moment) {
        if let Some(waiting) = &*lock(&self.moments) {
            // It may just have ended.
            let _ = waiting.send(moment);
        }
    }

    /// Saves a checkpoint; its id.
    pub(super) fn save(
        &self,
        order: Order,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<String, Failure> {
        let _alone = self.long_work.begin(cancelled, progress)?;
        let Order { name, when, is_full } = order;
        let (mut builder, since) = self.begin_checkpoint(is_full)?;
        let fetched = self.fetch(when, since, &mut builder, cancelled, progress);
        // Whatever became of the save, the program goes on. A guest that is gone needs nothing.
        let ended = self.link.request(Request::SaveEnd);
        let (environment, mark) = fetched?;
        ended?;
        stop_if(cancelled)?;
        let id = self.finish_save(builder, &environment, name)?;
        lock(&self.info).checkpoint = Some(id.clone());
        *lock(&self.base) = Some(Base { checkpoint: id.clone(), mark });
        self.tell(HubEvent::Saved(id.clone()));
        Ok(id)
    }

    /// Something was cancelled: those who wait for their turn or their moment look whether it was they.
    pub(super) fn wake_long_work(&self) {
        self.long_work.look_again();
        self.tell_save(Moment::LookAgain);
        self.wake_those_who_await_pages();
    }

    /// Fetches the environment and its pages.
    fn fetch(
        &self,
        when: Option<WaitKind>,
        since: Option<Mark>,
        builder: &mut Builder,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(Environment, Mark), Failure> {
        // Before the guest says what is missing: by then it may have arrived.
        let supply = lock(&self.supply).clone();
        let saving = self.begin_save(when, since, cancelled, progress)?;
        if since.is_some() && !saving.only_changes {
            *builder = self.begin_whole()?;
        }
        let environment = memory::parse_environment(&saving.record)?;
        let found = self.survey(environment.size.div_ceil(PAGE_SIZE), cancelled)?;
        for page in found.zero {
            add(builder, page, &[0; PAGE_SIZE as usize])?;
        }
        if !found.missing.is_empty() {
            let checkpoint = checkpoint_of(supply.as_deref())?;
            for page in found.missing {
                stop_if(cancelled)?;
                add(builder, page, checkpoint.page(page).map_err(Error::from)?.as_slice())?;
            }
        }
        let known = self.known_pages(&found.used, builder, cancelled, progress)?;
        self.fetch_pages(&known.unknown, builder, cancelled, progress)?;
        known.add_repeated(builder)?;
        Ok((environment, saving.mark))
    }

    fn fetch_pages(
        &self,
        pages: &[u64],
        builder: &mut Builder,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(), Failure> {
        let total = pages.len() as u64;
        let mut done = 0;
        progress("pages", 0, total);
        self.fetch_runs(pages, |runs, bytes| {
            stop_if(cancelled)?;
            for (page, bytes) in runs::split(runs, &bytes)? {
                add(builder, page, bytes)?;
                done += 1;
            }
            progress("pages", done, total);
            Ok(())
        })
    }

    /// Fetches pages of a save that is on, as many at once as the line carries.
    pub(super) fn fetch_runs(
        &self,
        pages: &[u64],
        mut take: impl FnMut(&[Run], Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let batches = runs::batches(pages, self.capacity().to_host);
        let requests = batches.iter().map(|runs| Request::SavePages { runs: runs.clone() });
        self.link.pipeline((0..).zip(requests), |index, reply| {
            let runs = usize::try_from(index).ok().and_then(|index| batches.get(index));
            let runs = runs.map_or(&[][..], Vec::as_slice);
            take(runs, memory::pages(reply, runs::numbers(runs).count())?)
        })
    }

    fn begin_save(
        &self,
        when: Option<WaitKind>,
        since: Option<Mark>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Saving, Failure> {
        let (sender, moments) = mpsc::channel();
        *lock(&self.moments) = Some(sender);
        let saving = self.begin_save_at(when, since, &moments, cancelled, progress);
        *lock(&self.moments) = None;
        saving
    }

    fn begin_save_at(
        &self,
        when: Option<WaitKind>,
        since: Option<Mark>,
        moments: &mpsc::Receiver<Moment>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Saving, Failure> {
        let mut reply = self.link.request(Request::SaveBegin { when, since })?;
        if reply == Reply::Waiting {
            progress("waiting for the moment", 0, 0);
            loop {
                // Nothing more comes when the session ends.
                let moment = moments.recv();
                stop_if(cancelled)?;
                match moment.map_err(|_| LinkError::Ended)? {
                    Moment::Come => break,
                    Moment::LookAgain => {}
                    Moment::Never(why) => {
                        return Err(Failure { kind: FailureKind::State, text: why.into() });
                    }
                }
            }
            reply = self.link.request(Request::SaveBegin { when: None, since })?;
        }
        match reply {
            Reply::Saving { answer, size, mark, only_changes } => {
                Ok(Saving { record: self.link.fetch(answer, size)?, mark, only_changes })
            }
            other => Err(LinkError::unexpected(&other).into()),
        }
    }

    /// What is to be saved of so many pages.
    pub(super) fn survey(&self, count: u64, cancelled: &AtomicBool) -> Result<Found, Failure> {
        let mut found = Found::default();
        let mut from = 0;
        while from < count {
            stop_if(cancelled)?;
            match self.link.request(Request::SaveSurvey { from })? {
                Reply::Survey { used, zero, missing, next } if next > from => {
                    found.used.extend(runs::numbers(&used));
                    found.zero.extend(runs::numbers(&zero));
                    found.missing.extend(runs::numbers(&missing));
                    from = next;
                }
                other => return Err(LinkError::unexpected(&other).into()),
            }
        }
        Ok(found)
    }

    fn finish_save(
        &self,
        builder: Builder,
        environment: &Environment,
        name: Option<String>,
    ) -> Result<String, Failure> {
        // A file on standard input is kept whole, so that a restore needs it no more.
        self.input.wait_for_file();
        let program = self.program.as_deref().filter(|elf| symbols::is_program_of(elf, environment));
        let restored = lock(&self.info).restored;
        // The store may take long: input goes on, and the session can end.
        let input = self.input.so_far();
        let details = Details {
            name,
            origin: if restored { Origin::Restored } else { Origin::Saved },
            kernel: self.kernel.clone(),
            program,
            input: StoredInput::Spool(&input),
        };
        Ok(builder.finish(environment, details).map_err(Error::from)?)
    }
}

fn add(builder: &mut Builder, page: u64, bytes: &[u8]) -> Result<(), Failure> {
    Ok(builder.add_page(page, bytes).map_err(Error::from)?)
}

pub(super) fn stop_if(cancelled: &AtomicBool) -> Result<(), Failure> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(Failure { kind: FailureKind::State, text: "cancelled: everything is as it was".into() });
    }
    Ok(())
}

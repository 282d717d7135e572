//! Taking a checkpoint: the guest stands still while it makes its record, then goes on, and its memory as it was is fetched
//! into the store. Until the store has everything there is no new checkpoint; whatever ends a save early leaves the old
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
use flob_link::{Failure, FailureKind, Reply, Request, WaitKind, host::LinkError};

use super::{Hub, lock, memory, requests::ProgressTo, runs};
use crate::{Error, HubEvent, symbols};

/// Pages asked for in one bitmap: while the guest looks at them it does nothing else.
const PAGES_AT_ONCE: u32 = 2048;

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
        name: Option<String>,
        when: Option<WaitKind>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<String, Failure> {
        let _alone = self.long_work.begin(cancelled, progress)?;
        let parent = lock(&self.info).checkpoint.clone();
        // A parent that was removed meanwhile is no reason not to save.
        let mut builder = match self.store.begin(parent.as_deref()) {
            Err(_) if parent.is_some() => self.store.begin(None),
            other => other,
        }
        .map_err(Error::from)?;
        let fetched = self.fetch(when, &mut builder, cancelled, progress);
        // Whatever became of the save, the program goes on. A guest that is gone needs nothing.
        let ended = self.link.request(Request::SaveEnd);
        let environment = fetched?;
        ended?;
        let id = self.finish_save(builder, &environment, name)?;
        lock(&self.info).checkpoint = Some(id.clone());
        self.tell(HubEvent::Saved(id.clone()));
        Ok(id)
    }

    /// Something was cancelled: those who wait for their turn or their moment look whether it was they.
    pub(super) fn wake_long_work(&self) {
        self.long_work.look_again();
        self.tell_save(Moment::LookAgain);
    }

    fn fetch(
        &self,
        when: Option<WaitKind>,
        builder: &mut Builder,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Environment, Failure> {
        let record = self.begin_save(when, cancelled, progress)?;
        let environment = memory::parse_environment(&record)?;
        let pages = self.used_pages(environment.size.div_ceil(PAGE_SIZE))?;
        let total = pages.len() as u64;
        let mut done = 0;
        progress("pages", 0, total);
        let batches = runs::batches(&pages, self.capacity().to_host);
        let requests = batches.iter().map(|runs| Request::SavePages { runs: runs.clone() });
        self.link.pipeline((0..).zip(requests), |index, reply| {
            stop_if(cancelled)?;
            let runs = usize::try_from(index).ok().and_then(|index| batches.get(index));
            for (page, bytes) in runs::split(runs.map_or(&[], Vec::as_slice), &memory::pages(reply)?)? {
                builder.add_page(page, bytes).map_err(|error| Failure::from(Error::from(error)))?;
                done += 1;
            }
            progress("pages", done, total);
            Ok::<(), Failure>(())
        })?;
        Ok(environment)
    }

    fn begin_save(
        &self,
        when: Option<WaitKind>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let (sender, moments) = mpsc::channel();
        *lock(&self.moments) = Some(sender);
        let record = self.begin_save_at(when, &moments, cancelled, progress);
        *lock(&self.moments) = None;
        record
    }

    fn begin_save_at(
        &self,
        when: Option<WaitKind>,
        moments: &mpsc::Receiver<Moment>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let mut reply = self.link.request(Request::SaveBegin { when, run_on: true })?;
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
            reply = self.link.request(Request::SaveBegin { when: None, run_on: true })?;
        }
        match reply {
            Reply::Long { answer, size } => Ok(self.link.fetch(answer, size)?),
            other => Err(LinkError::Unexpected(format!("{other:?}")).into()),
        }
    }

    /// Numbers of the pages that are not all zero.
    fn used_pages(&self, count: u64) -> Result<Vec<u64>, Failure> {
        let mut used = Vec::new();
        let mut first = 0;
        while first < count {
            let now = (count - first).min(u64::from(PAGES_AT_ONCE));
            let bits = self.link.bytes(Request::SaveUsed { first, count: now as u32 })?;
            let is_used = |page: &u64| {
                let (byte, bit) = (usize::try_from(page / 8).unwrap_or(usize::MAX), page % 8);
                bits.get(byte).is_some_and(|byte| byte >> bit & 1 == 1)
            };
            used.extend((0..now).filter(is_used).map(|page| first + page));
            first += now;
        }
        Ok(used)
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
        let saved = self.input.with_spool(|spool| {
            let details = Details {
                name,
                origin: if restored { Origin::Restored } else { Origin::Saved },
                kernel: self.kernel.clone(),
                program,
                input: StoredInput::Spool(spool),
            };
            builder.finish(environment, details)
        });
        Ok(saved.map_err(Error::from)?)
    }
}

pub(super) fn stop_if(cancelled: &AtomicBool) -> Result<(), Failure> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(Failure { kind: FailureKind::State, text: "cancelled".into() });
    }
    Ok(())
}

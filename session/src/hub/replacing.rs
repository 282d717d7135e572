//! Another environment takes the place of the present one: because somebody here has asked for it, or because the guest came after all to
//! an order that was given up. Either way the books and the supply of pages change at once, and what is still to be done then cannot
//! fail: once the guest has it in place it is in place here.

use std::{path::PathBuf, sync::Arc};

use flob_image::{Environment, store::Spool};
use flob_link::{Failure, Mark, Reply, Request, Scope, host::LinkError};

use super::{Books, Hub, base::Base, lock, restore::Prepared, supply::Supply};
use crate::{HubEvent, Owner};

/// A checkpoint that the guest is asked to put in place, with all that is to be done here when it has: at once, or when it is heard of
/// again.
pub(super) struct Arriving {
    pub prepared: Prepared,
    /// The number that its environment has then.
    pub environment: u32,
    /// The ELF of its program.
    pub elf: Option<PathBuf>,
    /// Its input, unless it goes on with ours.
    pub input: Option<Spool>,
    /// Of a lazy restore: what brings its pages. It begins when the environment does.
    pub supply: Option<Arc<Supply>>,
    /// Bytes that had gone over the line before.
    pub before: u64,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(supply) = &self.supply {
            supply.stop();
        }
    }
}

/// What is in place and has not been looked at since, by how it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Another guest is there, met as it is.
    Guest,
    /// The program began anew here.
    Begun,
    /// Nobody waited for it any more.
    Unasked {
        /// It was restored, and did not begin anew.
        is_restored: bool,
    },
}

/// Which environment the guest's word is of that one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The one that was put in place here.
    Ours,
    /// One that nobody waited for any more.
    Unasked,
    /// One that has been replaced since.
    Over,
}

impl Hub {
    /// Has the guest put another environment in the place of this one. All threads of that are stopped: the user holds them, and what was
    /// held before is over, at once: whoever hears of it may hold or let go. What the guest tells of the one before is not entered any more.
    pub(super) fn replace(&self, request: Request, unknown: Option<Unknown>) -> Result<(), LinkError> {
        self.replace_with(request, None, unknown)
    }

    /// Has the guest put this checkpoint in place. If it does not answer it may do so all the same: then that is heard of later.
    pub(super) fn put_in_place(&self, arriving: Arriving, force: bool) -> Result<(), Failure> {
        self.replace_with(Request::RestoreCommit { force }, Some(arriving), None)?;
        self.put_breakpoints_in();
        Ok(())
    }

    /// What was asked for is forgotten, unless it may be done later.
    fn replace_with(
        &self,
        request: Request,
        arriving: Option<Arriving>,
        unknown: Option<Unknown>,
    ) -> Result<(), LinkError> {
        let mut books = lock(&self.books);
        let mark = match self.link.request(request) {
            Ok(Reply::Replaced(mark)) => mark,
            Ok(other) => return Err(LinkError::unexpected(&other)),
            Err(error) => {
                if matches!(error, LinkError::InDoubt(_)) {
                    books.arriving = arriving;
                }
                return Err(error);
            }
        };
        self.begins(&mut books, mark, arriving);
        books.unknown = unknown;
        books.is_unannounced = true;
        drop(books);
        // What is there now has not ended, whatever was there before.
        lock(&self.info).progress.exit = None;
        Ok(())
    }

    /// From now on the books are of this environment, and its pages come from this checkpoint if any are missing. All that goes with it
    /// changes at once: another one may come any time.
    fn begins(&self, books: &mut Books, mark: Mark, mut arrived: Option<Arriving>) {
        let supply = arrived.as_mut().and_then(|arrived| arrived.supply.take());
        books.begin_anew();
        books.environment = Some(mark.environment);
        books.is_supplied = supply.is_some();
        self.supply_from(supply);
        lock(&self.cache).clear();
        *lock(&self.base) = None;
        if let Some(mut arrived) = arrived {
            self.input.replaced(arrived.input.take());
            let (id, environment) = (arrived.prepared.id.clone(), arrived.prepared.environment());
            self.output.begin_at(&environment.streams);
            lock(&self.info).restore_bytes = self.over_the_line() - arrived.before;
            self.describe(environment, arrived.elf.clone(), Some(id.clone()), true);
            *lock(&self.base) = Some(Base { checkpoint: id, mark });
        }
    }

    /// The guest has restored or restarted a program after all, when nobody waited for that any more: the user holds it. If it is the
    /// checkpoint that was asked for, all is as if the answer had come; else what is there is found out.
    pub(super) fn replaced_unasked(&self, mark: Mark, is_restored: bool) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        let is_it = |arriving: &mut Arriving| is_restored && arriving.environment == mark.environment;
        let asked = books.arriving.take_if(is_it);
        let id = asked.as_ref().map(|asked| asked.prepared.id.clone());
        self.begins(&mut books, mark, asked);
        if id.is_some() {
            drop(books);
            self.put_breakpoints_in();
            self.tell(HubEvent::Arrived(id));
            return Ok(());
        }
        books.unknown = Some(Unknown::Unasked { is_restored });
        drop(books);
        self.find_out()
    }

    /// The environment is this new one, which is of this checkpoint, or not.
    pub(super) fn environment_replaced(
        &self,
        environment: &Environment,
        checkpoint: Option<String>,
        restored: bool,
    ) {
        self.describe(environment, self.elf_of(environment), checkpoint, restored);
        self.put_breakpoints_in();
    }

    /// Puts breakpoints into an environment that has just come, and tells that it has.
    pub(super) fn put_breakpoints_in(&self) {
        let mut books = lock(&self.books);
        for location in books.points.locations() {
            // Where there is no such code any more, there is nothing to stop at.
            let _ = self.settle_code(&mut books, location);
        }
        drop(books);
        self.changed();
    }

    pub(super) fn describe(
        &self,
        environment: &Environment,
        elf: Option<PathBuf>,
        checkpoint: Option<String>,
        restored: bool,
    ) {
        let mut info = lock(&self.info);
        info.checkpoint = checkpoint;
        info.restored = restored;
        info.program.clone_from(&environment.program);
        info.arguments = environment.arguments.iter().skip(1).cloned().collect();
        info.elf = elf;
    }
}

impl Books {
    /// There is another environment, which the user holds.
    fn begin_anew(&mut self) {
        self.replaced += 1;
        self.holds.clear();
        self.until_stop.clear();
        self.seen.clear();
        self.arriving = None;
        self.unsupplied = None;
        self.unknown = None;
        self.holds.add(&Owner::User, Scope::Environment, &[]);
    }

    /// The guest tells that an environment begins.
    pub(super) fn hear_of(&mut self, mark: Mark) -> Beginning {
        let is_ours = self.environment == Some(mark.environment);
        match (self.is_unannounced, is_ours) {
            (true, true) => {
                self.is_unannounced = false;
                Beginning::Ours
            }
            (true, false) => Beginning::Over,
            (false, _) => Beginning::Unasked,
        }
    }
}

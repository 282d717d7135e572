//! An environment that came into place without being known: what it is shows a look, and if that fails the next one. What the guest has
//! done is done meanwhile, and told as that.

use flob_link::Failure;

use super::{Hub, lock, replacing::Unknown, restore::consumed};
use crate::{Error, HubEvent};

impl Hub {
    /// Looks at what is in place, if nobody has since it came there.
    pub(super) fn find_out(&self) -> Result<(), Failure> {
        let (unknown, replaced) = {
            let books = lock(&self.books);
            (books.unknown, books.replaced)
        };
        let Some(unknown) = unknown else { return Ok(()) };
        if unknown == Unknown::Guest {
            self.clear_up()?;
        }
        let environment = self.look_uncached(false)?;
        self.keep_known_program(&environment);
        let elf = self.elf_of(&environment);
        let input = match unknown {
            Unknown::Guest => Some(Some(self.spool_from(&environment)?)),
            Unknown::Begun => None,
            // What it has read we may have.
            Unknown::Unasked { .. } => {
                let (position, hash) = consumed(&environment);
                let ours = self.input.so_far();
                let is_ours = ours.has_beginning() && ours.hash(position).map_err(Error::from)? == Some(hash);
                Some(if is_ours { None } else { Some(self.spool_from(&environment)?) })
            }
        };
        let mut books = lock(&self.books);
        // Another one may have come into place since, or somebody else has found it out.
        if books.replaced != replaced || books.unknown.take().is_none() {
            return Ok(());
        }
        let is_restored = unknown == Unknown::Unasked { is_restored: true };
        if let Some(input) = input {
            self.output.begin_at(&environment.streams);
            self.input.replaced(input);
        }
        self.describe(&environment, elf, None, is_restored);
        drop(books);
        self.put_breakpoints_in();
        if is_restored {
            self.tell(HubEvent::Arrived(None));
        }
        Ok(())
    }
}

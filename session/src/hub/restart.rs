//! The program from its beginning, in the same guest: what it was is gone, its input begins anew. Whoever wants it back has it
//! remembered before ([`crate::LongRequest::Remember`]).

use std::sync::atomic::AtomicBool;

use flob_link::{Failure, Request};

use super::{Hub, lock, replacing::Unknown, requests::ProgressTo};
use crate::Error;

impl Hub {
    /// Begins the program anew, with other arguments if any are given; afterwards the user holds everything.
    pub(super) fn restart(
        &self,
        arguments: Option<Vec<String>>,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(), Failure> {
        let _alone = self.long_work.begin(cancelled, progress)?;
        progress("loading", 0, 0);
        let program = lock(&self.info).program.clone();
        let command =
            arguments.clone().map(|arguments| [vec![program], arguments].concat()).unwrap_or_default();
        let is_whole = self.input.so_far().has_beginning();
        // What was read before anybody kept it cannot be read again: what is typed from now on is its input.
        let fresh = if is_whole { None } else { Some(self.store.spool().map_err(Error::from)?) };
        self.replace(Request::Restart { command }, Some(Unknown::Begun))?;
        self.output.begin_at(&[]);
        self.input.replaced(fresh);
        {
            let mut info = lock(&self.info);
            // No checkpoint is of this memory.
            (info.checkpoint, info.restored) = (None, false);
            info.arguments = arguments.unwrap_or_else(|| info.arguments.clone());
        }
        // It has begun anew, whether or not that can be looked at now.
        if self.find_out().is_err() {
            self.changed();
        }
        Ok(())
    }
}

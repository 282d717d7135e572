//! What an incremental save builds on: a checkpoint that the store has whole, and the moment of the guest's memory it is of.
//!
//! The guest remembers nothing: a save that fails or is cancelled leaves the base as it was, and with it everything that
//! has changed since.

use flob_image::store::Builder;
use flob_link::{Failure, Mark};

use super::{Hub, lock};
use crate::Error;

/// A checkpoint and its moment.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// Its id.
    pub checkpoint: String,
    /// In the guest.
    pub mark: Mark,
}

impl Hub {
    /// Begins a checkpoint. With a moment, it has all pages of the one that was taken then; what has changed since is to be added.
    pub(super) fn begin_checkpoint(&self, is_full: bool) -> Result<(Builder, Option<Mark>), Failure> {
        if !is_full && let Some(begun) = self.begin_on_base() {
            return Ok(begun);
        }
        self.begin_whole().map(|builder| (builder, None))
    }

    /// Begins a checkpoint without pages.
    pub(super) fn begin_whole(&self) -> Result<Builder, Failure> {
        let parent = lock(&self.info).checkpoint.clone();
        // A parent that was removed meanwhile is no reason not to save.
        let builder = match self.store.begin(parent.as_deref()) {
            Err(_) if parent.is_some() => self.store.begin(None),
            other => other,
        };
        Ok(builder.map_err(Error::from)?)
    }

    /// `None` if there is nothing to build on, or it is damaged.
    fn begin_on_base(&self) -> Option<(Builder, Option<Mark>)> {
        let parent = lock(&self.info).checkpoint.clone()?;
        let base = lock(&self.base).clone().filter(|base| base.checkpoint == parent)?;
        let mut builder = self.store.begin(Some(&parent)).ok()?;
        let checkpoint = self.store.load(&parent).ok()?;
        builder.add_pages_of(&checkpoint).ok()?;
        Some((builder, Some(base.mark)))
    }
}

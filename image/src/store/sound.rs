//! Packs that this process has written, or read whole and found right. Saves build on those of others, and a checkpoint must not
//! be born damaged; but a pack that was not written since need not be read again for each save.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::manifest::Hash;
use super::{Store, pack};

/// The stamp that each had.
#[derive(Default)]
pub(super) struct Sound(Mutex<HashMap<Hash, String>>);

impl Store {
    /// Whether a pack can be relied upon. It is read, unless it is still the file that was found right before.
    pub(super) fn is_sound(&self, name: &Hash) -> bool {
        let stamp = self.stamp(name);
        let known = self.sound.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if stamp.is_some() && stamp == known {
            return true;
        }
        let is_sound = self.check_pack(name).is_ok();
        // One that was written while it was read is read again the next time.
        match stamp.filter(|stamp| is_sound && self.stamp(name).as_ref() == Some(stamp)) {
            Some(stamp) => self.remember(name, Some(stamp)),
            None => self.remember(name, None),
        }
        is_sound
    }

    /// Notes a pack that was just written.
    pub(super) fn note_sound(&self, name: &Hash) {
        self.remember(name, self.stamp(name));
    }

    fn stamp(&self, name: &Hash) -> Option<String> {
        // Where there is none it is read each time.
        self.backend.stamp(&pack::path(name)).ok().flatten()
    }

    fn remember(&self, name: &Hash, stamp: Option<String>) {
        let mut known = self.sound.0.lock().unwrap_or_else(PoisonError::into_inner);
        match stamp {
            Some(stamp) => known.insert(*name, stamp),
            None => known.remove(name),
        };
    }
}

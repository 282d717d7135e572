//! Files that this process has written, or read whole and found right. Saves build on packs of others, and a checkpoint must not
//! be born damaged; but what was not written since need not be read again for each save.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::manifest::Hash;
use super::{Store, pack};

/// The stamp that each had, by its path.
#[derive(Default)]
pub(super) struct Sound(Mutex<HashMap<String, String>>);

impl Store {
    /// Whether a pack can be relied upon. It is read, unless it is still the file that was found right before.
    pub(super) fn is_sound(&self, name: &Hash) -> bool {
        let path = pack::path(name);
        let stamp = self.stamp(&path);
        if stamp.is_some() && stamp == self.known_stamp(&path) {
            return true;
        }
        let is_sound = self.check_pack(name).is_ok();
        // One that was written while it was read is read again the next time.
        match stamp.filter(|stamp| is_sound && self.stamp(&path).as_ref() == Some(stamp)) {
            Some(stamp) => self.remember(path, Some(stamp)),
            None => self.remember(path, None),
        }
        is_sound
    }

    /// Whether a file is still the one that was found right before.
    pub(super) fn is_unchanged(&self, path: &str) -> bool {
        self.known_stamp(path).is_some_and(|known| self.stamp(path) == Some(known))
    }

    /// Notes a file that was just written, or found right.
    pub(super) fn note_sound(&self, path: &str) {
        self.remember(path.to_owned(), self.stamp(path));
    }

    fn stamp(&self, path: &str) -> Option<String> {
        // Where there is none it is read each time.
        self.backend.stamp(path).ok().flatten()
    }

    fn known_stamp(&self, path: &str) -> Option<String> {
        self.sound.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn remember(&self, path: String, stamp: Option<String>) {
        let mut known = self.sound.0.lock().unwrap_or_else(PoisonError::into_inner);
        match stamp {
            Some(stamp) => known.insert(path, stamp),
            None => known.remove(&path),
        };
    }
}

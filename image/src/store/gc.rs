//! Removing checkpoints, and freeing what no checkpoint needs.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::backend::Entry;
use super::{Progress, Step, Store, StoreError};

/// A program is freed only when it is this old: it may be put long before the checkpoint that needs it.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// What was freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files.
    pub files: usize,
    /// Bytes.
    pub bytes: u64,
}

impl Store {
    /// Removes a checkpoint, damaged or not, and frees what only it needed. Its children stay.
    ///
    /// # Errors
    /// If there is none such or it cannot be removed.
    pub fn remove(&self, given: &str) -> Result<Freed, StoreError> {
        let path = format!("checkpoints/{}.flob", self.resolve_full(given)?);
        let removed = self.backend.delete(&path);
        removed.map_err(|source| StoreError::io(format!("removing {}", self.backend.name(&path)), source))?;
        // The checkpoint is gone; that another one is damaged, or another process is saving, is no reason to fail.
        match self.gc() {
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => Ok(Freed::default()),
            other => other,
        }
    }

    /// Frees packs, input and programs that no checkpoint needs. Does nothing while another process saves.
    ///
    /// # Errors
    /// If a manifest is damaged: then nobody knows what it needs. Remove it first.
    pub fn gc(&self) -> Result<Freed, StoreError> {
        self.gc_with(&mut |_, _, _| ())
    }

    /// The same, and tells how far it is.
    ///
    /// # Errors
    /// As [`Store::gc`].
    pub fn gc_with(&self, progress: Progress<'_>) -> Result<Freed, StoreError> {
        let Some(lock) = self.lock_for_freeing()? else { return Ok(Freed::default()) };
        for folder in ["checkpoints", "packs", "input", "programs"] {
            let swept = self.backend.sweep(folder);
            swept.map_err(|source| StoreError::io(format!("cleaning up {folder}"), source))?;
        }
        // The lock before the manifests: what it speaks for has none yet, or has it by the time that they are read.
        let mut needed: HashSet<String> = lock.spoken_for().iter().cloned().collect();
        needed.extend(self.needed(progress)?);
        let useless = self.useless(&needed)?;
        let total = useless.len() as u64;
        progress(Step::Removing, 0, total);
        let mut freed = Freed::default();
        for (path, size) in useless {
            let deleted = lock.check().and_then(|()| self.backend.delete(&path));
            deleted.map_err(|source| StoreError::io(format!("removing {path}"), source))?;
            freed.files += 1;
            freed.bytes += size;
            progress(Step::Removing, freed.files as u64, total);
        }
        Ok(freed)
    }

    /// Paths and bytes of files that can go.
    fn useless(&self, needed: &HashSet<String>) -> Result<Vec<(String, u64)>, StoreError> {
        let mut useless = Vec::new();
        for (folder, wait) in [("packs", false), ("input", false), ("programs", true)] {
            let can_go = |entry: &Entry| !needed.contains(&key(folder, entry)) && (!wait || is_old(entry));
            let found = self.entries(folder)?.into_iter().filter(can_go);
            useless.extend(found.map(|entry| (format!("{folder}/{}", entry.name), entry.size)));
        }
        Ok(useless)
    }

    fn needed(&self, progress: Progress<'_>) -> Result<HashSet<String>, StoreError> {
        let mut needed = HashSet::new();
        let manifests = self.manifest_entries()?;
        let total = manifests.len() as u64;
        for (done, (full, _)) in (0..).zip(&manifests) {
            progress(Step::Finding, done, total);
            let checkpoint = match self.load_full(full) {
                Err(StoreError::NotFound(_)) => continue,
                other => other?,
            };
            needed.extend(checkpoint.manifest.needed(&checkpoint.environment().build_id));
        }
        Ok(needed)
    }
}

/// By what a file is known to be needed: its path, or for a program the build id.
fn key(folder: &str, entry: &Entry) -> String {
    let name =
        if folder == "programs" { entry.name.split('-').next().unwrap_or_default() } else { &entry.name };
    format!("{folder}/{name}")
}

fn is_old(entry: &Entry) -> bool {
    SystemTime::now().duration_since(entry.modified).is_ok_and(|age| age > OLD)
}

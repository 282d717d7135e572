//! Pages that the store has already, by what is in them: they need not be stored again.
//!
//! Each manifest is read once by a process, not again for each save; what is known of it stays true, because it never changes.
//! Whether the pack is still there and sound is looked at when a page is built upon.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::manifest::Hash;
use super::{Store, StoreError};

/// How many of the newest checkpoints are searched, besides the parent.
const SEARCHED: usize = 16;
/// With more pages than this everything is forgotten and read anew.
const MOST: usize = 4 << 20;

/// Where a page can be found.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub pack: Hash,
    /// Pages of the pack.
    pub pages: u32,
    pub slot: u32,
}

/// What is known of the store's pages.
#[derive(Default)]
pub(super) struct Places(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Those that were read.
    manifests: HashSet<String>,
    /// Those that were passed over for newer ones.
    passed_over: HashSet<String>,
    pages: HashMap<Hash, Stored>,
}

impl Store {
    /// Reads the parent's manifest and the newest ones, unless they were read before.
    pub(super) fn learn_places(&self, parent: Option<&str>) -> Result<(), StoreError> {
        let mut known = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.pages.len() > MOST {
            *known = Known::default();
        }
        // What a store has says less than when it was written, but at a fraction of the time.
        let is_old = |name: &String| known.manifests.contains(name) || known.passed_over.contains(name);
        let parent_is_known = parent.is_none_or(|parent| known.manifests.contains(parent));
        if parent_is_known && self.manifest_names()?.iter().all(is_old) {
            return Ok(());
        }
        let mut manifests = self.manifest_entries()?;
        manifests
            .sort_by_key(|(name, modified)| (Some(name.as_str()) != parent, std::cmp::Reverse(*modified)));
        let passed_over = manifests.split_off(manifests.len().min(SEARCHED + 1));
        known.passed_over = passed_over.into_iter().map(|(name, _)| name).collect();
        manifests.retain(|(name, _)| !known.manifests.contains(name));
        // Where several have a page, the parent's place counts, then the newest's.
        for (name, _) in manifests.into_iter().rev() {
            // A damaged one is of no use here, and no concern of this checkpoint.
            let Ok(other) = self.load_full(&name) else { continue };
            for page in &other.manifest.pages {
                if let Some(pack) = other.manifest.packs.get(page.pack as usize) {
                    let stored = Stored { pack: pack.name, pages: pack.pages, slot: page.slot };
                    known.pages.insert(page.hash, stored);
                }
            }
            known.manifests.insert(name);
        }
        Ok(())
    }

    /// Where a page with these contents is, as far as is known.
    pub(super) fn place_of(&self, hash: &Hash) -> Option<Stored> {
        self.places.0.lock().unwrap_or_else(PoisonError::into_inner).pages.get(hash).copied()
    }
}

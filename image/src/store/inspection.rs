//! Reading all that checkpoints need, and saying what is damaged: each file once, however many of them need it, for most of what a
//! checkpoint has another one has too. Only of a damaged pack each of them asks for its own pages, to say which are hit.

use std::collections::{HashMap, HashSet};

use super::manifest::{Hash, PackReference, PageEntry};
use super::{Checkpoint, Progress, Step, Store, StoreError, pack, spool};

/// What was read so far, and what is still to be read. What is found of a file holds for every checkpoint that is checked afterwards.
#[derive(Default)]
pub struct Inspection {
    /// Pages of each pack that some of the checkpoints need.
    wanted: HashMap<Hash, u32>,
    /// What is wrong with a file that is named by its contents, by its path; nothing if it is sound.
    known: HashMap<String, Option<String>>,
    /// Build ids whose programs are sound, or not kept.
    programs: HashSet<String>,
    /// Pages read, of those wanted.
    done: u64,
}

impl Store {
    /// An inspection of these checkpoints, which tells how many of all their pages were read: packs are read whole, also for a few pages
    /// of them. What cannot be loaded is said when it is.
    pub fn inspection(&self, ids: &[String], progress: Progress<'_>) -> Inspection {
        let mut inspection = Inspection::default();
        let total = ids.len() as u64;
        for (done, id) in (0..).zip(ids) {
            progress(Step::Finding, done, total);
            // Not kept until it is checked: there may be many, and each has its pages named.
            if let Ok(checkpoint) = self.load(id) {
                inspection.want(&checkpoint);
            }
        }
        inspection
    }
}

impl Inspection {
    fn want(&mut self, checkpoint: &Checkpoint) {
        self.wanted.extend(checkpoint.manifest.packs.iter().map(|pack| (pack.name, pack.pages)));
    }

    /// Reads what the checkpoint needs (memory, input, program) and was not read yet; reports all of it that is damaged. Empty: it is whole.
    pub fn check(&mut self, checkpoint: &Checkpoint, progress: Progress<'_>) -> Vec<StoreError> {
        // One that was saved since is inspected too.
        self.want(checkpoint);
        let total = self.wanted.values().map(|pages| u64::from(*pages)).sum();
        let manifest = &checkpoint.manifest;
        let mut found = Vec::new();
        for pack in &manifest.packs {
            progress(Step::Verifying, self.done, total);
            let path = pack::path(&pack.name);
            if !self.known.contains_key(&path) {
                self.done += u64::from(pack.pages);
            }
            if let Some(what) = self.flaw(&checkpoint.store, &path, &pack.name) {
                let what = format!("{what}{}", describe_pages(&pages_hit(checkpoint, pack)));
                found.push(checkpoint.damaged(&path, what));
            }
        }
        progress(Step::Verifying, self.done, total);
        for chunk in &manifest.head.input {
            let path = spool::path(&chunk.name);
            if let Some(what) = self.flaw(&checkpoint.store, &path, &chunk.name) {
                found.push(checkpoint.damaged(&path, what));
            }
        }
        found.extend(self.check_program(checkpoint));
        found
    }

    fn flaw(&mut self, store: &Store, path: &str, name: &Hash) -> Option<String> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let flaw = store.get_named(path, name).err();
        self.known.insert(path.to_owned(), flaw.clone());
        flaw
    }

    fn check_program(&mut self, checkpoint: &Checkpoint) -> Option<StoreError> {
        let build_id = &checkpoint.environment().build_id;
        if self.programs.contains(build_id) {
            return None;
        }
        let damage = checkpoint.store.get_program(build_id).err();
        if damage.is_none() {
            self.programs.insert(build_id.clone());
        }
        damage
    }
}

/// Those pages of a checkpoint that a damaged pack does not have as they were written.
fn pages_hit(checkpoint: &Checkpoint, pack: &PackReference) -> Vec<u64> {
    let manifest = &checkpoint.manifest;
    let is_hit = |page: &&PageEntry| {
        manifest.packs.get(page.pack as usize) == Some(pack) && checkpoint.stored_page(page).is_err()
    };
    manifest.pages.iter().filter(is_hit).map(|page| page.number).collect()
}

fn describe_pages(pages: &[u64]) -> String {
    match pages {
        [] => String::new(),
        [first] => format!(" (page {first:#x})"),
        [first, rest @ ..] => format!(" (page {first:#x} and {} more)", rest.len()),
    }
}

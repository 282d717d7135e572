//! Finding checkpoints: the list as a tree, and ids from what people type.

use std::collections::HashMap;
use std::time::SystemTime;

use super::backend::Entry;
use super::manifest::short;
use super::pack::PAGE;
use super::{Checkpoint, Origin, Store, StoreError};
use crate::State;

/// The folder of manifests.
const MANIFESTS: &str = "checkpoints";

/// What a list shows of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// 8 hexadecimal digits.
    pub id: String,
    /// A name, if it was given one.
    pub name: Option<String>,
    /// Id of its parent; that may be gone.
    pub parent: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// When.
    pub saved: SystemTime,
    /// Name of the program.
    pub program: String,
    /// Its arguments, the name first.
    pub arguments: Vec<String>,
    /// How many flobs.
    pub flobs: usize,
    /// How many of them are threads.
    pub threads: usize,
    /// Bytes of memory.
    pub size: u64,
    /// Bytes of memory that are not zero pages.
    pub stored: u64,
    /// Bytes of spooled input.
    pub input: u64,
    /// Exit code, if the program had ended.
    pub exit: Option<i32>,
}

impl Summary {
    pub(super) fn new(checkpoint: &Checkpoint) -> Self {
        let environment = checkpoint.environment();
        Self {
            id: checkpoint.id(),
            name: checkpoint.name().map(str::to_owned),
            parent: checkpoint.parent(),
            origin: checkpoint.origin(),
            saved: checkpoint.saved(),
            program: environment.program.clone(),
            arguments: environment.arguments.clone(),
            flobs: environment.flobs.len(),
            threads: environment.flobs.iter().filter(|flob| matches!(flob.state, State::Thread(_))).count(),
            size: environment.size,
            stored: (checkpoint.pages().len() * PAGE) as u64,
            input: checkpoint.input_length(),
            exit: environment.exit,
        }
    }
}

/// One line of the list.
#[derive(Debug)]
pub struct Listed {
    /// 8 hexadecimal digits.
    pub id: String,
    /// How many of its ancestors are listed above it.
    pub depth: usize,
    /// What it is, or what is wrong with it.
    pub summary: Result<Summary, StoreError>,
}

impl Store {
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let what = || format!("reading {}", self.backend.name(folder));
        self.backend.list(folder).map_err(|source| StoreError::io(what(), source))
    }

    /// Full hashes of all manifests, sound or not, and when they were written.
    pub(super) fn manifest_entries(&self) -> Result<Vec<(String, SystemTime)>, StoreError> {
        let full = |entry: Entry| Some((full_hash(&entry.name)?, entry.modified));
        Ok(self.entries(MANIFESTS)?.into_iter().filter_map(full).collect())
    }

    /// Full hashes of all manifests, sound or not.
    pub(super) fn manifest_names(&self) -> Result<Vec<String>, StoreError> {
        let what = || format!("reading {}", self.backend.name(MANIFESTS));
        let names = self.backend.names(MANIFESTS).map_err(|source| StoreError::io(what(), source))?;
        Ok(names.iter().filter_map(|name| full_hash(name)).collect())
    }

    /// All checkpoints: each below its parent, siblings by age, damaged ones last.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut damaged = Vec::new();
        let mut whole = Vec::new();
        for (full, _) in self.manifest_entries()? {
            match self.load_full(&full) {
                Ok(checkpoint) => whole.push(checkpoint.summary()),
                // Removed since the folder was read.
                Err(StoreError::NotFound(_)) => {}
                Err(error) => damaged.push(Listed { id: short(&full), depth: 0, summary: Err(error) }),
            }
        }
        let mut list = tree(whole);
        list.extend(damaged);
        Ok(list)
    }

    /// The id that is meant by an id, a unique beginning of one, or a name.
    ///
    /// # Errors
    /// If there is none or several.
    pub fn resolve(&self, given: &str) -> Result<String, StoreError> {
        self.resolve_full(given).map(|full| short(&full))
    }

    pub(super) fn resolve_full(&self, given: &str) -> Result<String, StoreError> {
        let all = self.manifest_names()?;
        let lower = given.to_ascii_lowercase();
        let by_id =
            || all.iter().filter(|full| !given.is_empty() && full.starts_with(&lower)).cloned().collect();
        if given.len() >= 8
            && let [one] = Vec::as_slice(&by_id())
        {
            return Ok(one.clone());
        }
        let has_name = |full: &&String| self.load_full(full).is_ok_and(|found| found.name() == Some(given));
        let named: Vec<String> = all.iter().filter(has_name).cloned().collect();
        let mut found: Vec<String> = if named.is_empty() { by_id() } else { named };
        match (found.len(), found.pop()) {
            (1, Some(one)) => Ok(one),
            (_, None) => Err(StoreError::NotFound(given.to_owned())),
            (_, Some(last)) => {
                let candidates = found.iter().chain([&last]).map(|full| short(full)).collect();
                Err(StoreError::Ambiguous { given: given.to_owned(), candidates })
            }
        }
    }
}

/// The hash that a manifest's file is named by, if it is one.
fn full_hash(file: &str) -> Option<String> {
    let name = file.strip_suffix(".flob")?;
    let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| name.to_owned())
}

/// Orders summaries so that each comes below its parent.
fn tree(mut summaries: Vec<Summary>) -> Vec<Listed> {
    summaries.sort_by(|one, other| (one.saved, &one.id).cmp(&(other.saved, &other.id)));
    let mut children: HashMap<Option<String>, Vec<Summary>> = HashMap::new();
    let ids: Vec<String> = summaries.iter().map(|summary| summary.id.clone()).collect();
    for summary in summaries {
        let parent = summary.parent.clone().filter(|parent| ids.contains(parent));
        children.entry(parent).or_default().push(summary);
    }
    // The next to list is on top.
    let mut stack: Vec<(usize, Summary)> = Vec::new();
    let mut push = |stack: &mut Vec<(usize, Summary)>, depth, parent| {
        let found = children.remove(&parent).unwrap_or_default();
        stack.extend(found.into_iter().rev().map(|summary| (depth, summary)));
    };
    push(&mut stack, 0, None);
    let mut list = Vec::new();
    while let Some((depth, summary)) = stack.pop() {
        push(&mut stack, depth + 1, Some(summary.id.clone()));
        list.push(Listed { id: summary.id.clone(), depth, summary: Ok(summary) });
    }
    list
}

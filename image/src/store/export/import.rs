//! Taking an exported file into a store: nothing is written before all of it was read and found whole, and the manifest
//! is written last.

use std::path::Path;

use super::super::manifest::{hex, short};
use super::super::{Progress, Step, Store, StoreError, spool};
use super::read::{Exported, Part};

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The checkpoint: 8 hexadecimal digits, the same as where it was exported.
    pub id: String,
    /// Whether it was there already, sound, and nothing had to be done.
    pub was_there: bool,
}

impl Store {
    /// Imports a file made by [`super::Checkpoint::export`]. A checkpoint that is there but damaged is mended.
    ///
    /// # Errors
    /// If the file is damaged or none such, or something cannot be written. Then there is no new checkpoint.
    pub fn import(&self, path: &Path, progress: Progress<'_>) -> Result<Imported, StoreError> {
        let mut exported = Exported::open(path, progress)?;
        let full = hex(&exported.id);
        let id = short(&full);
        if self.load_full(&full).is_ok_and(|there| there.check().is_empty()) {
            return Ok(Imported { id, was_there: true });
        }
        let taken = |(other, _): &(String, _)| *other != full && short(other) == id;
        if self.manifest_entries()?.iter().any(taken) {
            return Err(StoreError::Invalid(format!(
                "another checkpoint in this store has the id {id}: remove that one first"
            )));
        }
        let mut builder = self.begin(None)?;
        let (build_id, total, mut done) = (exported.environment.build_id.clone(), exported.pages, 0);
        progress(Step::Importing, 0, total);
        exported.parts(&mut |part| match part {
            Part::Page(number, bytes) => {
                done += 1;
                progress(Step::Importing, done, total);
                builder.add_page(number, bytes)
            }
            Part::Input(bytes) => {
                let name = *blake3::hash(bytes).as_bytes();
                self.put_named(&spool::path(&name), bytes.to_vec())
            }
            Part::Program(elf) => self.keep_program(&build_id, elf),
        })?;
        builder.finish_as(exported.head, &build_id, &exported.id)?;
        Ok(Imported { id, was_there: false })
    }
}

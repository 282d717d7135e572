//! One checkpoint in one file, to give away: everything that a restore, a look or a debugger needs of it.
//!
//! ```text
//! HEAD   32 bytes full id, then the manifest's head (postcard)
//! PAGE   postcard of runs (first page number, count), then that many pages of 4096 bytes; at most 1024 a block
//! INPT   a chunk of standard input
//! PROG   the program's ELF
//! DONE   nothing: the end
//! ```
//!
//! Blocks come in this order; head and ELF may take several. How blocks are laid out and checked: [`blocks`]. Pages have
//! no hashes of their own here: whoever reads the file computes them, and with them the id, which must be the one given.

mod blocks;
mod import;
mod read;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use blocks::{BlockWriter, Kind, MOST};

use super::manifest::{Manifest, PageEntry};
use super::pack::PAGE;
use super::whole_file::write_whole;
use super::{Checkpoint, Progress, Step, StoreError};

pub use import::Imported;

/// Most pages of a block.
const PAGES: usize = 1024;

/// How to export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Replace the file if it is there.
    pub replace: bool,
    /// Leave the program's ELF out: a smaller file, but there are no symbols where it is imported.
    pub without_program: bool,
}

impl Checkpoint {
    /// Writes all of it into one file; its bytes. The file appears under its name only when it is whole.
    ///
    /// # Errors
    /// If something of it is damaged, the file is there already (unless it may be replaced), or it cannot be written.
    pub fn export(
        &self,
        path: &Path,
        options: ExportOptions,
        progress: Progress<'_>,
    ) -> Result<u64, StoreError> {
        // As for a save: what it reads is not freed meanwhile.
        let _lock = self.store.lock_for_saving()?;
        let failed = |source| StoreError::io(format!("writing {}", path.display()), source);
        write_whole(path, options.replace, |file| self.write_to(file, options, &failed, progress))
    }

    fn write_to(
        &self,
        file: &mut File,
        options: ExportOptions,
        failed: &dyn Fn(std::io::Error) -> StoreError,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        // The id is that of version 2, which a checkpoint saved in version 1 does not have in the store.
        let (_, id) = self.manifest.seal()?;
        let head = self.manifest.head.to_bytes()?;
        let mut out = BlockWriter::new(std::io::BufWriter::new(file)).map_err(failed)?;
        out.write_all(Kind::Head, &[&id[..], &head].concat()).map_err(failed)?;
        self.write_pages(&mut out, failed, progress)?;
        for chunk in &self.manifest.head.input {
            out.write(Kind::Input, &self.input_chunk(chunk)?).map_err(failed)?;
        }
        let program = || self.store.get_program(&self.environment().build_id);
        if let Some(elf) = if options.without_program { None } else { program()? } {
            out.write_all(Kind::Program, &elf).map_err(failed)?;
        }
        out.finish().map_err(failed)
    }

    fn write_pages<W: Write>(
        &self,
        out: &mut BlockWriter<W>,
        failed: &dyn Fn(std::io::Error) -> StoreError,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let mut pages: Vec<&PageEntry> = self.manifest.pages.iter().collect();
        // In the order in which they are stored, so that each pack is read once.
        pages.sort_by_key(|page| (page.pack, page.slot, page.number));
        let (mut done, total) = (0, pages.len() as u64);
        progress(Step::Exporting, done, total);
        for part in pages.chunks(PAGES) {
            let runs = postcard::to_stdvec(&runs(part)).unwrap_or_default();
            let mut block = Vec::with_capacity(runs.len() + part.len() * PAGE);
            block.extend_from_slice(&runs);
            for page in part {
                block.extend_from_slice(self.page(page.number)?.as_slice());
            }
            out.write(Kind::Pages, &block).map_err(failed)?;
            done += part.len() as u64;
            progress(Step::Exporting, done, total);
        }
        Ok(())
    }
}

/// Runs of pages that follow each other: first number and count.
fn runs(pages: &[&PageEntry]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some((first, count)) if first.checked_add(*count) == Some(page.number) => *count += 1,
            _ => runs.push((page.number, 1)),
        }
    }
    runs
}

/// The full id that a manifest has in version 2.
fn id_of(manifest: &Manifest) -> Result<super::manifest::Hash, StoreError> {
    manifest.seal().map(|(_, id)| id)
}

const _: () = assert!(PAGES * (PAGE + 20) + 8 < MOST, "a block of pages and their runs fits");

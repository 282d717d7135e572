//! The ELF files of programs, by build id, so that symbols can be had long after the file has changed. The file is the
//! ELF itself, so that a debugger can open it; its checksum is in its name.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::manifest::hex;
use super::whole_file::write_whole;
use super::{Store, StoreError};

/// The program that was kept last, with its path: each save of a session brings the same one, which need not be hashed, and
/// compared with the file, again and again.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<(String, Vec<u8>)>>);

impl Store {
    /// Keeps the ELF of a program. The next [`Store::gc`] frees it after a day unless a checkpoint has its build id.
    ///
    /// # Errors
    /// If it cannot be written, or the build id is none.
    pub fn put_program(&self, build_id: &str, elf: &[u8]) -> Result<(), StoreError> {
        let _lock = self.lock_for_saving()?;
        self.keep_program(build_id, elf)
    }

    /// The same, for who has a lock.
    pub(super) fn keep_program(&self, build_id: &str, elf: &[u8]) -> Result<(), StoreError> {
        if build_id.is_empty() || !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::Invalid(format!("`{build_id}` is no build id")));
        }
        let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, same)) = &*kept
            && same == elf
            && path.starts_with(&format!("{}-", key(build_id)))
            && self.is_unchanged(path)
        {
            return Ok(());
        }
        let path = format!("{}-{}.elf", key(build_id), hex(blake3::hash(elf).as_bytes()));
        self.put_named(&path, elf.to_vec())?;
        self.note_sound(&path);
        *kept = Some((path, elf.to_vec()));
        Ok(())
    }

    /// The ELF with this build id, if it is kept.
    ///
    /// # Errors
    /// If it is kept, but damaged.
    pub fn get_program(&self, build_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.find_program(build_id).map(|found| found.map(|(_, elf)| elf))
    }

    /// A file with the ELF of this build id, checked, if it is kept: the store's own, or a copy on this machine.
    ///
    /// # Errors
    /// If it is kept, but damaged, or a copy cannot be made.
    pub fn program_file(&self, build_id: &str) -> Result<Option<PathBuf>, StoreError> {
        let Some((path, elf)) = self.find_program(build_id)? else { return Ok(None) };
        self.backend.local_file(&path).map_or_else(|| copy(&path, &elf), Ok).map(Some)
    }

    /// Path and contents.
    fn find_program(&self, build_id: &str) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let mut damaged = None;
        for entry in self.entries("programs")? {
            let name = entry.name.strip_suffix(".elf").and_then(|name| name.split_once('-'));
            let Some((_, hash)) = name.filter(|(id, _)| *id == build_id) else { continue };
            let path = format!("programs/{}", entry.name);
            let file = self.backend.name(&path);
            let bytes = self.backend.get(&path);
            let bytes = bytes.map_err(|source| StoreError::io(format!("reading {file}"), source))?;
            match bytes {
                Some(elf) if hex(blake3::hash(&elf).as_bytes()) == hash => return Ok(Some((path, elf))),
                None => {}
                Some(_) => {
                    damaged = Some(StoreError::Damaged {
                        file,
                        what: "its checksum does not match".to_owned(),
                        advice: "remove it; only symbols are lost".to_owned(),
                    });
                }
            }
        }
        damaged.map_or(Ok(None), Err)
    }
}

/// By what a program is known to be needed.
pub(super) fn key(build_id: &str) -> String {
    format!("programs/{build_id}")
}

/// A copy of a program, for debuggers, in `$XDG_CACHE_HOME/flob` or `~/.cache/flob`. It may be removed at any time.
fn copy(path: &str, elf: &[u8]) -> Result<PathBuf, StoreError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let file = cache.unwrap_or_else(std::env::temp_dir).join("flob").join(path);
    if std::fs::read(&file).is_ok_and(|there| there == elf) {
        return Ok(file);
    }
    let failed = |source| StoreError::io(format!("writing {}", file.display()), source);
    file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    write_whole(&file, true, |out| std::io::Write::write_all(out, elf).map_err(failed))?;
    Ok(file)
}

//! The ELF files of programs, by build id, so that symbols can be had long after the file has changed. The file is the
//! ELF itself, so that a debugger can open it; its checksum is in its name.

use std::path::PathBuf;

use super::manifest::hex;
use super::{Store, StoreError};

impl Store {
    /// Keeps the ELF of a program. The next [`Store::gc`] frees it after a day unless a checkpoint has its build id.
    ///
    /// # Errors
    /// If it cannot be written, or the build id is none.
    pub fn put_program(&self, build_id: &str, elf: &[u8]) -> Result<(), StoreError> {
        if build_id.is_empty() || !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::Invalid(format!("`{build_id}` is no build id")));
        }
        let _lock = self.lock_for_saving()?;
        let hash = hex(blake3::hash(elf).as_bytes());
        self.put_named(&format!("programs/{build_id}-{hash}.elf"), elf.to_vec())
    }

    /// The ELF with this build id, if it is kept.
    ///
    /// # Errors
    /// If it is kept, but damaged.
    pub fn get_program(&self, build_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.find_program(build_id).map(|found| found.map(|(_, elf)| elf))
    }

    /// The file with the ELF of this build id, checked, if it is kept.
    ///
    /// # Errors
    /// If it is kept, but damaged.
    pub fn program_file(&self, build_id: &str) -> Result<Option<PathBuf>, StoreError> {
        self.find_program(build_id).map(|found| found.map(|(file, _)| file))
    }

    fn find_program(&self, build_id: &str) -> Result<Option<(PathBuf, Vec<u8>)>, StoreError> {
        let mut damaged = None;
        for entry in self.entries("programs")? {
            let name = entry.name.strip_suffix(".elf").and_then(|name| name.split_once('-'));
            let Some((_, hash)) = name.filter(|(id, _)| *id == build_id) else { continue };
            let path = format!("programs/{}", entry.name);
            let file = self.backend.file(&path);
            let bytes = self.backend.get(&path);
            let bytes =
                bytes.map_err(|source| StoreError::io(format!("reading {}", file.display()), source))?;
            match bytes {
                Some(elf) if hex(blake3::hash(&elf).as_bytes()) == hash => return Ok(Some((file, elf))),
                None => {}
                Some(_) => {
                    damaged = Some(StoreError::Damaged {
                        file: file.display().to_string(),
                        what: "its checksum does not match".to_owned(),
                        advice: "remove it; only symbols are lost".to_owned(),
                    });
                }
            }
        }
        damaged.map_or(Ok(None), Err)
    }
}

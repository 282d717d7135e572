//! Builds the boot archive: see [`flob_abi::archive`] for its layout.

use flob_abi::{
    PAGE_SIZE,
    archive::{Entry, MAGIC, NAME_SIZE},
};

use super::{File, loadable::loadable};
use crate::Error;

/// The archive of these files; of programs what is loaded. Names of more than 48 bytes are refused.
pub fn build(files: &[File]) -> Result<Vec<u8>, Error> {
    let contents: Vec<&[u8]> = files.iter().map(|file| loadable(&file.contents)).collect();
    let head = MAGIC.len() + size_of::<u64>() + files.len() * size_of::<Entry>();
    let mut archive = Vec::with_capacity(head);
    archive.extend_from_slice(&MAGIC);
    archive.extend_from_slice(&(files.len() as u64).to_le_bytes());
    let mut offset = page_up(head as u64);
    for (file, contents) in files.iter().zip(&contents) {
        archive.extend_from_slice(&name(&file.name)?);
        archive.extend_from_slice(&offset.to_le_bytes());
        archive.extend_from_slice(&(contents.len() as u64).to_le_bytes());
        offset = page_up(offset + contents.len() as u64);
    }
    for contents in &contents {
        pad(&mut archive);
        archive.extend_from_slice(contents);
    }
    pad(&mut archive);
    Ok(archive)
}

fn name(name: &str) -> Result<[u8; NAME_SIZE], Error> {
    let mut padded = [0; NAME_SIZE];
    let room = padded.get_mut(..name.len()).filter(|_| !name.is_empty() && !name.contains('\0'));
    let room = room.ok_or_else(|| {
        Error::Usage(format!(
            "'{name}' is no name for a program in the guest: 1 to {NAME_SIZE} bytes, no zero byte"
        ))
    })?;
    room.copy_from_slice(name.as_bytes());
    Ok(padded)
}

fn page_up(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE_SIZE)
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(PAGE_SIZE as usize), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_again_on_page_boundaries() {
        let file = |name: &str, contents: &[u8]| File { name: name.into(), contents: contents.into() };
        let long = vec![7; 5000];
        let archive =
            build(&[file("platform", b"first"), file("empty", b""), file("long", &long)]).expect("names fit");
        assert_eq!(flob_abi::archive::find(&archive, "platform"), Some(&b"first"[..]));
        assert_eq!(flob_abi::archive::find(&archive, "empty"), Some(&b""[..]));
        assert_eq!(flob_abi::archive::find(&archive, "long"), Some(&long[..]));
        let entries = flob_abi::archive::entries(&archive).expect("an archive");
        assert!(entries.iter().all(|entry| entry.offset % PAGE_SIZE == 0));
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert!(build(&[File { name: "x".repeat(49), contents: Vec::new() }]).is_err());
    }
}

//! The files of the boot archive.

use flob_runtime::abi::archive;
use flob_runtime::start;

/// The contents of the file with this name.
pub fn find(name: &str) -> Option<&'static [u8]> {
    archive::find(start::archive(), name)
}

/// At most `max` bytes from `offset` on; nothing behind the end.
pub fn piece(file: &[u8], offset: u64, max: usize) -> &[u8] {
    let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
    rest.get(..max).unwrap_or(rest)
}

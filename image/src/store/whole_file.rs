//! Files outside the store that are there whole or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::StoreError;

/// Has a file written under a temporary name and, when it is whole, gives it its own; its bytes.
///
/// # Errors
/// If it is there already (unless `replace`), cannot be written, or `write` fails.
pub fn write_whole(
    path: &Path,
    replace: bool,
    write: impl FnOnce(&mut File) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let failed = |source| StoreError::io(format!("writing {}", path.display()), source);
    let taken = || {
        let path = path.display();
        StoreError::Invalid(format!("{path} is there already: give another name, or --force to replace it"))
    };
    if !replace && path.exists() {
        return Err(taken());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut staged = tempfile::Builder::new()
        .prefix(".flob-export-")
        .permissions(ordinary())
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    write(staged.as_file_mut())?;
    staged.as_file().sync_all().map_err(failed)?;
    let bytes = staged.as_file().metadata().map_err(failed)?.len();
    let placed = if replace { staged.persist(path) } else { staged.persist_noclobber(path) };
    placed.map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists if !replace => taken(),
        _ => failed(error.error),
    })?;
    Ok(bytes)
}

/// What others may do with it: as with any file that a program makes.
fn ordinary() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

//! Files outside the store that are there whole or not at all.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::{Builder, NamedTempFile};

use super::StoreError;

/// Has a file written that has no name yet and, when it is whole, gives it its own; its bytes. Of a process that is killed
/// before that nothing is left.
///
/// # Errors
/// If it is there already (unless `replace`), cannot be written, or `write` fails.
pub fn write_whole(
    path: &Path,
    replace: bool,
    write: impl FnOnce(&mut File) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let folder = folder_of(path);
    write_staged(path, replace, || Staged::unnamed(folder).or_else(|_| Staged::named(folder)), write)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_staged(
    path: &Path,
    replace: bool,
    stage: impl FnOnce() -> Result<Staged, Error>,
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
    let mut staged = stage().map_err(failed)?;
    let file = staged.file();
    write(file)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    staged.place(path, replace).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists if !replace => taken(),
        _ => failed(error),
    })?;
    Ok(bytes)
}

/// A file that does not have its name yet.
enum Staged {
    /// It has none: it goes with its process.
    Unnamed(File),
    /// It has another one in the same folder, where the file system knows no files without.
    Named(NamedTempFile),
}

/// Names of files beside their final place begin with this.
const PREFIX: &str = ".flob-export-";

/// What others may do with it: as with any file that a program makes.
const ORDINARY: u32 = 0o666;

impl Staged {
    fn unnamed(folder: &Path) -> Result<Self, Error> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Self::Unnamed(rustix::fs::open(folder, flags, Mode::from_raw_mode(ORDINARY))?.into()))
    }

    fn named(folder: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(ORDINARY);
        Builder::new().prefix(PREFIX).permissions(permissions).tempfile_in(folder).map(Self::Named)
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::Unnamed(file) => file,
            Self::Named(staged) => staged.as_file_mut(),
        }
    }

    fn place(self, path: &Path, replace: bool) -> Result<(), Error> {
        match self {
            Self::Unnamed(file) => match link(&file, path) {
                Err(error) if replace && error.kind() == ErrorKind::AlreadyExists => exchange(&file, path),
                other => other,
            },
            Self::Named(staged) if replace => staged.persist(path).map(drop).map_err(|error| error.error),
            Self::Named(staged) => staged.persist_noclobber(path).map(drop).map_err(|error| error.error),
        }
    }
}

/// Gives a file without a name one that nothing has.
fn link(file: &File, path: &Path) -> Result<(), Error> {
    // By its descriptor alone (`AT_EMPTY_PATH`) older kernels let nobody but root do this.
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Puts a file without a name in the place of one that is there. Only a rename does that at once, and what is renamed has
/// a name: for the time between these two system calls there is a second file.
fn exchange(file: &File, path: &Path) -> Result<(), Error> {
    let staged = Builder::new().prefix(PREFIX).make_in(folder_of(path), |name| link(file, name))?;
    staged.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    type Stage = fn(&Path) -> Result<Staged, Error>;

    fn write(path: &Path, replace: bool, stage: Stage, text: &[u8]) -> Result<u64, StoreError> {
        let folder = path.parent().expect("a folder");
        let fill = |file: &mut File| file.write_all(text).map_err(|e| StoreError::io("writing".into(), e));
        write_staged(path, replace, || stage(folder), fill)
    }

    #[test]
    fn a_file_with_or_without_a_name_comes_to_its_own_and_replaces_what_is_there_only_if_it_may() {
        for stage in [Staged::unnamed as Stage, Staged::named] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("file");
            let there = || {
                let names = std::fs::read_dir(folder.path()).expect("a folder").count();
                (names, std::fs::read(&path).expect("a file"))
            };
            assert_eq!(write(&path, false, stage, b"first").expect("written"), 5);
            assert_eq!(there(), (1, b"first".to_vec()));
            assert!(
                write(&path, false, stage, b"other").expect_err("refused").to_string().contains("--force")
            );
            assert_eq!(there(), (1, b"first".to_vec()));
            write(&path, true, stage, b"second").expect("replaced");
            assert_eq!(there(), (1, b"second".to_vec()));
            let plain = folder.path().join("plain");
            File::create(&plain).expect("a file");
            let mode = |path| std::fs::metadata(path).expect("a file").permissions().mode();
            assert_eq!(mode(&path), mode(&plain), "as any other file");
        }
    }

    #[test]
    fn a_file_that_comes_into_being_meanwhile_is_not_replaced() {
        for stage in [Staged::unnamed as Stage, Staged::named] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("file");
            let fill = |_: &mut File| {
                std::fs::write(&path, b"of another").map_err(|e| StoreError::io("writing".into(), e))
            };
            let error = write_staged(&path, false, || stage(folder.path()), fill).expect_err("refused");
            assert!(error.to_string().contains("--force"), "{error}");
            assert_eq!(std::fs::read(&path).expect("a file"), b"of another");
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }
}

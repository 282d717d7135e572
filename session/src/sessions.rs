//! Where sessions are found: a socket each in `$XDG_RUNTIME_DIR/flob/`, else in a private folder of the user.

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use crate::{Error, claim};

const SUFFIX: &str = "session";
/// `-s`'s default.
pub const VARIABLE: &str = "FLOB_SESSION";

/// The folder of the sockets: made if it is not there; nobody else's.
pub fn directory() -> Result<PathBuf, Error> {
    let user = rustix::process::getuid().as_raw();
    let path = match env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_absolute()) {
        Some(runtime) => Path::new(&runtime).join("flob"),
        None => env::temp_dir().join(format!("flob-{user}")),
    };
    let context = || format!("making the sessions' folder {}", path.display());
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::io(context(), error)),
        _ => {}
    }
    let data = fs::symlink_metadata(&path).map_err(|error| Error::io(context(), error))?;
    if !data.is_dir() || data.uid() != user || data.permissions().mode() & 0o077 != 0 {
        return Err(Error::Environment(format!(
            "{} must be a folder of your own with mode 0700; remove it or set XDG_RUNTIME_DIR",
            path.display()
        )));
    }
    Ok(path)
}

/// The socket of the session with this name.
pub fn socket(name: &str) -> Result<PathBuf, Error> {
    if !is_name(name) {
        return Err(Error::Usage(format!(
            "'{name}' is no session name: letters, digits, '-', '_' and '.', at most 40 of them"
        )));
    }
    Ok(directory()?.join(format!("{name}.{SUFFIX}")))
}

/// Names of the sessions that answer, in order; sockets of dead ones are removed on the way.
pub fn list() -> Result<Vec<String>, Error> {
    let directory = directory()?;
    let entries = fs::read_dir(&directory).map_err(|error| Error::io("listing the sessions", error))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| live_name(&entry.path())).collect();
    names.sort();
    Ok(names)
}

/// The socket of the session that is meant: by name, by path, by `FLOB_SESSION`, or the only one.
pub fn find(session: Option<&str>) -> Result<PathBuf, Error> {
    let variable = env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    match session.or(variable.as_deref()) {
        Some(path) if path.contains('/') => Ok(PathBuf::from(path)),
        Some(name) => {
            let path = socket(name)?;
            if live_name(&path).is_some() { Ok(path) } else { Err(none_called(name, &list()?)) }
        }
        None => only(&list()?),
    }
}

/// Whether a session answers at this socket; one that was left behind is removed.
pub fn is_live(socket: &Path) -> bool {
    live_name(socket).is_some()
}

/// A name that no session has: the program's, or that with a number.
pub fn free_name(program: &str) -> Result<String, Error> {
    let stem: String = program.chars().filter(|letter| is_name_letter(*letter)).take(32).collect();
    let stem = if is_name(&stem) { stem } else { "session".into() };
    let taken = list()?;
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    let mut names = std::iter::once(stem.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).ok_or_else(|| Error::Internal("no free session name".into()))
}

fn only(names: &[String]) -> Result<PathBuf, Error> {
    match names {
        [] => Err(Error::NotFound("no session is running: start one with 'flob run PROGRAM'".into())),
        [name] => socket(name),
        several => Err(Error::Usage(format!(
            "several sessions are running: {}; choose one with -s NAME or {VARIABLE}",
            several.join(", ")
        ))),
    }
}

fn none_called(name: &str, names: &[String]) -> Error {
    let running =
        if names.is_empty() { "none is running".into() } else { format!("running: {}", names.join(", ")) };
    Error::NotFound(format!("there is no session '{name}' ({running})"))
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len()) && !name.starts_with('.') && name.chars().all(is_name_letter)
}

/// The name of the session behind this socket if it answers; a socket that nobody listens on is removed.
fn live_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.strip_suffix('.')?;
    if !fs::symlink_metadata(path).ok()?.file_type().is_socket() {
        return None;
    }
    match UnixStream::connect(path) {
        Ok(_) => Some(name.to_owned()),
        Err(error) => {
            if error.kind() == ErrorKind::ConnectionRefused {
                claim::remove_dead(path);
            }
            None
        }
    }
}

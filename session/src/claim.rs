//! A session's name belongs to one process: the one that holds the lock on the name's file. So a socket appears and goes away
//! only by the hand of whoever has the name, and nobody who looks at the wrong moment takes a living session for a dead one.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use crate::{Error, sessions};

/// Who has a name for longer than this and does not listen is a session that starts.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a name that somebody has is tried.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A name that is taken for as long as this lives.
#[derive(Debug)]
pub struct Claim {
    name: String,
    socket: PathBuf,
    _lock: File,
}

impl Claim {
    /// Takes a name, or says that a session has it.
    pub fn take(name: &str) -> Result<Self, Error> {
        Self::at(&sessions::socket(name)?, name)
    }

    /// The same, with its socket there.
    pub(crate) fn at(socket: &Path, name: &str) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("claiming the session name '{name}'"), error);
        match lock_for_good(socket).map_err(failed)? {
            Some(lock) => Ok(Self { name: name.to_owned(), socket: socket.to_owned(), _lock: lock }),
            None => Err(Error::Environment(format!(
                "a session of this name is running: {}; choose another name with -s, or end that one with 'flob -s {name} \
                 stop'",
                socket.display()
            ))),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Listens at the session's socket. It appears under its name only when everybody can connect to it.
    pub fn listen(&self) -> Result<UnixListener, Error> {
        listen(&self.socket).map_err(|error| Error::io("listening at the session's socket", error))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Whatever fails here, the lock goes with the process, and that is what counts.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(lock_file(&self.socket));
    }
}

/// Removes the socket of a session that is gone, unless somebody has its name.
pub fn remove_dead(socket: &Path) {
    if let Ok(Some(_lock)) = lock(socket) {
        let _ = fs::remove_file(socket);
        let _ = fs::remove_file(lock_file(socket));
    }
}

fn lock_file(socket: &Path) -> PathBuf {
    socket.with_extension("lock")
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    let fresh = socket.with_extension("fresh");
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, socket)?;
    Ok(listener)
}

/// The lock on a session's name, for a session; `None` if another has it. Who only removes what a dead one has left has it for a
/// moment: that one is waited for. Nothing tells the two apart before a session listens.
fn lock_for_good(socket: &Path) -> io::Result<Option<File>> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let taken = lock(socket)?;
        if taken.is_some() || UnixStream::connect(socket).is_ok() || Instant::now() > patience {
            return Ok(taken);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// The lock on a session's name; `None` if somebody has it.
fn lock(socket: &Path) -> io::Result<Option<File>> {
    let path = lock_file(socket);
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Whoever had it may have removed the file after we had opened it: then the lock is worth nothing.
        let same =
            fs::metadata(&path).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() == now.ino()));
        if same {
            return Ok(Some(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_name_has_one_owner_and_is_free_when_that_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("one.session");
        let first = lock(&socket).expect("a lock").expect("it is free");
        assert!(lock(&socket).expect("a look").is_none());
        drop(first);
        assert!(lock(&socket).expect("a look").is_some());
    }

    /// The socket of a session that is just starting was taken for a dead one's, and removed.
    #[test]
    fn who_probes_while_a_session_starts_does_not_remove_its_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("one.session");
        let over = AtomicBool::new(false);
        let is_there = |_| UnixStream::connect(&socket).is_ok();
        let starts = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    sessions::is_live(&socket);
                }
            });
            let starts = (0..2000).all(|_| {
                // A prober may have the name for a moment, to remove what a killed one has left.
                let Some(_lock) = lock(&socket).expect("a look") else { return true };
                let _listener = listen(&socket).expect("it listens");
                (0..20).all(is_there)
            });
            over.store(true, Ordering::Relaxed);
            starts
        });
        assert!(starts, "a session that had just started was taken for a dead one");
    }

    /// A session that started while somebody removed what a killed one had left was told that one of its name was running.
    #[test]
    fn who_removes_what_is_left_of_a_dead_session_keeps_nobody_from_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("one.session");
        let over = AtomicBool::new(false);
        let starts = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        remove_dead(&socket);
                    }
                });
            }
            let starts = (0..200).all(|_| lock_for_good(&socket).expect("a look").is_some());
            over.store(true, Ordering::Relaxed);
            starts
        });
        assert!(starts, "a name that nobody had was taken");
        let _session = lock(&socket).expect("a look").expect("it is free");
        let _listener = listen(&socket).expect("it listens");
        assert!(lock_for_good(&socket).expect("a look").is_none(), "one that is there has its name");
    }
}

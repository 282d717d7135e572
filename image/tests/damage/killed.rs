//! Processes killed at each write: of a save, an edit, an import, a removal, a gc and an export. A child process (this
//! test's own binary) does the work over a backend that ends the process at the n-th write, for every n; an export, which
//! writes no file of the store, is ended by the system when its file gets too long, for every length.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flob_image::store::backend::{Backend, LocalBackend};

use super::over::{Over, Through};
use super::work::{WORKS, check, is_whole, prepare, run_child, work};
use super::*;

/// What the child finds in its environment: the work, the store, the write at which it ends, and how.
const VARIABLES: [&str; 4] = ["FLOB_KILLED_WORK", "FLOB_KILLED_STORE", "FLOB_KILLED_AT", "FLOB_KILLED_HOW"];
const HOWS: [&str; 3] = ["before", "torn", "after"];
const CHILD: &str = "killed::child_that_is_killed";

const SIGABRT: i32 = 6;
const SIGXFSZ: i32 = 25;

/// Ends the process at a write: before it, with half of it staged as a crash leaves it, or right after it.
struct Deadly {
    inner: LocalBackend,
    folder: PathBuf,
    left: AtomicUsize,
    how: String,
}

impl Deadly {
    fn around<T>(&self, torn: impl FnOnce(), write: impl FnOnce() -> T) -> T {
        let is_last = self.left.fetch_sub(1, Ordering::SeqCst) == 0;
        if is_last && self.how != "after" {
            if self.how == "torn" {
                torn();
            }
            std::process::abort();
        }
        let result = write();
        if is_last {
            std::process::abort();
        }
        result
    }
}

impl Over for Deadly {
    fn inner(&self) -> &LocalBackend {
        &self.inner
    }

    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> std::io::Result<bool> {
        let copy = bytes.clone();
        let torn = || tear(&self.folder, path, &copy).expect("written");
        self.around(torn, || self.inner.put(path, bytes, replace))
    }

    fn delete(&self, path: &str) -> std::io::Result<()> {
        self.around(|| (), || self.inner.delete(path))
    }

    fn sweep(&self, folder: &str) -> std::io::Result<()> {
        self.around(|| (), || self.inner.sweep(folder))
    }
}

/// The child process: see [`WORKS`]. Does nothing in an ordinary run.
#[test]
fn child_that_is_killed() {
    let [Some(name), Some(folder), Some(at), Some(how)] = VARIABLES.map(|name| std::env::var(name).ok())
    else {
        return;
    };
    let folder = PathBuf::from(folder);
    let backend = Deadly {
        inner: LocalBackend::new(&folder).expect("a folder"),
        folder: folder.clone(),
        left: AtomicUsize::new(at.parse().expect("a number")),
        how,
    };
    let store = Store::with_backend(Arc::new(Through(backend)));
    work(&store, &folder, &name).expect("the work is done");
}

/// The child's variables.
fn told<'a>(name: &'a str, folder: &'a Path, at: &'a str, how: &'a str) -> Vec<(&'a str, &'a str)> {
    VARIABLES.into_iter().zip([name, folder.to_str().expect("a path"), at, how]).collect()
}

#[test]
fn killed_at_any_write_no_checkpoint_is_lost_and_what_is_left_over_is_freed() {
    let mut counts = Vec::new();
    for name in WORKS.into_iter().filter(|name| *name != "export") {
        let mut count = 0;
        for how in HOWS {
            for at in 0.. {
                let (folder, sound) = prepare();
                let what = format!("{name} killed at {at} ({how})");
                let status = run_child(CHILD, "", &told(name, folder.path(), &at.to_string(), how)).status;
                let is_done = is_whole(status, SIGABRT, &what);
                check(folder.path(), &sound, name, is_done, &what);
                if is_done {
                    break;
                }
                count += 1;
            }
        }
        assert!(count >= 3, "{name} writes nothing");
        counts.push(format!("{count} of {name}"));
    }
    println!("damage: killed at {}: nothing lost", counts.join(", "));
}

#[test]
fn of_an_export_that_is_killed_at_any_length_nothing_is_left() {
    let mut count = 0;
    for blocks in 0.. {
        let (folder, sound) = prepare();
        let what = format!("export killed at {blocks} blocks");
        let script = format!("ulimit -c 0; ulimit -f {blocks}");
        let never = usize::MAX.to_string();
        let status = run_child(CHILD, &script, &told("export", folder.path(), &never, "before")).status;
        let is_done = is_whole(status, SIGXFSZ, &what);
        check(folder.path(), &sound, "export", is_done, &what);
        if is_done {
            break;
        }
        count += 1;
    }
    assert!(count > 8, "{count} lengths");
    println!("damage: an export killed at {count} lengths: nothing left");
}

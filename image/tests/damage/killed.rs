//! Processes killed at each write: of a save, an edit, an import, a removal and a gc. A child process (this test's own
//! binary) does the work over a backend that ends the process at the n-th write, for every n.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flob_image::store::ExportOptions;
use flob_image::store::backend::{Backend, LocalBackend};

use super::over::{Over, Through};
use super::*;

/// What the child finds in its environment: the work, the store, the write at which it ends, and how.
const VARIABLES: [&str; 4] = ["FLOB_KILLED_WORK", "FLOB_KILLED_STORE", "FLOB_KILLED_AT", "FLOB_KILLED_HOW"];
const WORKS: [&str; 5] = ["save", "edit", "import", "remove", "gc"];
const HOWS: [&str; 3] = ["before", "torn", "after"];

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

/// Does one piece of work in a store made by [`prepare`].
fn work(store: &Store, folder: &Path, name: &str) -> Result<(), StoreError> {
    match name {
        // Two chunks of input.
        "save" => {
            let mut builder = store.begin(Some("victim"))?;
            for number in 0..16_u64 {
                builder.add_page(number, &[40 + number as u8; 4096])?;
            }
            let mut spool = store.spool()?;
            spool.append(&[5; 300_000])?;
            let details = Details {
                input: Input::Spool(&spool),
                program: Some(b"another ELF"),
                name: Some("new".into()),
                ..Details::default()
            };
            builder.finish(&environment(), details).map(drop)
        }
        "edit" => {
            let old = store.load("victim")?;
            let pages = [(2, vec![77; 4096])];
            store.save_edited(&old, old.environment(), Some("new".into()), &pages).map(drop)
        }
        "import" => store.import(&folder.join("given"), &mut |_, _| ()).map(drop),
        "remove" => store.remove("victim").map(drop),
        _ => store.gc().map(drop),
    }
}

/// A store with two checkpoints, an exported one that is not in it, and things left over for the gc.
fn prepare() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = Store::open(&folder.path().join("elsewhere")).expect("a store");
    let given = elsewhere.load(&save(&elsewhere, 50..53).expect("saved")).expect("load");
    let file = folder.path().join("given");
    given.export(&file, ExportOptions::default(), &mut |_, _| ()).expect("exported");
    let store = Store::open(folder.path()).expect("a store");
    // Of this one pack and input stay, as after a crash.
    save(&store, 20..23).expect("saved");
    let manifest = files(&folder.path().join("checkpoints")).pop().expect("a manifest");
    std::fs::remove_file(manifest).expect("removed");
    std::fs::write(folder.path().join("packs/half#1"), b"FLOBP").expect("written");
    let sound = save(&store, 1..3).expect("saved");
    let mut builder = store.begin(Some(&sound)).expect("begin");
    builder.add_page(0, &[30; 4096]).expect("a page");
    let details = Details { name: Some("victim".into()), ..Details::default() };
    builder.finish(&environment(), details).expect("saved");
    (folder, sound)
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

/// Runs the child; whether it came to its end.
fn run_child(folder: &Path, name: &str, at: usize, how: &str) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let values = [name, folder.to_str().expect("a path"), &at.to_string(), how];
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "killed::child_that_is_killed", "--nocapture"]);
    command.envs(VARIABLES.into_iter().zip(values)).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().expect("started");
    assert!(status.success() || status.signal() == Some(6), "{name} at {at} {how}: {status}");
    status.success()
}

#[test]
fn killed_at_any_write_no_checkpoint_is_lost_and_what_is_left_over_is_freed() {
    let mut counts = Vec::new();
    for name in WORKS {
        let mut count = 0;
        for how in HOWS {
            for at in 0.. {
                let (folder, sound) = prepare();
                let is_done = run_child(folder.path(), name, at, how);
                check(folder.path(), &sound, name, is_done, &format!("{name} killed at {at} ({how})"));
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

/// The old checkpoints are whole, a new one is whole or not there, and the next process can go on.
fn check(folder: &Path, sound: &str, name: &str, is_done: bool, what: &str) {
    let store = Store::open(folder).expect("a store");
    let whole = |id: &str| {
        let found = store.load(id).unwrap_or_else(|error| panic!("{what}: {error}")).check();
        assert!(found.is_empty(), "{what}: {found:?}");
    };
    let list = store.list().expect("a list");
    for line in &list {
        assert!(line.summary.is_ok(), "{what}: {:?}", line.summary);
        whole(&line.id);
    }
    whole(sound);
    if name != "remove" {
        whole("victim");
    }
    let expected = match (name, is_done) {
        ("save" | "edit" | "import", true) => 3..=3,
        ("save" | "edit" | "import", false) => 2..=3,
        ("remove", true) => 1..=1,
        ("remove", false) => 1..=2,
        _ => 2..=2,
    };
    assert!(expected.contains(&list.len()), "{what}: {} checkpoints", list.len());
    store.gc().unwrap_or_else(|error| panic!("{what}: {error}"));
    let left = ["checkpoints", "packs", "input"].map(|kind| files(&folder.join(kind)));
    assert!(left.iter().flatten().all(|file| !super::name(file).contains('#')), "{what}: {left:?}");
    // Two checkpoints have a pack each, and one of them input.
    if list.len() == 2 && name != "remove" {
        assert_eq!(left.map(|files| files.len()), [2, 2, 1], "{what}");
    }
    for line in store.list().expect("a list") {
        whole(&line.id);
    }
    let has_new = store.list().expect("a list").len() == 3;
    if !is_done && !has_new && name != "remove" {
        work(&store, folder, name).unwrap_or_else(|error| panic!("{what}, then again: {error}"));
    }
}

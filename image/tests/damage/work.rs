//! What the store is asked to do in a process of its own that does not come to its end, and what must hold afterwards.

use std::process::{Command, ExitStatus, Output};

use flob_image::store::ExportOptions;

use super::*;

/// Work that a child process can be given, by name.
pub const WORKS: [&str; 6] = ["save", "edit", "import", "remove", "gc", "export"];

/// Does one piece of work in a store made by [`prepare`].
pub fn work(store: &Store, folder: &Path, name: &str) -> Result<(), StoreError> {
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
        "import" => store.import(&folder.join("given"), &mut |_, _, _| ()).map(drop),
        "remove" => store.remove("victim").map(drop),
        "export" => {
            let victim = store.load("victim")?;
            victim.export(&taken(folder), ExportOptions::default(), &mut |_, _, _| ()).map(drop)
        }
        _ => store.gc().map(drop),
    }
}

/// Where the export goes, in a folder of its own.
fn taken(folder: &Path) -> PathBuf {
    folder.join("taken/file")
}

/// A store with two checkpoints, an exported one that is not in it, and things left over for the gc.
pub fn prepare() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = Store::open(&folder.path().join("elsewhere")).expect("a store");
    let given = elsewhere.load(&save(&elsewhere, 50..53).expect("saved")).expect("load");
    let file = folder.path().join("given");
    given.export(&file, ExportOptions::default(), &mut |_, _, _| ()).expect("exported");
    std::fs::create_dir(folder.path().join("taken")).expect("a folder");
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

/// Runs a test of this binary in a process of its own, with these variables, after the given shell script.
pub fn run_child(test: &str, script: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script}\nexec \"$@\""), "sh"]);
    command.arg(std::env::current_exe().expect("this binary")).args(["--exact", test, "--nocapture"]);
    command.envs(variables.iter().copied()).output().expect("started")
}

/// Whether the child came to its end; it may have been killed by this signal instead, and by nothing else.
pub fn is_whole(status: ExitStatus, signal: i32, what: &str) -> bool {
    use std::os::unix::process::ExitStatusExt;
    assert!(status.success() || status.signal() == Some(signal), "{what}: {status}");
    status.success()
}

/// The old checkpoints are whole, a new one is whole or not there, and the next process can go on.
pub fn check(folder: &Path, sound: &str, name: &str, is_done: bool, what: &str) {
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
    let has_file = check_export(folder, is_done && name == "export", what);
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
    let has_new = has_file || store.list().expect("a list").len() == 3;
    if !is_done && !has_new && name != "remove" {
        work(&store, folder, name).unwrap_or_else(|error| panic!("{what}, then again: {error}"));
    }
}

/// The exported file is there and whole, or nothing is; whether it is.
fn check_export(folder: &Path, is_done: bool, what: &str) -> bool {
    let taken = taken(folder);
    let there = files(taken.parent().expect("a folder"));
    assert!(there == [taken.clone()] || (there.is_empty() && !is_done), "{what}: {there:?}");
    if !there.is_empty() {
        let elsewhere = Store::open(&folder.join("again")).expect("a store");
        elsewhere.import(&taken, &mut |_, _, _| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    !there.is_empty()
}

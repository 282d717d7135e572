//! The corpus: images of every format version that there was. They are never changed; all later versions must read them.
//! `docs/format.md` says how the next one is added.

#[path = "common/everything.rs"]
mod everything;

use std::path::{Path, PathBuf};

use everything::everything;
use flob_image::store::{Checkpoint, Details, ExportOptions, Input, Store};
use flob_image::{json::to_json, verify};
use serde_json::{Value, json};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus")
}

/// What must be read from an image, in full.
fn contents(checkpoint: &Checkpoint) -> Value {
    let mut memory = blake3::Hasher::new();
    for (number, _) in checkpoint.pages() {
        memory.update(&number.to_le_bytes()).update(checkpoint.page(number).expect("a page").as_slice());
    }
    let findings = verify::verify(checkpoint.environment());
    let summary = checkpoint.summary();
    let input = checkpoint.spool().expect("input").read(0, 1 << 20).expect("input");
    json!({
        "id": summary.id,
        "name": summary.name,
        "parent": summary.parent,
        "origin": format!("{:?}", summary.origin),
        "kernel": checkpoint.kernel(),
        "saved": summary.saved.duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs(),
        "pages": checkpoint.pages().len(),
        "memory": memory.finalize().to_hex().to_string(),
        "input": String::from_utf8_lossy(&input),
        "input_ended": checkpoint.input_ended(),
        "findings": findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "environment": to_json(checkpoint.environment()),
    })
}

/// Compares with the file beside the image. Where there is none, the image is new, and the file is made.
fn assert_reads_as(checkpoint: &Checkpoint, golden: &Path) {
    assert_eq!(checkpoint.check().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let found = contents(checkpoint);
    if !golden.exists() {
        std::fs::write(golden, format!("{found:#}\n")).expect("written");
        panic!("{} was not there: look through it, add it, and run this again", golden.display());
    }
    let expected: Value = serde_json::from_slice(&std::fs::read(golden).expect("a file")).expect("JSON");
    assert_eq!(found, expected, "{}", golden.display());
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in entries(from) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("copied");
        }
    }
}

#[test]
fn store_of_every_version_is_read() {
    let mut count = 0;
    for version in entries(&corpus()) {
        // A copy: opening a store for a look may make its lock.
        let folder = tempfile::tempdir().expect("a folder");
        copy(&version.join("store"), folder.path());
        let store = Store::open(folder.path()).expect("a store");
        for line in store.list().expect("a list") {
            assert!(line.summary.is_ok(), "{:?}", line.summary);
            let checkpoint = store.load(&line.id).expect("load");
            assert_reads_as(&checkpoint, &version.join(format!("store-{}.json", line.id)));
            count += 1;
        }
        assert_eq!(store.gc().expect("gc").files, 0, "nothing is left over in {}", version.display());
    }
    assert!(count >= 3, "only {count} images");
}

#[test]
fn exported_file_of_every_version_is_imported() {
    let mut count = 0;
    for version in entries(&corpus()) {
        for file in entries(&version).iter().filter(|file| file.extension().is_some_and(|it| it == "flobx")) {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(folder.path()).expect("a store");
            let imported = store.import(file, &mut |_, _, _| ()).expect("imported");
            let checkpoint = store.load(&imported.id).expect("load");
            assert_reads_as(&checkpoint, &file.with_extension("json"));
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} files");
}

/// Any image of an older version can become a parent: what is edited from it is saved in today's version.
#[test]
fn old_checkpoint_is_edited_into_one_of_today() {
    for version in entries(&corpus()) {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&version.join("store"), folder.path());
        let store = Store::open(folder.path()).expect("a store");
        for line in store.list().expect("a list") {
            let old = store.load(&line.id).expect("load");
            let new = store.save_edited(&old, old.environment(), None, &[(0, vec![1; 4096])]).expect("saved");
            let new = store.load(&new).expect("load");
            assert!(new.check().is_empty());
            assert_eq!((new.environment(), new.parent()), (old.environment(), Some(old.id())));
        }
    }
}

#[test]
#[ignore = "writes a part of the corpus anew; see docs/format.md"]
fn writes_the_image_that_has_everything() {
    let folder =
        PathBuf::from(std::env::var_os("FLOB_CORPUS").expect("FLOB_CORPUS names the version's folder"));
    let store = Store::open(&folder.join("store")).expect("a store");
    let mut spool = store.spool().expect("a spool");
    spool.append(b"given and not given").expect("appended");
    spool.end();
    let mut builder = store.begin(None).expect("begin");
    for (number, fill) in [(0, 1), (2, 3), (3, 4), (15, 9)] {
        builder.add_page(number, &[fill; 4096]).expect("a page");
    }
    let details = Details {
        name: Some("everything".into()),
        kernel: "flob-kernel".into(),
        input: Input::Spool(&spool),
        ..Details::default()
    };
    let id = builder.finish(&everything(1), details).expect("saved");
    let path = folder.join("everything.flobx");
    let options = ExportOptions { replace: false, without_program: true };
    store.load(&id).expect("load").export(&path, options, &mut |_, _, _| ()).expect("exported");
    let _ = std::fs::remove_file(folder.join("store/store.lock"));
}

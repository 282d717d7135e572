//! Checkpoints in one file: out of one store, into another.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;
#[path = "common/random.rs"]
mod random;

use std::path::{Path, PathBuf};

use common::environment;
use flob_image::fields;
use flob_image::store::{
    Checkpoint, Details, ExportOptions, Input, Inspection, Origin, Progress, Step, Store, StoreError,
};
use random::{is_soak, positions, seed};
use tempfile::TempDir;

/// Most damaged files that are tried in the short form.
const MOST: usize = 1500;
const REPLACE: ExportOptions = ExportOptions { replace: true, without_program: false };

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    (folder, store)
}

/// A checkpoint with everything that one can have.
fn full(store: &Store) -> Checkpoint {
    let mut spool = store.spool().expect("a spool");
    spool.append(&[7; 300]).expect("appended");
    let mut builder = store.begin(None).expect("begin");
    for (number, fill) in [(0, 1), (1, 2), (5, 3), (6, 0)] {
        builder.add_page(number, &[fill; 4096]).expect("a page");
    }
    let details = Details {
        name: Some("given away".into()),
        kernel: "flob".into(),
        program: Some(b"\x7fELF"),
        input: Input::Spool(&spool),
        ..Details::default()
    };
    let id = builder.finish(&environment(), details).expect("finish");
    store.load(&id).expect("load")
}

fn export(checkpoint: &Checkpoint, folder: &TempDir) -> PathBuf {
    let path = folder.path().join("exported");
    checkpoint.export(&path, REPLACE, &mut |_, _, _| ()).expect("exported");
    path
}

fn import(store: &Store, path: &Path) -> Result<(String, bool), StoreError> {
    store.import(path, &mut |_, _, _| ()).map(|imported| (imported.id, imported.was_there))
}

fn files(folder: &Path) -> usize {
    let inside = |name| std::fs::read_dir(folder.join(name)).map_or(0, Iterator::count);
    ["checkpoints", "packs", "input", "programs"].into_iter().map(inside).sum()
}

#[test]
fn exported_checkpoint_is_the_same_in_another_store() {
    let (folder, store_a) = store();
    let before = full(&store_a);
    let path = export(&before, &folder);
    let (_other, store_b) = store();
    assert_eq!(import(&store_b, &path).expect("imported"), (before.id(), false));
    let after = store_b.load(&before.id()).expect("load");
    assert!(after.check().is_empty());
    assert_eq!(after.environment(), before.environment());
    assert_eq!(after.summary(), before.summary());
    assert_eq!(after.pages().collect::<Vec<_>>(), before.pages().collect::<Vec<_>>());
    assert_eq!(after.read(0, 0x7000).expect("memory"), before.read(0, 0x7000).expect("memory"));
    assert_eq!(after.spool().expect("input").read(0, 400).expect("read"), [7; 300]);
    let elf = store_b.get_program(&before.environment().build_id).expect("a program");
    assert_eq!(elf.as_deref(), Some(&b"\x7fELF"[..]));
    // Exported again from there, not a byte differs.
    let bytes = std::fs::read(&path).expect("a file");
    let again = export(&after, &_other);
    assert_eq!(std::fs::read(again).expect("a file"), bytes);
}

#[test]
fn family_keeps_its_tree_through_files() {
    let (folder, store_a) = store();
    let parent = full(&store_a);
    let mut edited = environment();
    fields::set(edited.flob_mut(0x200).expect("a mutex"), "owner", "null").expect("set");
    let child = store_a.save_edited(&parent, &edited, None, &[(1, vec![9; 4096])]).expect("saved");
    let child = store_a.load(&child).expect("load");
    let (_other, store_b) = store();
    // The child alone is whole; its parent may follow.
    import(&store_b, &export(&child, &folder)).expect("imported");
    let there = store_b.load(&child.id()).expect("load");
    assert!(there.check().is_empty());
    assert_eq!((there.origin(), there.parent()), (Origin::Edited, Some(parent.id())));
    import(&store_b, &export(&parent, &folder)).expect("imported");
    let list = store_b.list().expect("a list");
    let list: Vec<_> = list.into_iter().map(|line| (line.depth, line.id)).collect();
    assert_eq!(list, [(0, parent.id()), (1, child.id())]);
}

#[test]
fn import_of_what_is_there_says_so_and_mends_what_is_damaged() {
    let (folder, store) = store();
    let checkpoint = full(&store);
    let path = export(&checkpoint, &folder);
    let count = files(folder.path());
    assert_eq!(import(&store, &path).expect("imported"), (checkpoint.id(), true));
    assert_eq!(files(folder.path()), count);
    for kind in ["checkpoints", "packs", "input"] {
        for entry in std::fs::read_dir(folder.path().join(kind)).expect("a folder") {
            let file = entry.expect("an entry").path();
            let mut bytes = std::fs::read(&file).expect("a file");
            bytes[40] ^= 1;
            std::fs::write(&file, bytes).expect("damaged");
        }
        assert_eq!(import(&store, &path).expect("imported"), (checkpoint.id(), false), "{kind}");
        assert!(store.load(&checkpoint.id()).expect("load").check().is_empty(), "{kind}");
    }
}

#[test]
fn file_that_is_there_is_replaced_only_on_request() {
    let (folder, store) = store();
    let checkpoint = full(&store);
    let path = folder.path().join("mine");
    std::fs::write(&path, b"precious").expect("written");
    let error =
        checkpoint.export(&path, ExportOptions::default(), &mut |_, _, _| ()).expect_err("there").to_string();
    assert!(error.contains("mine") && error.contains("--force"), "{error}");
    assert_eq!(std::fs::read(&path).expect("a file"), b"precious");
    let bytes = checkpoint.export(&path, REPLACE, &mut |_, _, _| ()).expect("exported");
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), bytes);
}

#[test]
fn damaged_checkpoint_is_not_exported() {
    let (folder, store) = store();
    let checkpoint = full(&store);
    let pack = std::fs::read_dir(folder.path().join("packs")).expect("packs").next().expect("a pack");
    let pack = pack.expect("a pack").path();
    let mut bytes = std::fs::read(&pack).expect("a pack");
    bytes[5000] ^= 1;
    std::fs::write(&pack, bytes).expect("damaged");
    let path = folder.path().join("out");
    let error = checkpoint
        .export(&path, ExportOptions::default(), &mut |_, _, _| ())
        .expect_err("damaged")
        .to_string();
    assert!(error.contains(&pack.display().to_string()), "{error}");
    let left = std::fs::read_dir(folder.path()).expect("a folder");
    assert!(left.map(|entry| entry.expect("an entry").file_name()).all(|name| name != "out"));
}

/// A small file, and a store with a checkpoint that must stay whole.
struct Case {
    folder: TempDir,
    store: Store,
    good: Vec<u8>,
    path: PathBuf,
    count: usize,
}

impl Case {
    fn new() -> Self {
        let (other, source) = store();
        let good = std::fs::read(export(&full(&source), &other)).expect("a file");
        let (folder, store) = store();
        let mut builder = store.begin(None).expect("begin");
        builder.add_page(0, &[99; 4096]).expect("a page");
        builder.finish(&environment(), Details::default()).expect("finish");
        let count = files(folder.path());
        let path = folder.path().join("bad");
        Self { folder, store, good, path, count }
    }

    /// Imports these bytes and expects one message that names the file, and a store that did not change.
    fn assert_refused(&self, bytes: &[u8], what: &str) {
        std::fs::write(&self.path, bytes).expect("written");
        let error = import(&self.store, &self.path).expect_err(what).to_string();
        assert!(error.contains(&self.path.display().to_string()), "{what}: {error}");
        assert!(!error.contains('\n'), "{what}: {error}");
        assert_eq!(files(self.folder.path()), self.count, "{what}: something was imported");
    }
}

#[test]
fn every_flipped_byte_of_an_exported_file_is_found() {
    let case = Case::new();
    let mut numbers = fastrand::Rng::with_seed(seed());
    let mut flips = 0;
    for index in positions(&mut numbers, case.good.len(), MOST) {
        let one = numbers.u8(0..8);
        for bit in (0..8).filter(|bit| is_soak() || *bit == one) {
            let mut bad = case.good.clone();
            bad[index] ^= 1 << bit;
            case.assert_refused(&bad, &format!("bit {bit} of byte {index}"));
            flips += 1;
        }
    }
    println!("damage: {flips} bits flipped in {} bytes of an exported file, all found", case.good.len());
    std::fs::write(&case.path, &case.good).expect("written");
    import(&case.store, &case.path).expect("imported");
}

#[test]
fn exported_file_of_any_other_length_is_refused() {
    let case = Case::new();
    let mut numbers = fastrand::Rng::with_seed(seed());
    for length in positions(&mut numbers, case.good.len(), MOST) {
        case.assert_refused(&case.good[..length], &format!("length {length}"));
    }
    case.assert_refused(&[&case.good[..], &[0]].concat(), "a byte more");
    case.assert_refused(&[&case.good[..], &case.good[..]].concat(), "twice");
}

#[test]
fn foreign_files_and_files_of_a_newer_flob_are_named_as_such() {
    let case = Case::new();
    case.assert_refused(b"", "nothing");
    case.assert_refused(b"#!/bin/sh\necho this is a script of more than sixteen bytes\n", "a script");
    let error = import(&case.store, &case.path).expect_err("a script").to_string();
    assert!(error.contains("flob checkpoint export"), "{error}");
    let mut newer = case.good.clone();
    newer[8] = 9;
    let sum = *blake3::hash(&newer[..16]).as_bytes();
    newer[16..48].copy_from_slice(&sum);
    case.assert_refused(&newer, "newer");
    let error = import(&case.store, &case.path).expect_err("newer");
    assert!(matches!(error, StoreError::Newer { version: 9, .. }), "{error}");
    let error = import(&case.store, case.folder.path()).expect_err("a folder").to_string();
    assert!(error.contains("reading"), "{error}");
}

/// What is told while this is done.
fn told(run: impl FnOnce(Progress<'_>)) -> Vec<(Step, u64, u64)> {
    let mut told = Vec::new();
    run(&mut |step, done, total| told.push((step, done, total)));
    told
}

#[test]
fn long_work_tells_how_far_it_is_from_nothing_to_all() {
    let ((folder, store), (_other_folder, other)) = (store(), store());
    let checkpoint = full(&store);
    let path = folder.path().join("exported");
    let said = told(|progress| assert!(checkpoint.export(&path, REPLACE, progress).is_ok()));
    assert_eq!(said, [(Step::Exporting, 0, 3), (Step::Exporting, 3, 3)]);
    let said = told(|progress| assert!(other.import(&path, progress).is_ok()));
    let steps = [Step::Reading, Step::Importing];
    let expected: Vec<_> = steps.iter().flat_map(|step| (0..=3).map(|done| (*step, done, 3))).collect();
    assert_eq!(said, expected);
    let said = told(|progress| assert!(Inspection::default().check(&checkpoint, progress).is_empty()));
    assert_eq!(said, [(Step::Verifying, 0, 3), (Step::Verifying, 3, 3)]);
    std::fs::write(folder.path().join("packs/left"), b"over").expect("written");
    let said = told(|progress| assert_eq!(store.gc_with(progress).expect("gc").files, 1));
    assert_eq!(said, [(Step::Finding, 0, 1), (Step::Removing, 0, 1), (Step::Removing, 1, 1)]);
}

/// Where all lies in packs of a thousand pages it is told after each of them, not when the checkpoint is done.
#[test]
fn a_check_of_a_large_checkpoint_tells_how_far_it_is_within_it() {
    let (_folder, store) = store();
    let mut builder = store.begin(None).expect("begin");
    for number in 0..2500_u64 {
        let mut page = [1; 4096];
        page[..8].copy_from_slice(&number.to_le_bytes());
        builder.add_page(number, &page).expect("a page");
    }
    let environment = flob_image::Environment { size: 2500 * 4096, ..environment() };
    let id = builder.finish(&environment, Details::default()).expect("finish");
    let checkpoint = store.load(&id).expect("load");
    let said = told(|progress| drop(Inspection::default().check(&checkpoint, progress)));
    assert_eq!(said, [0, 1024, 2048, 2500].map(|done| (Step::Verifying, done, 2500)));
}

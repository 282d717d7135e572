//! What a save reads of the checkpoint that it builds on.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;
#[path = "common/over.rs"]
mod over;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::environment;
use flob_image::Environment;
use flob_image::store::backend::{Backend, LocalBackend};
use flob_image::store::{Details, Store};
use over::{Over, Through};
use tempfile::TempDir;

/// Counts the files of a folder that are read.
struct Counting {
    inner: LocalBackend,
    folder: &'static str,
    count: Arc<AtomicUsize>,
}

impl Over for Counting {
    fn inner(&self) -> &LocalBackend {
        &self.inner
    }

    fn get(&self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.count.fetch_add(usize::from(path.starts_with(self.folder)), Ordering::SeqCst);
        self.inner.get(path)
    }
}

/// The store as another process sees it, and how many files of one of its folders it has read.
fn open_counting(store: &TempDir, folder: &'static str) -> (Store, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let inner = LocalBackend::new(store.path()).expect("a folder");
    (Store::with_backend(Arc::new(Through(Counting { inner, folder, count: count.clone() }))), count)
}

fn open(store: &TempDir) -> (Store, Arc<AtomicUsize>) {
    open_counting(store, "packs/")
}

fn page(number: u64, round: u64) -> [u8; 4096] {
    let mut page = [7; 4096];
    page[..8].copy_from_slice(&number.to_le_bytes());
    page[8..16].copy_from_slice(&round.to_le_bytes());
    page
}

/// Saves `count` pages; with a parent only the first is another.
fn save(store: &Store, parent: Option<&str>, count: u64, round: u64) -> String {
    let mut builder = store.begin(parent).expect("begin");
    if let Some(parent) = parent {
        builder.add_pages_of(&store.load(parent).expect("load")).expect("pages");
    }
    for number in 0..if parent.is_some() { 1 } else { count } {
        builder.add_page(number, &page(number, round)).expect("a page");
    }
    let environment = Environment { size: count * 4096, ..environment() };
    builder.finish(&environment, Details::default()).expect("saved")
}

#[test]
fn a_base_that_this_process_has_written_or_checked_is_not_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, read) = open(&folder);
    // Three packs.
    let first = save(&store, None, 2500, 1);
    let second = save(&store, Some(&first), 2500, 2);
    assert_eq!(read.load(Ordering::SeqCst), 0, "they were just written");
    let (other, read) = open(&folder);
    let third = save(&other, Some(&second), 2500, 3);
    assert_eq!(read.load(Ordering::SeqCst), 4, "another process reads each once");
    let fourth = save(&other, Some(&third), 2500, 4);
    assert_eq!(read.load(Ordering::SeqCst), 4);
    for id in [first, second, third, fourth] {
        assert!(store.load(&id).expect("load").check().is_empty());
    }
}

#[test]
fn of_all_other_checkpoints_a_save_reads_only_those_that_are_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, read) = open_counting(&folder, "checkpoints/");
    let first = save(&store, None, 10, 1);
    let (elsewhere, _) = open(&folder);
    (2..8).for_each(|round| drop(save(&elsewhere, Some(&first), 10, round)));
    // The parent is loaded for its pages too.
    save(&store, Some(&first), 10, 8);
    assert_eq!(read.swap(0, Ordering::SeqCst), 8);
    save(&store, Some(&first), 10, 9);
    assert_eq!(read.load(Ordering::SeqCst), 2, "the one that was just saved, and the parent");
    // A page of another's is still found.
    let mut builder = store.begin(Some(&first)).expect("begin");
    let hash = blake3::hash(&page(0, 5));
    assert!(builder.add_stored_page(3, hash.as_bytes()));
}

#[test]
fn a_pack_that_was_written_since_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, read) = open(&folder);
    let first = save(&store, None, 10, 1);
    let file = std::fs::read_dir(folder.path().join("packs")).expect("packs").next().expect("a pack");
    let file = file.expect("a pack").path();
    let whole = std::fs::read(&file).expect("read");
    let mut damaged = whole.clone();
    damaged[16 + 5 * 4096 + 99] ^= 1;
    std::fs::write(&file, &damaged).expect("written");
    let builds = || {
        let mut builder = store.begin(Some(&first)).expect("begin");
        builder.add_pages_of(&store.load(&first).expect("load")).is_ok()
    };
    assert!(!builds(), "one of its pages is damaged");
    assert!(!builds(), "and still is");
    std::fs::write(&file, &whole).expect("written");
    assert!(builds());
    let before = read.load(Ordering::SeqCst);
    assert!(builds());
    assert_eq!(read.load(Ordering::SeqCst), before, "mended, and known to be");
}

/// Figures for `docs/decisions.md`: `cargo test -p flob-image --all-features --test incremental -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn what_building_on_256_mib_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = 65_536;
    let (store, _) = open(&folder);
    let mut id = save(&store, None, count, 0);
    for round in 1..=20 {
        let (fresh, _) = open(&folder);
        let begun = Instant::now();
        let next = save(&store, Some(&id), count, round);
        let known = begun.elapsed();
        let begun = Instant::now();
        save(&fresh, Some(&id), count, round + 1000);
        println!("{round}: {known:?} by the process that wrote it, {:?} by another", begun.elapsed());
        id = next;
    }
}

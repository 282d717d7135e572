//! Damage to the store's files, and saves that are cut off.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::environment;
use flob_image::store::backend::{Backend, Entry, LocalBackend};
use flob_image::store::{Details, Input, Store, StoreError};
use tempfile::TempDir;

/// A store with a sound checkpoint and one that is to be damaged; each has a pack of its own.
struct Case {
    folder: TempDir,
    store: Store,
    sound: String,
    victim: String,
}

fn save(store: &Store, fills: Range<u8>) -> Result<String, StoreError> {
    let mut spool = store.spool()?;
    spool.append(&[fills.start; 100])?;
    let mut builder = store.begin(None)?;
    for (number, fill) in fills.enumerate() {
        builder.add_page(number as u64, &[fill; 4096])?;
    }
    let details = Details { input: Input::Spool(&spool), program: Some(b"ELF"), ..Details::default() };
    builder.finish(&environment(), details)
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let sound = save(&store, 1..3).expect("saved");
        let before = files(&folder.path().join("packs"));
        let victim = save(&store, 10..11).expect("saved");
        assert_eq!(before.len() + 1, files(&folder.path().join("packs")).len());
        Self { folder, store, sound, victim }
    }

    fn manifest(&self) -> PathBuf {
        let all = files(&self.folder.path().join("checkpoints"));
        all.into_iter().find(|path| name(path).starts_with(&self.victim)).expect("a manifest")
    }

    fn pack(&self) -> PathBuf {
        let is_mine = |path: &PathBuf| std::fs::read(path).expect("a pack")[16] == 10;
        files(&self.folder.path().join("packs")).into_iter().find(is_mine).expect("a pack")
    }

    fn assert_rest_is_sound(&self) {
        let list = self.store.list().expect("a list");
        assert!(list.iter().any(|line| line.id == self.sound && line.summary.is_ok()));
        assert_eq!(list.len(), 2);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn assert_names(error: &StoreError, file: &Path, id: &str) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(text.contains(&name(file)) && text.contains(&format!("flob checkpoint rm {id}")), "{text}");
}

#[test]
fn every_flipped_byte_of_a_manifest_is_found_and_named() {
    let case = Case::new();
    let file = case.manifest();
    let good = std::fs::read(&file).expect("a manifest");
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1 << (index % 8);
        std::fs::write(&file, &bad).expect("written");
        let error = case.store.load(&case.victim).err().unwrap_or_else(|| panic!("byte {index} not missed"));
        assert_names(&error, &file, &case.victim);
    }
    case.assert_rest_is_sound();
    assert!(case.store.gc().is_err(), "nothing is freed while nobody knows what is needed");
    case.store.remove(&case.victim).expect("a damaged checkpoint can be removed");
    assert!(case.store.load(&case.sound).expect("load").check().is_empty());
    assert_eq!(files(&case.folder.path().join("packs")).len(), 1);
}

#[test]
fn manifest_truncated_at_any_length_is_found_and_named() {
    let case = Case::new();
    let file = case.manifest();
    let good = std::fs::read(&file).expect("a manifest");
    for length in 0..good.len() {
        std::fs::write(&file, &good[..length]).expect("written");
        let error =
            case.store.load(&case.victim).err().unwrap_or_else(|| panic!("length {length} not missed"));
        assert_names(&error, &file, &case.victim);
    }
    case.assert_rest_is_sound();
    std::fs::write(&file, [&good[..], &[0]].concat()).expect("written");
    assert!(case.store.load(&case.victim).is_err());
}

#[test]
fn every_flipped_byte_of_a_pack_is_found_and_named() {
    let case = Case::new();
    let file = case.pack();
    let good = std::fs::read(&file).expect("a pack");
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1 << (index % 8);
        std::fs::write(&file, &bad).expect("written");
        let checkpoint = case.store.load(&case.victim).expect("load");
        let found = checkpoint.check();
        assert_eq!(found.len(), 1, "byte {index}");
        assert_names(&found[0], &file, &case.victim);
        // A page is never handed out damaged, whether or not anybody checked before.
        if let Some(page) = index.checked_sub(16).map(|offset| offset as u64 / 4096) {
            assert_names(&checkpoint.page(page).expect_err("a damaged page"), &file, &case.victim);
            assert!(found[0].to_string().contains(&format!("page {page:#x}")), "{}", found[0]);
        }
    }
    case.assert_rest_is_sound();
}

#[test]
fn pack_truncated_at_any_length_or_missing_is_found_and_named() {
    let case = Case::new();
    let file = case.pack();
    let good = std::fs::read(&file).expect("a pack");
    for length in 0..good.len() {
        std::fs::write(&file, &good[..length]).expect("written");
        let error =
            case.store.load(&case.victim).err().unwrap_or_else(|| panic!("length {length} not missed"));
        assert_names(&error, &file, &case.victim);
    }
    std::fs::remove_file(&file).expect("removed");
    assert_names(&case.store.load(&case.victim).err().expect("missing"), &file, &case.victim);
    case.assert_rest_is_sound();
}

#[test]
fn damaged_input_is_found_and_named() {
    let case = Case::new();
    let checkpoint = case.store.load(&case.victim).expect("load");
    for file in files(&case.folder.path().join("input")) {
        let good = std::fs::read(&file).expect("a chunk");
        if good[0] != 10 {
            continue;
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x80;
            std::fs::write(&file, &bad).expect("written");
            assert_names(&checkpoint.check()[0], &file, &case.victim);
            assert_names(&checkpoint.spool().err().expect("damaged"), &file, &case.victim);
        }
    }
}

#[test]
fn new_checkpoint_does_not_build_upon_a_damaged_pack() {
    let case = Case::new();
    let file = case.pack();
    let mut bytes = std::fs::read(&file).expect("a pack");
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let id = save(&case.store, 10..11).expect("saved");
    assert!(case.store.load(&id).expect("load").check().is_empty());
    // It has mended the old one: the pack has the same contents.
    assert!(case.store.load(&case.victim).expect("load").check().is_empty());
}

#[test]
fn manifest_of_a_newer_flob_is_named_as_such() {
    let case = Case::new();
    let file = case.manifest();
    let mut bytes = std::fs::read(&file).expect("a manifest");
    bytes[8] = 200;
    let end = bytes.len() - 32;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(hash.as_bytes());
    let newer = file.with_file_name(format!("{}.flob", hash.to_hex()));
    std::fs::write(&newer, &bytes).expect("written");
    let error = case.store.load(&hash.to_hex()[..8]).err().expect("newer");
    assert!(matches!(error, StoreError::Newer { version: 200, .. }), "{error}");
}

/// Fails from the given write on, as a full disk or a crash does; with `torn`, leaves the staged beginning of the file
/// behind as a crash does.
struct Failing {
    inner: LocalBackend,
    folder: PathBuf,
    left: AtomicUsize,
    torn: bool,
}

impl Backend for Failing {
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> std::io::Result<bool> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return self.inner.put(path, bytes, replace);
        }
        if self.torn {
            let file = self.folder.join(format!("{path}#1"));
            std::fs::create_dir_all(file.parent().expect("a folder"))?;
            std::fs::write(file, &bytes[..bytes.len() / 2])?;
        }
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
    }

    fn get(&self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.inner.get(path)
    }

    fn size(&self, path: &str) -> std::io::Result<Option<u64>> {
        self.inner.size(path)
    }

    fn list(&self, folder: &str) -> std::io::Result<Vec<Entry>> {
        self.inner.list(folder)
    }

    fn delete(&self, path: &str) -> std::io::Result<()> {
        self.inner.delete(path)
    }

    fn sweep(&self, folder: &str) -> std::io::Result<()> {
        self.inner.sweep(folder)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.inner.file(path)
    }
}

#[test]
fn save_cut_off_at_any_write_leaves_the_old_checkpoints_whole() {
    for torn in [false, true] {
        let mut writes = 0;
        loop {
            let folder = tempfile::tempdir().expect("a folder");
            let old = save(&Store::open(folder.path()).expect("a store"), 1..3).expect("saved");
            let backend = Failing {
                inner: LocalBackend::new(folder.path()).expect("a folder"),
                folder: folder.path().into(),
                left: AtomicUsize::new(writes),
                torn,
            };
            let result = save(&Store::with_backend(Arc::new(backend), Some(folder.path().into())), 10..11);
            let store = Store::open(folder.path()).expect("a store");
            let list = store.list().expect("a list");
            assert!(list.iter().all(|line| line.summary.is_ok()));
            assert!(store.load(&old).expect("load").check().is_empty());
            if let Ok(new) = result {
                assert_eq!(list.len(), 2);
                assert!(store.load(&new).expect("load").check().is_empty());
                break;
            }
            assert_eq!(list.len(), 1);
            store.gc().expect("gc");
            assert_eq!(files(&folder.path().join("packs")).len(), 1, "what was left over is freed");
            assert_eq!(files(&folder.path().join("input")).len(), 1);
            assert_eq!(files(&folder.path().join("checkpoints")).len(), 1);
            let again = save(&store, 10..11).expect("saved at the second try");
            assert!(store.load(&again).expect("load").check().is_empty());
            writes += 1;
        }
        assert_eq!(writes, 3, "a pack, a chunk and the manifest");
    }
}

//! Saves of which a write fails, as on a full disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flob_image::store::backend::{Backend, Entry, LocalBackend, Lock};

use super::*;

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

    fn stamp(&self, path: &str) -> std::io::Result<Option<String>> {
        self.inner.stamp(path)
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

    fn name(&self, path: &str) -> String {
        self.inner.name(path)
    }

    fn local_file(&self, path: &str) -> Option<PathBuf> {
        self.inner.local_file(path)
    }

    fn scratch(&self) -> PathBuf {
        self.inner.scratch()
    }

    fn lock_shared(&self) -> std::io::Result<Box<dyn Lock>> {
        self.inner.lock_shared()
    }

    fn try_lock_alone(&self) -> std::io::Result<Option<Box<dyn Lock>>> {
        self.inner.try_lock_alone()
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
            let result = save(&Store::with_backend(Arc::new(backend)), 10..11);
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
        assert_eq!(writes, 4, "a pack, a chunk, a program and the manifest");
    }
}

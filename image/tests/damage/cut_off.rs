//! Saves of which a write fails, as on a full disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flob_image::store::backend::{Backend, LocalBackend};

use super::over::{Over, Through};
use super::*;

/// Fails from the given write on, as a full disk or a crash does; with `torn`, leaves the staged beginning of the file
/// behind as a crash does.
struct Failing {
    inner: LocalBackend,
    folder: PathBuf,
    left: AtomicUsize,
    torn: bool,
}

impl Over for Failing {
    fn inner(&self) -> &LocalBackend {
        &self.inner
    }

    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> std::io::Result<bool> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return self.inner.put(path, bytes, replace);
        }
        if self.torn {
            tear(&self.folder, path, &bytes)?;
        }
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
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
            let result = save(&Store::with_backend(Arc::new(Through(backend))), 10..11);
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

//! Damage: files of the store that are not what was written, and writers that do not come to their end. Whatever happens is
//! found and named, checkpoints that were there stay whole, and nothing panics.
//!
//! By default a share of the long files' bytes is tried, at random; with FLOB_ROUNDS of 1000 or more (`./flob test --soak`)
//! all of them. FLOB_SEED repeats a run.

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../common/mod.rs"]
mod common;
mod cut_off;
mod flips;
mod full;
mod killed;
mod locks;
#[path = "../common/over.rs"]
mod over;
#[path = "../common/random.rs"]
mod random;
mod shared;
mod work;

use std::ops::Range;
use std::path::{Path, PathBuf};

use common::environment;
use flob_image::Environment;
use flob_image::store::{Details, Input, Store, StoreError};
use random::{is_soak, positions, seed};
use tempfile::TempDir;

/// The staged beginning of a file, as a crash in the middle of writing it leaves it behind.
fn tear(folder: &Path, path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let file = folder.join(format!("{path}#1"));
    std::fs::create_dir_all(file.parent().expect("a folder"))?;
    std::fs::write(file, &bytes[..bytes.len() / 2])
}

/// A store with a sound checkpoint and one that is to be damaged; each has a pack of its own.
struct Case {
    folder: TempDir,
    store: Store,
    sound: String,
    victim: String,
}

fn save(store: &Store, fills: Range<u8>) -> Result<String, StoreError> {
    let first = fills.start;
    let mut spool = store.spool()?;
    spool.append(&[first; 100])?;
    let mut builder = store.begin(None)?;
    for (number, fill) in fills.enumerate() {
        builder.add_page(number as u64, &[fill; 4096])?;
    }
    // Each has a program of its own.
    let environment = Environment { build_id: format!("{first:02x}"), ..environment() };
    let program = format!("\x7fELF of {first}");
    let details =
        Details { input: Input::Spool(&spool), program: Some(program.as_bytes()), ..Details::default() };
    builder.finish(&environment, details)
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

    fn input(&self) -> PathBuf {
        let is_mine = |path: &PathBuf| std::fs::read(path).expect("a chunk")[0] == 10;
        files(&self.folder.path().join("input")).into_iter().find(is_mine).expect("a chunk")
    }

    fn program(&self) -> PathBuf {
        let all = files(&self.folder.path().join("programs"));
        all.into_iter().find(|path| name(path).starts_with("0a-")).expect("a program")
    }

    fn files_of_victim(&self) -> [PathBuf; 4] {
        [self.manifest(), self.pack(), self.input(), self.program()]
    }

    fn assert_rest_is_sound(&self) {
        let list = self.store.list().expect("a list");
        assert!(list.iter().any(|line| line.id == self.sound && line.summary.is_ok()));
        assert!(self.store.load(&self.sound).expect("load").check().is_empty());
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

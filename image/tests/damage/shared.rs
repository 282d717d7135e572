//! Several checkpoints are inspected at once: what they share is read once, and what is wrong with it is said of each of them.

use std::path::PathBuf;

use flob_image::store::{Inspection, Step};

use super::*;

/// What an inspection tells of how far it is.
type Told = Vec<(Step, u64, u64)>;

/// Three checkpoints with the same first two pages, program and input, and each but the first with a page of its own, in packs of their own.
struct Related {
    folder: TempDir,
    store: Store,
    ids: Vec<String>,
}

impl Related {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let save = |parent: Option<&String>, own: u8| {
            let mut builder = store.begin(parent.map(String::as_str)).expect("begin");
            for (number, fill) in [(0, 1), (1, 2), (2, own)] {
                builder.add_page(number, &[fill; 4096]).expect("a page");
            }
            let mut spool = store.spool().expect("a spool");
            spool.append(&[7; 100]).expect("input");
            let details =
                Details { input: Input::Spool(&spool), program: Some(b"\x7fELF"), ..Details::default() };
            let environment = Environment { build_id: "aa".into(), ..environment() };
            builder.finish(&environment, details).expect("finish")
        };
        let first = save(None, 0);
        let second = save(Some(&first), 3);
        let third = save(Some(&second), 4);
        Self { folder, store, ids: vec![first, second, third] }
    }

    fn inspection(&self) -> Inspection {
        self.store.inspection(&self.ids, &mut |_, _, _| ())
    }

    /// What is damaged in each, and what was told meanwhile.
    fn inspect(&self, inspection: &mut Inspection) -> (Vec<Vec<String>>, Told) {
        let mut told = Vec::new();
        let mut found = Vec::new();
        for id in &self.ids {
            let checkpoint = self.store.load(id).expect("load");
            let errors =
                inspection.check(&checkpoint, &mut |step, done, total| told.push((step, done, total)));
            found.push(errors.iter().map(ToString::to_string).collect());
        }
        (found, told)
    }

    /// The pack that all of them need.
    fn shared_pack(&self) -> PathBuf {
        let is_it = |path: &PathBuf| std::fs::read(path).expect("a pack").len() == 16 + 2 * 4096;
        files(&self.folder.path().join("packs")).into_iter().find(is_it).expect("a pack")
    }

    fn shared(&self) -> [PathBuf; 3] {
        let first = |name| files(&self.folder.path().join(name)).remove(0);
        [self.shared_pack(), first("input"), first("programs")]
    }
}

fn damage(file: &Path) -> Vec<u8> {
    let good = std::fs::read(file).expect("a file");
    let mut bad = good.clone();
    *bad.last_mut().expect("a byte") ^= 1;
    std::fs::write(file, bad).expect("written");
    good
}

#[test]
fn the_pages_of_all_are_told_and_those_of_a_shared_pack_once() {
    let related = Related::new();
    let mut told = Vec::new();
    let mut inspection =
        related.store.inspection(&related.ids, &mut |step, done, total| told.push((step, done, total)));
    assert_eq!(told, [0, 1, 2].map(|done| (Step::Finding, done, 3)));
    let (found, told) = related.inspect(&mut inspection);
    assert_eq!(found, vec![Vec::<String>::new(); 3]);
    let done: Vec<u64> = told.iter().map(|(_, done, _)| *done).collect();
    // Two shared, and one of its own in each of the others.
    assert!(told.iter().all(|(step, _, total)| (*step, *total) == (Step::Verifying, 4)), "{told:?}");
    assert!(done.is_sorted() && (done.first(), done.last()) == (Some(&0), Some(&4)), "{told:?}");
}

/// What was found sound of a file is not asked again: it is damaged behind that.
#[test]
fn what_is_shared_is_read_once() {
    let related = Related::new();
    let mut inspection = related.inspection();
    let first = related.store.load(&related.ids[0]).expect("load");
    assert!(inspection.check(&first, &mut |_, _, _| ()).is_empty());
    related.shared().iter().for_each(|file| drop(damage(file)));
    assert_eq!(related.inspect(&mut inspection).0, vec![Vec::<String>::new(); 3]);
    assert!(related.inspect(&mut related.inspection()).0.iter().all(|found| found.len() == 3));
}

#[test]
fn what_is_wrong_with_something_shared_is_said_of_each_that_needs_it() {
    let related = Related::new();
    for file in related.shared() {
        let good = damage(&file);
        let (found, _) = related.inspect(&mut related.inspection());
        for (id, found) in related.ids.iter().zip(&found) {
            assert!(found.len() == 1 && found[0].contains(&name(&file)), "{found:?}");
            let is_program = file.parent().is_some_and(|folder| folder.ends_with("programs"));
            assert!(is_program || found[0].contains(&format!("flob checkpoint rm {id}")), "{found:?}");
        }
        std::fs::write(&file, good).expect("written");
    }
    damage(&related.shared_pack());
    let (found, _) = related.inspect(&mut related.inspection());
    assert!(found.iter().all(|found| found[0].contains("(page 0x1)")), "{found:?}");
}

#[test]
fn what_only_one_has_is_said_of_that_one() {
    let related = Related::new();
    let is_last = |path: &PathBuf| std::fs::read(path).expect("a pack")[16] == 4;
    let pack = files(&related.folder.path().join("packs")).into_iter().find(is_last).expect("a pack");
    damage(&pack);
    let (found, _) = related.inspect(&mut related.inspection());
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1], "{found:?}");
}

//! Saved checkpoints with no guest running: given away as files, taken elsewhere, and run on there.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use flob_tests::{Finished, World};

/// Philosophers in a deadlock, saved; the checkpoint. Their guest is gone.
fn deadlocked(world: &World) -> String {
    let guest = world.guest(&["philosophers", "5", "--meals", "3", "--deadlock", "--pace", "2"], None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 5).count() == 5
    });
    let checkpoint = guest.save(&["stuck"]);
    guest.power_cut();
    checkpoint
}

fn assert_fails(finished: &Finished, code: i32, text: &str) {
    assert_eq!(finished.code, Some(code), "{finished}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    assert!(finished.stderr.contains(text), "no {text:?} in {finished}");
}

#[test]
fn a_checkpoint_goes_to_another_machine_in_a_file_and_runs_on_there() {
    let (here, there) = (World::new(), World::new());
    let checkpoint = deadlocked(&here);
    let path = there.path("stuck.flob");
    let path = path.to_str().unwrap();
    let exported = here.json(&["checkpoint", "export", "--json", "stuck", path]);
    assert_eq!(exported["bytes"], std::fs::metadata(path).unwrap().len());
    assert_fails(&here.flob(&["checkpoint", "export", "stuck", path]), 122, "--force");
    assert_eq!(there.flob_ok(&["checkpoint", "import", path]).trim(), checkpoint);
    let again = there.flob(&["checkpoint", "import", path]);
    assert_eq!((again.code, again.stdout.trim()), (Some(0), checkpoint.as_str()), "{again}");
    assert!(again.stderr.contains("in the store already"), "{again}");
    assert!(there.flob_ok(&["checkpoint", "verify"]).contains(&format!("{checkpoint}: sound")));
    // Symbols came along: names and places in the source are the same.
    let looks = [&["why", "--at", "stuck", "philosopher-1"][..], &["tree", "--at", "stuck"]];
    for look in looks {
        assert_eq!(there.flob_ok(look), here.flob_ok(look));
    }
    let edited = there.flob_ok(&["checkpoint", "edit", "stuck", "--set", "FORKS[2].locked=false"]);
    let finished = there.start(&["run", "--headless", "--restore", edited.trim()], None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.lines().last(), Some("all 5 philosophers have had 3 meals"), "{finished}");
    // A damaged file brings nothing.
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    assert_fails(&World::new().flob(&["checkpoint", "import", path]), 122, "nothing was imported");
}

/// Images of every format version in the corpus, made by real runs then, run on in a guest of today.
#[test]
fn images_of_every_version_run_on_today() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let versions = std::fs::read_dir(corpus).unwrap().map(|version| version.unwrap().path());
    let mut count = 0;
    for version in versions {
        let world = World::new();
        let file = version.join("philosophers.flobx");
        let id = if file.exists() {
            world.flob_ok(&["checkpoint", "import", file.to_str().unwrap()])
        } else {
            // Version 1 had no exported files.
            copy(&version.join("store"), &world.path("store"));
            "2c1e90e8".to_owned()
        };
        let id = id.trim();
        let shown = world.flob_ok(&["checkpoint", "show", id]);
        assert!(shown.contains("philosophers 3 --meals 3 --deadlock --pace 2"), "{shown}");
        let why = world.flob_ok(&["why", "--at", id, "thread-a0"]);
        assert!(why.contains("deadlock of 3"), "{why}");
        let edited = world.flob_ok(&["checkpoint", "edit", id, "--set", "0x430a00.locked=false"]);
        let finished = world.start(&["run", "--headless", "--restore", edited.trim()], None).finish();
        assert_eq!(finished.code, Some(0), "{}: {finished}", version.display());
        assert_eq!(finished.stdout.lines().last(), Some("all 3 philosophers have had 3 meals"), "{finished}");
        count += 1;
    }
    assert!(count >= 2, "{count} versions");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            std::fs::create_dir_all(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else {
            std::fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

//! Saved checkpoints with no guest running: given away as files, taken elsewhere, and run on there.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

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

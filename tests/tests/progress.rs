//! How far work in the store is: on a terminal a line that is gone afterwards; elsewhere nothing.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Screen, World};

/// What begins a line of progress, whatever stands there.
const LINE: &str = "\r\x1b[K";

/// Runs a verb on a terminal: it says where it begins with each step, and in the end only this, which is told last.
fn on_a_terminal(world: &World, verb: &[&str], steps: &[&str], last: &str) {
    let mut screen = Screen::start(world, &[&["checkpoint"], verb].concat(), 100, 10);
    let text = screen.wait_for(last);
    let written = screen.written();
    for step in steps {
        assert!(written.contains(&format!("{LINE}{step} 0/")), "{verb:?} {step}: {written:?}");
        assert!(!text.contains(step), "{verb:?} {step} is left: {text}");
    }
    assert_eq!(screen.end(), 0, "{verb:?}: {text}");
}

#[test]
fn a_terminal_shows_how_far_work_in_the_store_is_and_nothing_else_does() {
    let world = World::new();
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/2/philosophers.flobx");
    let (file, core) = (world.path("file"), world.path("core"));
    let (file, core) = (file.to_str().unwrap(), core.to_str().unwrap());
    // Nobody needs it.
    let leave = || world.file("store/packs/left.pack", b"over");
    let id = world.flob_ok(&["checkpoint", "import", image]).trim().to_owned();
    world.flob_ok(&["checkpoint", "rm", &id]);
    on_a_terminal(&world, &["import", image], &["reading", "importing"], &id);
    on_a_terminal(&world, &["export", &id, file], &["exporting"], "exported to");
    on_a_terminal(&world, &["export", "--core", &id, core], &["exporting"], "open it with");
    on_a_terminal(&world, &["verify"], &["verifying"], "sound");
    leave();
    on_a_terminal(&world, &["gc"], &["reading checkpoints", "removing files"], "1 files removed");
    leave();
    for verb in [
        &["import", image][..],
        &["export", "--force", &id, file],
        &["export", "--force", "--core", &id, core],
        &["verify"],
        &["gc"],
    ] {
        let finished = world.flob(&[&["checkpoint"], verb].concat());
        assert!(finished.code == Some(0) && !finished.stderr.contains(LINE), "{verb:?}: {finished}");
    }
}

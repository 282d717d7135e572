//! The line to the guest: whichever device carries it, the same comes of it; and memory is saved as it was at one moment, though
//! the program goes on writing it.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{World, rounds};

const LINES: [&str; 2] = ["virtio", "serial"];

#[test]
fn a_program_runs_to_its_end_over_either_line() {
    for line in LINES {
        let world = World::new();
        let arguments = ["run", "--headless", "--link", line, "philosophers", "3", "--meals", "1"];
        let finished = world.flob(&arguments);
        assert_eq!(finished.code, Some(0), "{line}: {finished}");
        assert_eq!(finished.stdout.lines().count(), 3 + 1, "{line}: {finished}");
    }
}

#[test]
fn what_was_saved_over_one_line_is_restored_over_the_other() {
    for (save, restore) in [("virtio", "serial"), ("serial", "virtio")] {
        let world = World::new();
        let guest = world.guest(&["--paused", "--link", save, "philosophers", "2", "--meals", "2"], None);
        let checkpoint = guest.save(&[]);
        guest.power_cut();
        let arguments = ["run", "--headless", "--link", restore, "--restore", &checkpoint];
        let finished = world.flob(&arguments);
        assert_eq!(finished.code, Some(0), "from {save} to {restore}: {finished}");
        assert_eq!(finished.stdout.lines().count(), 2 * 2 + 1, "{finished}");
    }
}

#[test]
fn a_machine_without_the_virtio_port_takes_the_16550_and_says_so() {
    let world = World::new();
    let emulator = world.script(
        "emulator",
        r#"left=$#
while [ "$left" -gt 0 ]; do
    word=$1; shift; left=$((left - 1))
    case "$word $1" in
        "-device virt"*) shift; left=$((left - 1)) ;;
        "-serial none") shift; left=$((left - 1)); set -- "$@" -serial chardev:link ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec qemu-system-x86_64 "$@""#,
    );
    let mut command = world.command(&["-s", "old", "run", "--headless", "philosophers", "2", "--meals", "1"]);
    command.env("FLOB_QEMU", emulator);
    let finished = flob_tests::Running::start(command, None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    let console = std::fs::read_to_string(world.path("run/flob/old.logs/console.log")).unwrap();
    let said = "platform: there is no virtio serial port: the link is the 16550";
    assert!(console.contains(said), "{console}");
}

/// Pages of the program are written all the time; each has a counter, and the program finds out if they are not all of one
/// moment.
#[test]
fn memory_that_is_written_while_it_is_saved_is_saved_as_it_was() {
    const ROUNDS: &str = "240000";
    let world = World::new();
    let guest = world.guest(&["scribble", "4", "--rounds", ROUNDS], None);
    guest.hub.wait_for_output("ready\n".len());
    let checkpoints: Vec<String> = (0..rounds(3)).map(|_| guest.save(&[])).collect();
    // Having been saved has not hurt it.
    let finished = guest.finish();
    let end = format!("{ROUNDS} rounds over 1024 pages\n");
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("ready\n{end}")), "{}", finished.stderr);
    for checkpoint in checkpoints {
        let restored = world.flob(&["run", "--headless", "--restore", &checkpoint]);
        assert_eq!((restored.code, restored.stdout.as_str()), (Some(0), end.as_str()), "{}", restored.stderr);
    }
}

#[test]
fn a_program_can_be_gone_back_to_after_it_was_saved_while_it_wrote() {
    let world = World::new();
    let guest = world.guest(&["scribble", "2", "--rounds", "240000"], None);
    guest.hub.wait_for_output("ready\n".len());
    let first = guest.save(&[]);
    guest.save(&[]);
    guest.flob_ok(&["checkpoint", "restore", &first]);
    guest.flob_ok(&["resume"]);
    let finished = guest.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(finished.stdout.ends_with("240000 rounds over 512 pages\n"), "{finished}");
}

/// Whoever asked for the save goes away in the middle of it, when pages of the program have been copied already.
#[test]
fn a_save_that_is_cancelled_leaves_the_program_as_it_was() {
    const ROUNDS: &str = "200000";
    let world = World::new();
    let guest = world.guest(&["--link", "serial", "scribble", "1", "--rounds", ROUNDS], None);
    guest.hub.wait_for("ready\n");
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    let has = |what: &str| std::fs::read_to_string(&log).unwrap().contains(what);
    let saving = world.start(&["-s", &guest.name, "checkpoint", "save"], None);
    world.wait_until("pages are on their way", || has("SavePages"));
    saving.kill();
    world.wait_until("the save is given up", || has("SaveEnd"));
    let finished = guest.finish();
    let said = format!("ready\n{ROUNDS} rounds over 256 pages\n");
    assert_eq!((finished.code, finished.stdout), (Some(0), said), "{}", finished.stderr);
    assert!(world.json(&["checkpoint", "list", "--json"]).as_array().unwrap().is_empty());
}

/// A full save of the same program over a line: the checkpoint, the bytes of its pages, and those that came over the line.
fn full_save(world: &World, line: &str) -> (String, u64, u64) {
    let guest = world.guest(&["--link", line, "--paused", "philosophers", "3"], None);
    let before = guest.received();
    let checkpoint = guest.save(&["--full"]);
    let bytes = guest.received() - before;
    let shown = world.json(&["checkpoint", "show", "--json", &checkpoint]);
    let stored = shown["stored"].as_u64().unwrap();
    println!("{line}: {stored} bytes of pages in {bytes} bytes");
    (checkpoint, stored, bytes)
}

/// The fast line is faster than the guest could pack pages or hash them: they go as they are, known or not.
#[test]
fn over_the_fast_line_pages_go_as_they_are() {
    let world = World::new();
    for _ in 0..2 {
        let (_, stored, bytes) = full_save(&world, "virtio");
        assert!(bytes >= stored, "{bytes} bytes, not {stored}");
    }
}

/// Over the slow line pages go packed, and those that the store has stay where they are.
#[test]
fn over_the_slow_line_pages_go_packed_and_known_ones_not_at_all() {
    let world = World::new();
    let (first, stored, bytes) = full_save(&world, "serial");
    assert!(bytes < stored * 3 / 4, "{stored} bytes of pages in {bytes} bytes");
    let (second, _, fewer) = full_save(&world, "serial");
    assert!(fewer * 4 < bytes, "{fewer} bytes, not {bytes}");
    for checkpoint in [first, second] {
        world.flob_ok(&["checkpoint", "verify", &checkpoint]);
        let arguments = ["run", "--headless", "--link", "serial", "--restore", &checkpoint];
        let guest = world.guest_of(world.start(&arguments, None));
        guest.hub.wait_for("meal");
    }
}

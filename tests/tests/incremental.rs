//! Saves that fetch only what has changed: each checkpoint is whole in itself, whatever was written, cancelled or restored
//! between two of them, and the line carries little.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use flob_tests::{Guest, World, rounds, seed};

/// Saves a checkpoint; its id, and the bytes that it took.
fn save(guest: &Guest<'_>, arguments: &[&str]) -> (String, u64) {
    let before = guest.received();
    let id = guest.save(arguments);
    (id, guest.received() - before)
}

/// The program stands still: an incremental checkpoint and a full one must be equal.
fn expect_whole(world: &World, guest: &Guest<'_>) -> String {
    let (changes, _) = save(guest, &[]);
    let (full, _) = save(guest, &["--full"]);
    let difference = world.flob_ok(&["checkpoint", "diff", &changes, &full]);
    // Time goes on.
    let difference: Vec<&str> = difference.lines().filter(|line| !line.starts_with("clock:")).collect();
    assert!(difference.is_empty(), "between {changes} and {full}: {difference:#?}");
    full
}

/// A save whose client goes away after a random time. It may have come to its end before.
fn save_and_go_away(world: &World, guest: &Guest<'_>, random: &mut fastrand::Rng) {
    let saving = world.start(&["-s", &guest.name, "checkpoint", "save", "--full"], None);
    std::thread::sleep(Duration::from_millis(random.u64(0..60)));
    saving.kill();
}

/// Some pages are written all the time, most never. Saves, also cancelled ones, at random moments; after each the program is
/// held and what was saved compared with all that is there. From the last the program goes on and looks at every byte.
#[test]
fn chains_of_incremental_saves_lose_nothing() {
    /// Rounds of all pages that take as long as the test needs.
    const ROUNDS: u32 = 120_000;
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..rounds(1) {
        let world = World::new();
        let every = random.u32(2..40);
        let (rounds, every) = ((ROUNDS * every).to_string(), every.to_string());
        let guest = world.guest(&["scribble", "4", "--every", &every, "--rounds", &rounds], None);
        guest.hub.wait_for("ready\n");
        let mut last = guest.save(&[]);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(random.u64(0..40)));
            if random.bool() {
                save_and_go_away(&world, &guest, &mut random);
            }
            last = guest.save(&[]);
            if random.bool() {
                guest.flob_ok(&["pause"]);
                last = expect_whole(&world, &guest);
                guest.flob_ok(&["resume"]);
            }
            if random.u8(0..4) == 0 {
                guest.flob_ok(&["checkpoint", "restore", "--resume", &last]);
            }
        }
        guest.power_cut();
        let finished = world.flob(&["run", "--headless", "--restore", &last]);
        let end = format!("{rounds} rounds over 1024 pages\n");
        assert_eq!((finished.code, finished.stdout), (Some(0), end), "every {every}: {}", finished.stderr);
    }
}

/// Whoever writes: the debugger's bytes, its breakpoints, a restore.
#[test]
fn what_the_debugger_writes_is_saved_too() {
    let world = World::new();
    let guest = world.guest(&["--paused", "scribble", "1"], None);
    expect_whole(&world, &guest);
    // Memory that the program has not used, to be non-zero and then zero again.
    for bytes in ["01", "00"] {
        guest.flob_ok(&["poke", "--environment", "0x2000008", bytes]);
        expect_whole(&world, &guest);
    }
    guest.flob_ok(&["resume"]);
    guest.hub.wait_for("ready\n");
    guest.flob_ok(&["pause"]);
    let before = guest.save(&[]);
    guest.flob_ok(&["resume"]);
    guest.flob_ok(&["pause"]);
    expect_whole(&world, &guest);
    guest.flob_ok(&["checkpoint", "restore", &before]);
    let (restored, bytes) = save(&guest, &[]);
    assert!(bytes < 128 * 1024, "{bytes} bytes after a restore");
    let difference = world.flob_ok(&["checkpoint", "diff", &before, &restored]);
    assert!(!difference.contains("bytes"), "{difference}");
    expect_whole(&world, &guest);
}

/// A checkpoint that was removed, or damaged, is nothing to build on.
#[test]
fn without_the_checkpoint_before_everything_is_fetched() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3"], None);
    let (first, whole) = save(&guest, &[]);
    let (second, little) = save(&guest, &[]);
    assert!(little * 4 < whole, "{little} of {whole} bytes");
    world.flob_ok(&["checkpoint", "rm", &second, &first]);
    world.flob_ok(&["checkpoint", "gc"]);
    let (third, again) = save(&guest, &[]);
    assert!(again + 8192 > whole, "{again} of {whole} bytes");
    world.flob_ok(&["checkpoint", "verify", &third]);
    let pack = std::fs::read_dir(world.path("store/packs")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let (fourth, again) = save(&guest, &[]);
    assert!(again + 8192 > whole, "{again} of {whole} bytes");
    world.flob_ok(&["checkpoint", "verify", &fourth]);
}

#[test]
fn a_hundredth_that_has_changed_costs_at_most_a_fiftieth_of_the_bytes() {
    let world = World::new();
    let guest = world.guest(&["scribble", "16", "--every", "100"], None);
    guest.hub.wait_for("ready\n");
    let (_, whole) = save(&guest, &[]);
    let (_, little) = save(&guest, &[]);
    println!("{little} of {whole} bytes");
    assert!(little * 50 <= whole, "{little} of {whole} bytes");
}

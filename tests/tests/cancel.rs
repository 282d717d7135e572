//! Ctrl-C during a save or restore: it ends with a word, and everything is as it was.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;

use flob_tests::{Finished, Guest, Signal, World, rounds, send};

const ROUNDS: &str = "1400000";

/// Starts a verb, waits until the link's log has this, and interrupts it.
fn interrupted(world: &World, guest: &Guest<'_>, verb: &[&str], when: &str) -> Finished {
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    let arguments = [&["-s", &guest.name], verb].concat();
    let running = world.start(&arguments, None);
    world.wait_until(when, || std::fs::read_to_string(&log).unwrap().contains(when));
    send(Signal::INT, running.id());
    running.finish()
}

fn expect_cancelled(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(125), ""), "{finished}");
    assert_eq!(finished.stderr, "flob: cancelled: everything is as it was\n");
}

#[test]
fn ctrl_c_cancels_a_save_and_a_restore_and_the_program_goes_on() {
    let world = World::new();
    let arguments = ["--link", "serial", "scribble", "1", "--rounds", ROUNDS];
    let guest = world.guest(&arguments, None);
    guest.hub.wait_for("ready\n");
    let saving = interrupted(&world, &guest, &["checkpoint", "save"], "SavePages");
    expect_cancelled(&saving);
    assert!(world.json(&["checkpoint", "list", "--json"]).as_array().unwrap().is_empty());
    let checkpoint = guest.save(&[]);
    let restoring = interrupted(&world, &guest, &["checkpoint", "restore", &checkpoint], "RestorePacked");
    expect_cancelled(&restoring);
    // Nothing that was half there is in the way, of the program or of the next save.
    let last = guest.save(&[]);
    world.flob_ok(&["checkpoint", "verify", &last]);
    let end = format!("{ROUNDS} rounds over 256 pages\n");
    let finished = guest.finish();
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("ready\n{end}")), "{}", finished.stderr);
    let restored = world.flob(&["run", "--headless", "--restore", &last]);
    assert_eq!((restored.code, restored.stdout), (Some(0), end), "{}", restored.stderr);
}

/// A moment that does not come is waited for until somebody does not want to wait.
#[test]
fn ctrl_c_ends_the_wait_for_a_moment() {
    let world = World::new();
    let guest = world.guest(&["philosophers", "3", "--meals", "100000", "--pace", "1000"], None);
    let waiting = interrupted(&world, &guest, &["checkpoint", "save", "--when", "input"], "Ok(Waiting)");
    expect_cancelled(&waiting);
    // Nor does one who has gone away keep others waiting.
    let gone = world.start(&["-s", &guest.name, "checkpoint", "save", "--when", "input"], None);
    world.wait_until("it waits", || {
        let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
        std::fs::read_to_string(log).unwrap().matches("Ok(Waiting)").count() == 2
    });
    gone.kill();
    guest.save(&[]);
}

/// Whoever asks is answered, also for pages of a save that has ended meanwhile: a request without an answer would make the
/// guest pass for dead half a minute later.
#[test]
fn every_request_of_a_save_that_was_given_up_is_answered() {
    let world = World::new();
    let guest = world.guest(&["scribble", "16", "--every", "3"], None);
    guest.hub.wait_for("ready\n");
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    let asked_for_pages = || std::fs::read_to_string(&log).unwrap().matches("SavePages").count();
    for _ in 0..rounds(30) {
        let before = asked_for_pages();
        let saving = world.start(&["-s", &guest.name, "checkpoint", "save", "--full"], None);
        world.wait_until("pages travel", || asked_for_pages() > before);
        saving.kill();
    }
    guest.save(&[]);
    world.wait_until("all that was asked is answered", || {
        let log = std::fs::read_to_string(&log).unwrap();
        let answered: HashSet<&str> = log.lines().filter_map(|line| exchange(line, "< Reply {")).collect();
        log.lines().filter_map(|line| exchange(line, "> ToGuest {")).all(|asked| answered.contains(asked))
    });
}

/// Epoch and number of such a line of the link log.
fn exchange<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    let (exchange, _) = rest.split_once(", re")?;
    Some(exchange)
}

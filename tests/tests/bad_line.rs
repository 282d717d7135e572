//! A serial device instead of a socket: the line to the guest leads over a pseudo-terminal and loses, garbles and holds up bytes.
//! Nothing is lost or done twice, and nobody who types waits for it.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Running, Screen, Signal, World, send};

/// The `flob` command whose guest is behind such a line.
fn command(world: &World, line: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = world.command(arguments);
    command.env("FLOB_QEMU", env!("CARGO_BIN_EXE_flob-line")).env("FLOB_LINE", line);
    command
}

#[test]
fn over_a_serial_device_that_loses_and_garbles_bytes_all_is_as_it_should_be() {
    let seed = flob_tests::seed();
    let line = format!("lose=20000,flip=20000,seed={seed}");
    let world = World::new();
    let run = ["-s", "bad", "run", "--headless", "--link", "serial", "philosophers", "3", "--meals", "40"];
    let guest = world.guest_of(Running::start(command(&world, &line, &run), None));
    guest.hub.wait_for("meal 2");
    guest.flob_ok(&["pause"]);
    let before = guest.flob_ok(&["tree", "--json"]);
    assert_eq!(guest.flob_ok(&["tree", "--json"]), before);
    let checkpoint = guest.save(&[]);
    guest.flob_ok(&["resume"]);
    let log = world.path("run/flob/bad.logs/link.log");
    let finished = guest.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    // Each line of output once, in order.
    let meals = |who: usize| {
        let all = finished.stdout.lines().filter(|line| line.starts_with(&format!("philosopher-{who}")));
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(finished.stdout.lines().count(), 3 * 40 + 1, "{finished}");
    for who in 0..3 {
        let mut distinct = meals(who);
        distinct.dedup();
        assert_eq!(distinct.len(), meals(who).len(), "{finished}");
    }
    world.flob_ok(&["checkpoint", "verify", &checkpoint]);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("frames garbled so far"), "the line was good: nothing was tried");
}

const ESCAPE: &str = "\x1b";
/// Keys that show something else each, and what that is. None of it needs the guest.
const KEYS: &[(&str, &str)] =
    &[("2", "┌Threads"), ("5", "no checkpoints yet"), ("6", "no output yet"), ("1", "┌Flobs")];
/// The same of what lies over the rest until it is closed.
const OVER: &[(&str, &str)] =
    &[("?", "help (Esc closes"), (":", "Tab complete"), ("q", "leave the session running")];

/// A line of 1 KB a second, and then one that carries nothing at all: what a key shows is on the screen before anything else comes.
#[test]
fn what_a_key_shows_waits_for_nothing_that_comes_over_the_line() {
    let world = World::new();
    let run = ["-s", "slow", "run", "--paused", "--link", "serial", "philosophers", "4"];
    let mut screen = Screen::start_command(&command(&world, "rate=1000", &run), 120, 40);
    screen.wait_for("space:philosophers");
    let session = || world.json(&["sessions", "--json"])[0].clone();
    let received = || session()["received"].as_u64().unwrap();
    let emulator = session()["guest"].as_u64().unwrap().try_into().unwrap();
    // Looks are under way all the time, and take seconds.
    let before = received();
    world.wait_until("something comes over the line", || received() > before);
    send(Signal::STOP, emulator);
    let mut last = received();
    world.wait_until("nothing comes any more", || std::mem::replace(&mut last, received()) == last);
    for _ in 0..4 {
        for (key, shown) in KEYS {
            screen.keys(key);
            screen.wait_for(shown);
        }
        for (key, shown) in OVER {
            screen.keys(key);
            screen.wait_for(shown);
            screen.keys(ESCAPE);
            screen.wait("that it is closed", |text| !text.contains(shown));
        }
    }
    assert_eq!(received(), last, "something came over the line meanwhile");
    send(Signal::CONT, emulator);
    world.wait_until("the line carries again", || received() > last);
    screen.wait("that the link is back", |text| !text.contains("reconnecting"));
    screen.keys("q");
    screen.wait_for("leave the session running");
    screen.keys("s");
    screen.wait_until_left();
    assert_eq!(screen.end(), 0);
}

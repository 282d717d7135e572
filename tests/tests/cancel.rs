//! Ctrl-C during a save or restore: it ends with a word, and everything is as it was.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;

use flob_session::{Client, protocol::LongRequest};
use flob_tests::{Finished, Guest, Signal, World, rounds, send};

/// It waits until somebody opens its gate, so nothing here depends on how fast the machine is.
const CROWD: [&str; 5] = ["crowd", "--threads", "20", "--flobs", "5000"];
const OPEN: [&str; 3] = ["set", "mutex:crowd/GATE", "locked=false"];
/// What it says in the end, if all of it is as it was.
const END: &str = "all is well\n";

/// It goes on to its end here, and from this checkpoint in another guest.
fn goes_on(world: &World, guest: Guest<'_>, checkpoint: &str) {
    world.flob_ok(&["checkpoint", "verify", checkpoint]);
    guest.flob_ok(&OPEN);
    let finished = guest.finish();
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("ready\n{END}")), "{}", finished.stderr);
    let restored = world.guest(&["--restore", checkpoint], None);
    restored.flob_ok(&OPEN);
    let finished = restored.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), END), "{}", finished.stderr);
}

/// Starts a verb, waits until the link's log has this, and interrupts it.
fn interrupted(world: &World, guest: &Guest<'_>, verb: &[&str], when: &str) -> Finished {
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    let arguments = [&["-s", &guest.name], verb].concat();
    let times = || std::fs::read_to_string(&log).unwrap().matches(when).count();
    let before = times();
    let mut running = world.start(&arguments, None);
    world.wait_until(when, || times() > before || running.has_ended());
    if !running.has_ended() {
        send(Signal::INT, running.id());
    }
    running.finish()
}

fn expect_cancelled(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(125), ""), "{finished}");
    assert_eq!(finished.stderr, "flob: cancelled: everything is as it was\n");
}

#[test]
fn ctrl_c_cancels_a_save_and_a_restore_and_the_program_goes_on() {
    let world = World::new();
    // So much that it takes long over this line, and a word to the hub a thousandth of that: so far for what people do. Without a race: below.
    let large = ["--link", "serial", "crowd", "--threads", "20", "--flobs", "10000"];
    let guest = world.guest(&large, None);
    guest.hub.wait_for("ready\n");
    // Nothing of it is in the store yet, and all of it travels.
    expect_cancelled(&interrupted(&world, &guest, &["checkpoint", "save"], "SavePages"));
    assert!(world.json(&["checkpoint", "list", "--json"]).as_array().unwrap().is_empty());
    let checkpoint = guest.save(&[]);
    let restore = ["checkpoint", "restore", &checkpoint];
    expect_cancelled(&interrupted(&world, &guest, &restore, "RestoreRecord"));
    // Nothing that was half there is in the way, of the program or of the next save.
    let last = guest.save(&[]);
    goes_on(&world, guest, &last);
}

/// Asks for something long while a guest stands still, and cancels it when that guest was asked for this: it goes on only when the
/// hub has heard of that. So there is no race.
fn cancelled_while_one_stands(
    world: &World,
    guest: &Guest<'_>,
    request: LongRequest,
    (standing, asked): (&Guest<'_>, &str),
) {
    let client =
        Client::connect_path(&world.path("run/flob").join(format!("{}.session", guest.name))).unwrap();
    let log = world.path(&format!("run/flob/{}.logs/link.log", standing.name));
    let asked_for = || std::fs::read_to_string(&log).unwrap().matches(asked).count();
    let (before, emulator) = (asked_for(), emulator(world, standing));
    send(Signal::STOP, emulator);
    let pending = client.start(request).unwrap();
    world.wait_until(asked, || asked_for() > before);
    pending.cancel().unwrap();
    // Answered behind it.
    client.info().unwrap();
    send(Signal::CONT, emulator);
    let error = pending.wait().unwrap_err();
    assert!(error.to_string().contains("cancelled: everything is as it was"), "{error}");
}

fn emulator(world: &World, guest: &Guest<'_>) -> u32 {
    let sessions = world.json(&["sessions", "--json"]);
    let mut sessions = sessions.as_array().unwrap().iter();
    let session = sessions.find(|session| session["name"] == guest.name.as_str()).unwrap();
    session["guest"].as_u64().unwrap().try_into().unwrap()
}

#[test]
fn whatever_is_cancelled_before_the_guest_has_answered_has_not_happened() {
    let world = World::new();
    let target = world.guest(&["--paused", "philosophers", "3", "--meals", "2"], None);
    let guest = world.guest(&CROWD, None);
    guest.hub.wait_for("ready\n");
    let checkpoint = guest.save(&[]);
    let list = || world.json(&["checkpoint", "list", "--json"]);
    let before = list();
    let save = |full| LongRequest::Save { name: None, when: None, full };
    let restore = |lazy| LongRequest::Restore { id: checkpoint.clone(), force: false, lazy };
    let migrate = || LongRequest::Migrate { to: target.name.clone() };
    for (request, standing, asked) in [
        (save(false), &guest, "SaveBegin"),
        (save(true), &guest, "SaveBegin"),
        (restore(false), &guest, "RestoreBegin"),
        (restore(true), &guest, "RestoreBegin"),
        (migrate(), &guest, "request: Look"),
        (migrate(), &target, "RestoreBegin"),
    ] {
        cancelled_while_one_stands(&world, &guest, request, (standing, asked));
        assert_eq!(list(), before, "after {asked}");
        assert_eq!(world.json(&["sessions", "--json"]).as_array().unwrap().len(), 2, "after {asked}");
    }
    // What follows finds nothing half done, here and there, and the program has run on.
    let last = guest.save(&[]);
    goes_on(&world, guest, &last);
    target.flob_ok(&["resume"]);
    assert!(target.finish().stdout.ends_with("all 3 philosophers have had 2 meals\n"));
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

//! `flob break` on real sessions: conditions are evaluated where the program runs, hits are counted, and what belongs to one client
//! stays when another comes and goes.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{
    Guest, World,
    debugged::{assert_has, lazy_wordcount, wordcount},
};
use serde_json::Value;

/// Philosophers in the middle of their meals: all threads are there, to be named.
fn philosophers(world: &World) -> Guest<'_> {
    let guest = world.guest(&["philosophers", "3", "--meals", "30", "--pace", "5"], None);
    guest.hub.wait_for("meal 2");
    guest
}

/// Where a meal begins, once each.
fn meal() -> String {
    line_with("black_box(&meal)")
}

/// The first line of the philosophers' life with this code in it.
fn line_with(code: &str) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/philosophers/src/main.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let line = text.lines().position(|line| line.contains(code)).unwrap() + 1;
    format!("philosophers/src/main.rs:{line}")
}

#[track_caller]
fn all_have_eaten(guest: Guest<'_>) {
    let finished = guest.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(finished.stdout.contains("all 3 philosophers have had 30 meals"), "{finished}");
}

fn list(guest: &Guest<'_>) -> Vec<Value> {
    guest.json(&["break", "--list", "--json"]).as_array().unwrap().clone()
}

fn hits(guest: &Guest<'_>) -> u64 {
    list(guest).iter().map(|point| point["hits"].as_u64().unwrap()).sum()
}

/// The threads that are held, by their names.
fn held(guest: &Guest<'_>) -> Vec<String> {
    let threads = guest.json(&["ps", "--json"]);
    let held = threads.as_array().unwrap().iter().filter(|thread| thread["state"] == "held");
    held.map(|thread| thread["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_condition_stops_the_one_thread_that_it_names_and_nobody_else() {
    let world = World::new();
    let guest = philosophers(&world);
    let set = guest.flob_ok(&["break", &meal(), "if", "$thread == 'philosopher-1'"]);
    assert_has(&set, &["philosopher at main.rs:", "enabled", "$thread == 'philosopher-1'"]);
    let mut seen = 0;
    for _ in 0..4 {
        world.wait_until("philosopher 1 is stopped again", || hits(&guest) > seen);
        seen = hits(&guest);
        assert_eq!(held(&guest), ["philosopher-1"]);
        guest.flob_ok(&["resume"]);
    }
    guest.flob_ok(&["break", "--delete", "1"]);
    guest.flob_ok(&["resume"]);
    all_have_eaten(guest);
}

#[test]
fn conditions_over_flobs_see_them_as_they_are() {
    let world = World::new();
    let guest = philosophers(&world);
    let eating = line_with("pause(options.pace);");
    // Who eats has both forks; the second one is of the first two philosophers.
    let has_it =
        "'FORKS[1]'.owner == $thread && 'FORKS[1]'.locked && $thread.priority == 'philosopher-2'.priority";
    let set = guest.flob_ok(&["break", &eating, "if", has_it]);
    assert_has(&set, &["'FORKS[1]'.owner == $thread"]);
    let mut seen = 0;
    for _ in 0..5 {
        world.wait_until("somebody with the fork is stopped", || hits(&guest) > seen);
        seen = hits(&guest);
        for name in held(&guest) {
            assert!(name == "philosopher-0" || name == "philosopher-1", "{name} does not have the fork");
        }
        guest.flob_ok(&["resume"]);
    }
    world.wait_until("somebody with the fork is stopped", || hits(&guest) > seen);
    let wrong = guest.flob(&["break", &eating, "if", "'FORKS[1]'.colour"]);
    assert_eq!(wrong.code, Some(120), "{wrong}");
    assert_has(&wrong.stderr, &["a mutex has no field or link `colour`; it has ", "locked"]);
    // From now on a philosopher who eats without the fork would be stopped for good.
    let never = "'FORKS[1]'.owner != $thread && $thread != 'philosopher-2'";
    guest.flob_ok(&["break", &eating, "if", never]);
    guest.flob_ok(&["resume"]);
    all_have_eaten(guest);
}

#[test]
fn conditions_over_registers_and_memory_decide_as_the_program_has_them() {
    let world = World::new();
    let guest = philosophers(&world);
    let never = "$rsp == 0 || u64[$rsp] == 1 && u64[$rsp] == 2 || $rip == 7";
    guest.flob_ok(&["break", &meal(), "if", never]);
    guest.hub.wait_for("meal 6");
    assert_eq!((hits(&guest), held(&guest).len()), (0, 0));
    // Once more at the same place is another condition of the same breakpoint.
    guest.flob_ok(&["break", &meal(), "if", "*(1 << 62)"]);
    world.wait_until("a condition that cannot be evaluated stops", || hits(&guest) > 0);
    let points = list(&guest);
    assert!(points.iter().any(|point| point["state"] == "condition failed"), "{points:#?}");
    guest.flob_ok(&["break", &meal(), "if", "$rsp != 0 && u8[$rip] >= 0"]);
    let before = hits(&guest);
    guest.flob_ok(&["resume"]);
    world.wait_until("one that holds stops, too", || hits(&guest) > before);
    for point in points {
        guest.flob_ok(&["break", "--delete", &point["number"].to_string()]);
    }
    guest.flob_ok(&["resume"]);
    all_have_eaten(guest);
}

#[test]
fn breakpoints_are_disabled_enabled_and_deleted_by_number() {
    let world = World::new();
    let guest = philosophers(&world);
    guest.flob_ok(&["pause"]);
    guest.flob_ok(&["break", &meal()]);
    let numbers: Vec<String> = list(&guest).iter().map(|point| point["number"].to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    guest.flob_ok(&[&["break", "--disable"], &numbers[..]].concat());
    assert!(list(&guest).iter().all(|point| point["state"] == "disabled"));
    guest.flob_ok(&["resume"]);
    guest.hub.wait_for("meal 6");
    assert_eq!(hits(&guest), 0);
    guest.flob_ok(&[&["break", "--enable"], &numbers[..]].concat());
    world.wait_until("somebody is stopped", || hits(&guest) > 0);
    guest.flob_ok(&[&["break", "--delete"], &numbers[..]].concat());
    assert!(list(&guest).is_empty());
    let gone = guest.flob(&["break", "--enable", "1"]);
    assert_eq!(gone.code, Some(121), "{gone}");
    guest.flob_ok(&["resume"]);
    all_have_eaten(guest);
}

#[test]
fn the_users_breakpoints_outlast_a_debugger_and_the_list_shows_both() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    session.guest.flob_ok(&["break", "wordcount::work::add_up", "if", "$rsp == 1"]);
    session.guest.flob_ok(&["break", "--calls", "timer_wait,null"]);
    session.guest.flob_ok(&["break", "--watch", "0x100000:8"]);
    let shell = format!("shell {} break --list --json > {}", flob(&world), world.path("listed").display());
    let text = session.debug(&[
        "tbreak wordcount::work::add_up",
        "continue",
        "hbreak wordcount::work::add_up",
        "watch *(long*)$sp",
        "set breakpoint always-inserted on",
        &shell,
        "delete",
        "detach",
    ]);
    assert_has(&text, &["wordcount::work::add_up", "detached]"]);
    let listed: Value = serde_json::from_slice(&std::fs::read(world.path("listed")).unwrap()).unwrap();
    let owners: Vec<&str> =
        listed.as_array().unwrap().iter().map(|point| point["of"].as_str().unwrap()).collect();
    assert!(
        owners.contains(&"the user") && owners.iter().any(|owner| owner.starts_with("gdb")),
        "{listed:#}"
    );
    let after = list(&session.guest);
    let kinds: Vec<&str> = after.iter().map(|point| point["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["breakpoint", "call", "write"], "{after:#?}");
    assert!(after.iter().all(|point| point["of"] == "the user" && point["state"] == "enabled"), "{after:#?}");
    session.guest.flob_ok(&["break", "--delete", "1", "2", "3"]);
    session.ends_well();
}

/// The command, for a shell in this world.
fn flob(world: &World) -> String {
    world.command(&[]).get_program().to_str().unwrap().to_owned()
}

#[test]
fn a_breakpoint_and_its_condition_are_there_after_a_restore() {
    let world = World::new();
    let guest = philosophers(&world);
    guest.flob_ok(&["checkpoint", "save", "start"]);
    guest.flob_ok(&["break", &meal(), "if", "$thread == 'philosopher-2'"]);
    world.wait_until("philosopher 2 is stopped", || hits(&guest) > 0);
    guest.flob_ok(&["checkpoint", "restore", "start"]);
    let before = hits(&guest);
    guest.flob_ok(&["resume"]);
    world.wait_until("philosopher 2 is stopped again", || hits(&guest) > before);
    assert_eq!(held(&guest), ["philosopher-2"]);
    for point in list(&guest) {
        guest.flob_ok(&["break", "--delete", &point["number"].to_string()]);
    }
    guest.flob_ok(&["resume"]);
    all_have_eaten(guest);
}

#[test]
fn a_line_of_the_source_is_a_place_and_bad_ones_are_told() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let set = session.guest.json(&["break", "work.rs:40", "--json"]);
    let first = set.as_array().unwrap()[0].clone();
    assert!(first["where"].as_str().unwrap().contains("work.rs:4"), "{set:#}");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["break", "nowhere"], 121, "a FUNCTION, FILE:LINE or 0xADDRESS is meant"),
        (&["break", "nowhere.rs:7"], 121, "no code at 'nowhere.rs:7'"),
        (&["break", "main", "if", "$eax"], 120, "the registers are thread, rax"),
        (&["break", "main", "if", "1 +"], 120, "at its end"),
        (&["break", "0xffff0000"], 121, "there is no memory"),
    ];
    for (arguments, code, part) in cases {
        let said = session.guest.flob(arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {said}");
        assert!(said.stderr.contains(part), "{arguments:?}: {said}");
    }
    for point in list(&session.guest) {
        session.guest.flob_ok(&["break", "--delete", &point["number"].to_string()]);
    }
    session.guest.flob_ok(&["resume"]);
    session.ends_well();
}

//! `monitor …` in Debian's gdb on a real session: flobs are looked at and changed, checkpoints saved, listed, compared and
//! restored.
#![allow(missing_docs)]

use flob_tests::{
    Screen, World,
    debugged::{assert_has, lazy_wordcount, wordcount},
};

#[test]
fn every_monitor_command_is_in_the_help_and_says_what_it_needs() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let text = session.debug(&[
        "monitor help",
        "monitor show",
        "monitor set worker-0",
        "monitor set worker-0 colour=red",
        "monitor flobs fork",
        "monitor restore",
        "monitor restore 12345678",
        "monitor diff",
        "monitor dance",
        "monitor flobs condition",
        "monitor memory",
        "detach",
    ]);
    let verbs = [
        "flobs",
        "show",
        "set",
        "memory",
        "why",
        "wait-graph",
        "checkpoint",
        "checkpoints",
        "restore",
        "diff",
    ];
    for verb in verbs {
        assert_has(&text, &[&format!("\nmonitor {verb} ")]);
    }
    // Its code, statics and the first thread's stack.
    assert_has(
        &text,
        &["0x400000-0x", " r-x outside:memory+0x", " rw- outside:memory+0x", "mapping:wordcount/+0x"],
    );
    assert_has(&text, &["monitor flobs lists them", "monitor set FLOB FIELD=VALUE", "colour", "kinds are "]);
    assert_has(
        &text,
        &["monitor checkpoints lists them", "12345678", "monitor help lists them", "NOT_EMPTY"],
    );
    session.ends_well();
}

#[test]
fn a_flob_is_changed_and_the_graph_shows_who_waits() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    // For a whole second, again and again.
    world.wait_until("a worker waits for work", || session.guest.flob_ok(&["ps"]).contains("NOT_EMPTY"));
    let text = session.debug(&[
        "monitor wait-graph",
        "monitor set worker-0 priority=3",
        "monitor show worker-0",
        "detach",
    ]);
    assert_has(&text, &[" → ", "NOT_EMPTY", "priority: ", " -> 3"]);
    session.ends_well();
}

#[test]
fn a_checkpoint_is_saved_compared_and_restored_from_gdb() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "tbreak wordcount::work::add_up",
        "continue",
        "set $there = $pc",
        "set $who = $_thread",
        "monitor checkpoint before",
        "monitor checkpoints",
        "monitor diff before",
        "tbreak wordcount::work::add_up",
        "continue",
        "monitor diff before",
        "monitor restore before",
        // Told at once: the state is another one. Which thread came to the second breakpoint is chance.
        "continue",
        "thread $who",
        "print $pc == $there",
        "detach",
    ]);
    assert_has(&text, &[" saved; monitor restore ", "before", " threads, "]);
    assert_has(
        &text,
        &["registers.r", " restored; gdb shows", "the state was changed meanwhile", "SIGSTOP", "$1 = true"],
    );
    session.ends_well();
}

#[test]
fn what_gdb_and_the_interface_write_is_undone_in_turn() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let priority = || world.json(&["show", "--json", "worker-0"])["state"]["priority"].clone();
    let undone = |what: &str| {
        let said = world.flob_ok(&["undo"]);
        assert!(said.starts_with(&format!("undone: {what}")), "{said}");
    };
    world.wait_until("the workers are there", || world.flob(&["show", "worker-0"]).code == Some(0));
    let before = priority();
    session.debug(&["monitor set worker-0 priority=3", "detach"]);
    assert_eq!(priority(), 3);
    let script = world.file("script", b"pause\nset worker-0 priority=5\nresume\nquit\n");
    let mut screen =
        Screen::start(&world, &["attach", "--commands", script.to_str().expect("a path")], 80, 24);
    screen.wait_until_left();
    assert_eq!(screen.end(), 0);
    assert_eq!(priority(), 5);
    let text = session.debug(&["set var $r15 = 0x1234567", "detach"]);
    assert!(!text.contains("not be undone"), "{text}");
    undone("what gdb wrote");
    assert_eq!(priority(), 5);
    undone("set thread:wordcount/WORKER[0] priority=5");
    assert_eq!(priority(), 3);
    undone("set worker-0 priority=3");
    assert_eq!(priority(), before);
    world.flob_ok(&["resume"]);
    session.ends_well();
}

//! Single instructions by the command line, and what a shell's Tab completes.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Running, World};

const PROGRAM: &[&str] = &["--paused", "philosophers", "3", "--meals", "1"];

#[test]
fn a_held_thread_does_so_many_instructions_or_stops_sooner_at_a_breakpoint() {
    let world = World::new();
    let guest = world.guest(PROGRAM, None);
    let first = guest.json(&["step", "main", "--json"]);
    assert_eq!(first["steps"], 1, "{first}");
    let fourth = guest.json(&["step", "main", "3", "--json"]);
    assert_eq!((&fourth["steps"], fourth["stopped"].is_null()), (&3.into(), true), "{fourth}");
    guest.power_cut();

    // The same instructions again, in one go, with a breakpoint behind them.
    let guest = world.guest(PROGRAM, None);
    let at = format!("{:#x}", fourth["rip"].as_u64().unwrap());
    guest.flob_ok(&["break", &at]);
    let stopped = guest.json(&["step", "main", "100", "--json"]);
    assert_eq!(stopped["rip"], fourth["rip"], "{stopped}");
    assert_eq!(stopped["steps"], 4, "{stopped}");
    assert_eq!(stopped["stopped"], "is at a breakpoint");
    assert_eq!(guest.flob(&["step", "nobody"]).code, Some(121));
    assert_eq!(guest.flob(&["step", "main", "0"]).code, Some(120));
    guest.flob_ok(&["break", "--delete", "1"]);
    guest.flob_ok(&["resume"]);
    assert_eq!(guest.finish().code, Some(0));
}

#[test]
fn a_step_into_a_call_that_blocks_says_so_and_ends_when_the_call_does() {
    let world = World::new();
    let guest = world.guest(&["philosophers", "3", "--deadlock", "--meals", "1"], None);
    guest.wait_for_threads("all are stuck", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
    guest.flob_ok(&["pause"]);
    let line = format!("exec \"$0\" -s {} step philosopher-0 2>&1", guest.name);
    let step = Running::start(world.shell(&line), None);
    step.wait_for("the step ends when that does");
    guest.flob_ok(&["set", "mutex:philosophers/FORKS[1]", "locked=false"]);
    guest.flob_ok(&["resume"]);
    assert_eq!(step.finish().code, Some(0));
}

/// What Tab offers behind these words.
fn offered(world: &World, words: &[&str]) -> Vec<String> {
    let mut command = world.command(&[&["--", "flob"], words].concat());
    command
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n");
    let finished = Running::start(command, None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    finished.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn tab_completes_verbs_and_the_names_of_what_is_there() {
    let world = World::new();
    assert!(world.flob_ok(&["completions", "bash"]).contains("complete -o"));
    assert_eq!(world.flob(&["completions", "sh"]).code, Some(120));
    assert_eq!(offered(&world, &["checkp"]), ["checkpoint"]);
    // Nothing runs: nothing is offered, and nothing is complained of.
    assert_eq!(offered(&world, &["show", "mutex:"]), [""; 0]);
    let guest = world.guest(PROGRAM, None);
    guest.save(&["mine"]);
    assert_eq!(offered(&world, &["step", "thread:"]), ["thread:philosophers/main"]);
    assert_eq!(offered(&world, &["-s", "phil"]), ["philosophers"]);
    assert!(offered(&world, &["show", "space"]).contains(&"space:philosophers".to_owned()));
    assert_eq!(offered(&world, &["checkpoint", "restore", "mi"]), ["mine"]);
}

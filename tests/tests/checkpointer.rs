//! The stand-alone checkpointer as a nester: nobody notices it, it rolls back what dies, and it can be saved itself.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Finished, Guest, World, count, random_text, seed};

/// Its log, which is on the console.
fn log(world: &World, session: &str) -> Vec<String> {
    let path = world.path("run/flob").join(format!("{session}.logs")).join("console.log");
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    text.lines().filter_map(|line| line.strip_prefix("checkpointer: ")).map(str::to_owned).collect()
}

fn run(world: &World, stack: &[&str], program: &[&str], input: Option<&std::path::Path>) -> Finished {
    world.start(&[&["-s", "one", "run", "--headless"], stack, program].concat(), input).finish()
}

fn checkpoints(log: &[String]) -> usize {
    log.iter().filter(|line| line.starts_with("checkpoint ")).count()
}

/// Stacks of nesters, each with what a program needs in it.
const STACKS: [&[&str]; 3] = [
    &["--memory", "384", "--under", "checkpointer", "--every", "40"],
    &["--memory", "768", "--under", "checkpointer", "--under", "checkpointer", "--every", "60"],
    &["--memory", "512", "--under", "checkpointer", "--under", "debugger-nester", "--every", "100"],
];

#[test]
fn a_random_program_says_the_same_under_every_stack_of_nesters() {
    let seed = (seed() >> 1).to_string();
    let program = ["random", &seed, "--rounds", "3", "--depth", "1"];
    let alone = run(&World::new(), &[], &program, None);
    for stack in STACKS {
        let world = World::new();
        let finished = run(&world, stack, &program, None);
        let last = |finished: &Finished| finished.stdout.lines().last().map(str::to_owned);
        assert_eq!((finished.code, last(&finished)), (Some(0), last(&alone)), "{stack:?}: {finished}");
        assert!(checkpoints(&log(&world, "one")) > 0, "{stack:?}: {:?}", log(&world, "one"));
    }
}

#[test]
fn input_passes_through_every_stack_of_nesters() {
    let text = random_text(&mut fastrand::Rng::with_seed(seed()), 100_000);
    for stack in STACKS {
        let world = World::new();
        let input = world.file("input", &text);
        let finished = run(&world, stack, &["wordcount", "--pace", "20"], Some(&input));
        assert_eq!((finished.code, finished.stdout), (Some(0), count(&text).report()), "{stack:?}");
    }
}

#[test]
fn a_program_that_dies_is_rolled_back_as_often_as_is_allowed() {
    let world = World::new();
    let stack = ["--under", "checkpointer", "--every", "20", "--limit", "2"];
    let finished = run(&world, &stack, &["mortal", "forever"], None);
    let log = log(&world, "one");
    let rolled_back = log.iter().filter(|line| line.contains("rolled back to checkpoint")).count();
    assert_eq!(rolled_back, 2, "{log:#?}");
    assert!(log.last().unwrap().contains("given up"), "{log:#?}");
    // An invalid instruction has number 6.
    assert_eq!(finished.code, Some(128 + 6), "{finished}\n{log:#?}");
}

/// It dies of something that is over when it is rolled back; each line of its output comes once. A request that waits all the time is
/// rolled back with it, and again out of a checkpoint that was taken since.
#[test]
fn a_program_that_was_rolled_back_goes_on_as_if_it_had_not_died() {
    for stack in [&STACKS[0][..4], &["--memory", "768", "--under", "checkpointer", "--under", "checkpointer"]]
    {
        let world = World::new();
        let text = random_text(&mut fastrand::Rng::with_seed(seed()), 60_000);
        let input = world.file("input", &text);
        // Counted: its time is instructions, whatever else the machine does.
        let stack = [stack, &["--every", "20", "--limit", "1000", "--counted"]].concat();
        let finished = run(&world, &stack, &["mortal", "twice"], Some(&input));
        let log = log(&world, "one");
        let expected: String = (1..=60).map(|line| format!("line {line}\n")).collect();
        let sum: u64 = text.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(finished.stdout, format!("{expected}sum {sum}\n"), "{finished}\n{log:#?}");
        assert_eq!(finished.code, Some(0), "{finished}");
        assert!(
            log.iter().filter(|line| line.contains("rolled back to checkpoint")).count() >= 2,
            "{log:#?}"
        );
    }
}

/// What a checkpointer says of a checkpoint: flobs, ticks for which the child stood, pages that it began to write while the record was
/// made, and while the rest was copied.
fn figures(line: &str) -> Option<[u64; 4]> {
    let rest = line.strip_prefix("checkpoint ")?;
    let numbers: Vec<u64> =
        rest.split(|sign: char| !sign.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [_, flobs, _bytes, _pages, stood, beside_record, beside_copying] = numbers[..] else {
        panic!("{line}")
    };
    Some([flobs, stood, beside_record, beside_copying])
}

/// It writes all the time: so whoever sees it write sees it run.
#[test]
fn the_child_runs_on_while_its_record_is_made_and_while_its_memory_is_copied() {
    for stack in [&STACKS[0][..4], &["--memory", "768", "--under", "checkpointer", "--under", "checkpointer"]]
    {
        let world = World::new();
        let stack = [stack, &["--every", "30", "--counted"]].concat();
        let finished = run(&world, &stack, &["scribble", "8", "--rounds", "1000"], None);
        assert_eq!(finished.stdout, "ready\n1000 rounds over 2048 pages\n", "{finished}");
        let log = log(&world, "one");
        let figures: Vec<_> = log.iter().filter_map(|line| figures(line)).collect();
        assert!(!figures.is_empty(), "{log:#?}");
        for [_, _, beside_record, beside_copying] in figures {
            assert!(beside_record > 0 && beside_copying > 0, "it stood: {log:#?}");
        }
    }
}

/// Ticks that a child with so much memory stands for the last of its checkpoints; all of them have the same few flobs.
fn stop_time(mib: &str, rounds: &str) -> u64 {
    let world = World::new();
    let stack = ["--counted", "--memory", "512", "--under", "checkpointer", "--every", "20"];
    let finished = run(&world, &stack, &["scribble", mib, "--rounds", rounds], None);
    assert_eq!(finished.code, Some(0), "{finished}");
    let log = log(&world, "one");
    let [flobs, stood, ..] = log.iter().filter_map(|line| figures(line)).next_back().unwrap();
    assert_eq!(flobs, 17, "{log:#?}");
    stood
}

#[test]
fn the_child_stands_no_longer_the_more_memory_it_has() {
    let (small, large) = (stop_time("1", "40000"), stop_time("32", "120"));
    assert!(large < small + small / 10, "{small} and {large} instructions with 1 and 32 MiB");
}

/// A memory that was put together from two moments shows.
#[test]
fn what_was_copied_while_the_child_wrote_it_is_the_memory_of_one_moment() {
    let twice = ["--memory", "768", "--under", "checkpointer", "--under", "checkpointer"];
    for (stack, every, die) in [(&twice[2..4], "7", "100"), (&twice, "15", "150")] {
        let world = World::new();
        let stack = [stack, &["--every", every, "--limit", "1000", "--counted"]].concat();
        let finished = run(&world, &stack, &["scribble", "2", "--rounds", "6000", "--die", die], None);
        let log = log(&world, "one");
        assert_eq!(finished.stdout, "ready\n6000 rounds over 512 pages\n", "{finished}\n{log:#?}");
        assert!(log.iter().any(|line| line.contains("rolled back to checkpoint")), "{log:#?}");
    }
}

/// Whether a checkpointer was in the middle of its own save: it counts when it begins one and when it ends.
fn is_saving(world: &World, checkpoint: &str) -> bool {
    let symbol = "CHECKPOINTS_BEGUN_AND_ENDED";
    let shown = world.flob_ok(&["peek", "--at", checkpoint, symbol, "8"]);
    let first = shown.split_whitespace().find(|word| word.len() == 2 && u8::from_str_radix(word, 16).is_ok());
    u8::from_str_radix(first.unwrap_or_else(|| panic!("{shown}")), 16).unwrap() % 2 == 1
}

#[test]
fn a_checkpointer_that_is_saved_in_the_middle_of_its_own_save_goes_on_with_it() {
    let world = World::new();
    let seed = (seed() >> 1).to_string();
    let program = ["random", &seed, "--rounds", "8", "--depth", "1"];
    let alone = run(&World::new(), &[], &program, None);
    let stack = ["--under", "checkpointer", "--every", "30"];
    let guest = world.guest(&[&stack[..], &program].concat(), None);
    let mut checkpoint = guest.save(&[]);
    while !is_saving(&world, &checkpoint) {
        checkpoint = guest.save(&[]);
    }
    let printed = guest.power_cut();
    let restored = world.start(&["-s", "one", "run", "--headless", "--restore", &checkpoint], None).finish();
    assert_eq!(restored.code, Some(0), "{restored}");
    assert_eq!(restored.stdout.lines().last(), alone.stdout.lines().last(), "{restored}\nbefore: {printed}");
    assert!(checkpoints(&log(&world, "one")) > 0, "it goes on saving");
}

/// Its memory is denied to the child by both; what the inner one had copied is as it was, and the rest it copies where it is restored.
#[test]
fn a_checkpoint_that_was_begun_before_a_restore_is_ended_behind_it_and_rolled_back_to() {
    let world = World::new();
    let stack = ["--under", "checkpointer", "--every", "10", "--limit", "1000"];
    // So many that it still has some deaths before it, whenever it is met in the middle of a save.
    let program = ["scribble", "2", "--rounds", "20000", "--die", "1000"];
    let guest = world.guest(&[&stack[..], &program].concat(), None);
    guest.hub.wait_for("ready\n");
    let mut checkpoint = guest.save(&[]);
    while !is_saving(&world, &checkpoint) {
        checkpoint = guest.save(&[]);
    }
    guest.power_cut();
    let verified = world.flob_ok(&["checkpoint", "verify", &checkpoint]);
    assert!(!verified.contains("V009"), "it uses nothing that is not known: {verified}");
    let restored = world.start(&["-s", "one", "run", "--headless", "--restore", &checkpoint], None).finish();
    let log = log(&world, "one");
    assert_eq!(restored.stdout, "20000 rounds over 512 pages\n", "{restored}\n{log:#?}");
    assert!(log.iter().any(|line| line.contains("rolled back to checkpoint")), "{log:#?}");
}

/// The first thread of a crowd below a checkpointer, and the gate that it waits for until it is opened from outside.
fn at_the_gate(guest: &Guest<'_>) -> (String, String) {
    let is_it = |thread: &serde_json::Value| thread["call"] == "mutex_lock";
    let threads = guest.wait_for_threads("it waits for the gate", |threads| threads.iter().any(is_it));
    let thread = threads.iter().find(|thread| is_it(thread)).unwrap()["flob"].as_str().unwrap().to_owned();
    let shown = guest.flob_ok(&["show", &thread]);
    let gate = shown.lines().find_map(|line| line.trim().strip_prefix("waiting_for")).unwrap();
    (thread, gate.trim().trim_start_matches("→ ").to_owned())
}

/// Restored lazily, the checkpointer has to wait for page after page in the middle of its look at the child, and whoever is not stopped yet
/// walks on. Then the child dies. `None` if a later checkpoint than this one came before that; otherwise how the child ended.
fn rolled_back_to_the_first_after_a_lazy_restore(
    world: &World,
    checkpoint: &str,
    (thread, gate): (&str, &str),
) -> Option<Finished> {
    let mut guest =
        world.guest(&["--memory", "512", "--link", "serial", "--restore", checkpoint, "--lazy"], None);
    let name = guest.name.clone();
    let has = |what: &str| log(world, &name).iter().any(|line| line.contains(what));
    world.wait_until("a checkpoint", || has(" flobs in "));
    guest.flob_ok(&["set", thread, "waiting_for=null", "registers.rip=0x10"]);
    world.wait_until("it is rolled back", || has("rolled back to"));
    let first = checkpoints(&log(world, &name)) == 1;
    if !first || has("given up") {
        guest.power_cut();
        return None;
    }
    // The gate is there, and stays open, when the roll back has come to its end.
    open_till(world, &mut guest, gate, || false);
    Some(guest.finish())
}

/// Opens the gate again and again, since a roll back closes it, until this is so or all is over. Whether it is over.
fn open_till(world: &World, guest: &mut Guest<'_>, gate: &str, is_so: impl Fn() -> bool) -> bool {
    world.wait_until("what the open gate leads to", || {
        guest.flob(&["set", gate, "locked=false"]);
        guest.hub.has_ended() || is_so()
    });
    guest.hub.has_ended()
}

#[test]
fn a_checkpoint_whose_look_had_to_wait_for_pages_is_of_one_moment() {
    let world = World::new();
    let stack = ["--memory", "512", "--under", "checkpointer", "--every", "2500", "--limit", "1"];
    let crowd = ["crowd", "--threads", "0", "--flobs", "6000", "--walk", "1"];
    let guest = world.guest(&[&stack[..], &crowd].concat(), None);
    guest.hub.wait_for("ready\n");
    let (thread, gate) = at_the_gate(&guest);
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    let try_once = |_| rolled_back_to_the_first_after_a_lazy_restore(&world, &checkpoint, (&thread, &gate));
    let finished = (0..10).find_map(try_once).expect("it dies before the next checkpoint");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "all is well\n"), "{finished}");
}

/// What checkpoints it was rolled back to, in turn.
fn rolled_back_to(log: &[String]) -> Vec<usize> {
    let number =
        |line: &String| line.split_once("rolled back to checkpoint ")?.1.split(',').next()?.parse().ok();
    log.iter().filter_map(number).collect()
}

/// A checkpoint is taken between what kills the thread and its death, and no other one before the second death. `None` if another one was;
/// otherwise the number of the first, and how the child ended.
fn rolled_back_past_the_cause() -> Option<(usize, Vec<String>, Finished)> {
    let world = World::new();
    let stack = ["--under", "checkpointer", "--every", "3000"];
    let mut guest = world.guest(&[&stack[..], &["crowd", "--threads", "0", "--flobs", "4"]].concat(), None);
    guest.hub.wait_for("ready\n");
    let (thread, gate) = at_the_gate(&guest);
    let name = guest.name.clone();
    let now = || log(&world, &name);
    world.wait_until("a checkpoint without the cause", || checkpoints(&now()) > 0);
    guest.flob_ok(&["set", &thread, "registers.rip=0x10"]);
    let without = checkpoints(&now());
    world.wait_until("a checkpoint with the cause", || checkpoints(&now()) > without);
    let is_over = open_till(&world, &mut guest, &gate, || rolled_back_to(&now()).len() > 1);
    if is_over || checkpoints(&now()) != without + 1 {
        guest.power_cut();
        return None;
    }
    open_till(&world, &mut guest, &gate, || false);
    Some((without, now(), guest.finish()))
}

#[test]
fn who_dies_again_of_a_checkpoint_is_rolled_back_to_the_one_before() {
    let tried = (0..10).find_map(|_| rolled_back_past_the_cause());
    let (without, log, finished) = tried.expect("it dies twice before the next checkpoint");
    assert_eq!(rolled_back_to(&log)[..2], [without + 1, without], "{log:#?}");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "ready\nall is well\n"), "{finished}");
}

/// The reply to a read has come half way, and its next page is kept back, when the child dies; and again when the checkpointer has taken
/// that reply up and saved it with the rest still on its way. It was saved as a request that nobody had answered: the answer to that
/// began anew, behind what had come already.
#[test]
fn a_reply_that_was_taken_up_half_way_at_a_roll_back_is_saved_and_taken_up_again_where_it_stood() {
    let text = random_text(&mut fastrand::Rng::with_seed(seed()), 60_000);
    let world = World::new();
    let input = world.file("input", &text);
    let stack = ["--under", "checkpointer", "--every", "300", "--limit", "1000"];
    let courier = ["courier", "--input", "--pages", "7", "--hold"];
    let mut guest = world.guest(&[&stack[..], &courier].concat(), Some(&input));
    let (thread, gate) = at_the_gate(&guest);
    let name = guest.name.clone();
    let now = || log(&world, &name);
    for _ in 0..2 {
        let before = checkpoints(&now());
        // One of these was begun since.
        world.wait_until("a checkpoint of it at the gate", || checkpoints(&now()) > before + 1);
        let rolled_back = rolled_back_to(&now()).len();
        guest.flob_ok(&["set", &thread, "waiting_for=null", "registers.rip=0x10"]);
        world.wait_until("it is rolled back", || rolled_back_to(&now()).len() > rolled_back);
    }
    open_till(&world, &mut guest, &gate, || false);
    let finished = guest.finish();
    let sum: u64 = text.iter().map(|byte| u64::from(*byte)).sum();
    let said = format!("{} bytes of input, their sum {sum}\n", text.len());
    assert!(finished.code == Some(0) && finished.stdout == said, "{finished}\n{:#?}", now());
}

#[test]
fn a_checkpoint_goes_on_under_another_stack_of_nesters() {
    let world = World::new();
    let seed = (seed() >> 1).to_string();
    let program = ["random", &seed, "--rounds", "8", "--depth", "1"];
    let alone = run(&World::new(), &[], &program, None);
    let one: &[&str] = &["--under", "checkpointer", "--under", "debugger-nester", "--every", "200"];
    let two = &[&["--under", "checkpointer"], one].concat()[..];
    // Each with its memory: it goes on where there is room for what it had, and each nester leaves less.
    let none: (&str, &[&str]) = ("256", &[]);
    for (from, to) in [(none, ("1024", one)), (("512", one), none), (("512", one), ("1536", two))] {
        let stack = |(memory, nesters): (_, &[_])| [&["--memory", memory], nesters].concat();
        let guest = world.guest(&[&stack(from)[..], &program].concat(), None);
        guest.hub.wait_for_output(200);
        let checkpoint = guest.save(&[]);
        guest.power_cut();
        let finished = run(&world, &stack(to), &["--restore", &checkpoint], None);
        assert_eq!(finished.code, Some(0), "{from:?} {to:?}: {finished}");
        assert_eq!(
            finished.stdout.lines().last(),
            alone.stdout.lines().last(),
            "{from:?} {to:?}: {finished}"
        );
        let saves = checkpoints(&log(&world, "one"));
        assert_eq!(saves > 0, !to.1.is_empty(), "{to:?}: {:?}", log(&world, "one"));
    }
}

/// Places as JSON has them lead to their flobs, also where flobs without names are called by addresses that begin as places do.
#[test]
fn places_of_flobs_below_a_checkpointer_are_taken_back() {
    let world = World::new();
    let program = ["philosophers", "3", "--meals", "2", "--deadlock"];
    let guest =
        world.guest(&[&["--under", "checkpointer", "--every", "100000"], &program[..]].concat(), None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
    let graph = guest.json(&["graph", "--json"]);
    let stuck = graph["flobs"].as_array().unwrap().iter().find(|flob| flob["deadlock"] == true).unwrap();
    let thread = guest.json(&["show", "--json", stuck["flob"].as_str().unwrap()]);
    let place = thread["place"].as_str().unwrap();
    assert_eq!(guest.json(&["show", "--json", place]), thread);
    for link in ["space", "waiting_for"] {
        let to = thread["links"][link].as_str().unwrap();
        let said = guest.flob_ok(&["set", place, &format!("{link}={to}")]);
        assert!(said.ends_with(&format!("{link}: {to} → {to}\n")), "{said}");
    }
    let fork = thread["links"]["waiting_for"].as_str().unwrap();
    assert_eq!(guest.json(&["show", "--json", fork])["kind"], "mutex");
    guest.flob_ok(&["set", fork, "locked=false"]);
    let finished = guest.finish();
    assert!(finished.code == Some(0) && finished.stdout.contains("have had 2 meals"), "{finished}");
}

#[test]
fn a_stack_that_cannot_be_is_refused_with_a_word_on_what_can() {
    let world = World::new();
    let twice = ["--under", "debugger-nester", "--under", "debugger-nester"];
    let finished = run(&world, &twice, &["philosophers"], None);
    assert!(finished.code == Some(120) && finished.stderr.contains("once"), "{finished}");
    let guest = world.guest(&["--paused", "philosophers"], None);
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    let finished = run(&world, &["--under", "checkpointer"], &["--restore", &checkpoint], None);
    assert!(finished.code == Some(120) && finished.stderr.contains("--under debugger-nester"), "{finished}");
}

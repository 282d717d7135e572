//! Programs that move from one guest into another while they run: they come to the same end, whatever they do, and whatever
//! goes wrong on the way, and are never in two places, nor in none.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{path::Path, time::Duration};

use flob_tests::{Finished, Guest, Running, Signal, World, count, random_text, rounds, seed, send};
use serde_json::Value;

/// What stands in the target's guest before: held, so that it says nothing until somebody lets it go.
const BEFORE: [&str; 5] = ["--paused", "philosophers", "3", "--meals", "2"];
/// What it says in the end.
const ITS_END: &str = "all 3 philosophers have had 2 meals\n";

/// A session that programs can move into.
fn target<'world>(world: &'world World, options: &[&str]) -> Guest<'world> {
    world.guest(&[options, &BEFORE[..]].concat(), None)
}

/// What was there before is there still, and goes on.
#[track_caller]
fn goes_on_with_its_own(target: Guest<'_>) {
    target.flob_ok(&["resume"]);
    let finished = target.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(finished.stdout.ends_with(ITS_END), "{finished}");
}

fn migrate(world: &World, from: &Guest<'_>, to: &Guest<'_>) -> Value {
    world.json(&["migrate", "--json", &from.name, &to.name])
}

/// The program has gone: its session ends well. What it had said there.
#[track_caller]
fn left(source: Guest<'_>) -> String {
    let finished = source.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(finished.stderr.contains("the program goes on in session"), "{finished}");
    finished.stdout
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Moves a program from guest to guest some times, at random moments; all that it says, and how it ends.
fn wander(
    world: &World,
    (arguments, before): (&[&str], &[&str]),
    input: Option<&Path>,
    most: usize,
    random: &mut fastrand::Rng,
) -> (String, Finished) {
    let mut source = world.guest(arguments, input);
    let mut said = String::new();
    for _ in 0..most {
        let memory = ["192", "256", "320"][random.usize(..3)];
        let next = world.guest(&[&["--memory", memory], before].concat(), None);
        std::thread::sleep(Duration::from_millis(random.u64(0..300)));
        let moved = world.flob(&["migrate", "--json", &source.name, &next.name]);
        if moved.code != Some(0) {
            // It has come to its end before.
            drop(next);
            break;
        }
        said += &left(source);
        source = next;
    }
    let finished = source.finish();
    (said + &finished.stdout, finished)
}

#[test]
fn wordcount_counts_the_same_wherever_it_goes() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..rounds(1) {
        let (world, text) = (World::new(), random_text(&mut random, 400_000));
        let file = world.file("input", &text);
        let arguments = ["--memory", "192", "wordcount", "--pace", "100"];
        let (said, finished) = wander(&world, (&arguments, &BEFORE), Some(&file), 3, &mut random);
        assert_eq!((finished.code, said), (Some(0), count(&text).report()), "{finished}");
    }
}

#[test]
fn philosophers_have_each_meal_once_wherever_they_go() {
    const MEALS: usize = 60;
    let mut random = fastrand::Rng::with_seed(seed());
    let meal = |philosopher| (1..=MEALS).map(move |meal| format!("philosopher {philosopher}: meal {meal}"));
    let mut lines: Vec<String> = (0..4).flat_map(meal).collect();
    lines.push(format!("all 4 philosophers have had {MEALS} meals"));
    lines.sort_unstable();
    for _ in 0..rounds(1) {
        let meals = MEALS.to_string();
        let arguments = ["--memory", "192", "philosophers", "4", "--pace", "20", "--meals", &meals];
        let (said, finished) = wander(&World::new(), (&arguments, &BEFORE), None, 3, &mut random);
        assert_eq!(finished.code, Some(0), "{finished}");
        assert_eq!(sorted(&said), lines);
    }
}

#[test]
fn random_programs_come_to_the_same_sum_wherever_they_go() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..rounds(2) {
        let (world, program) = (World::new(), random.u64(..).to_string());
        let arguments = ["random", &program, "--rounds", "5", "--depth", "1"];
        let undisturbed = world.flob_ok(&[&["run", "--headless"], &arguments[..]].concat());
        // It loads its own file by name, so that has to be in each guest.
        let before = [&["--paused"], &arguments[..]].concat();
        let arguments = [&["--memory", "192"], &arguments[..]].concat();
        let (said, finished) = wander(&world, (&arguments, &before), None, 2, &mut random);
        assert_eq!(finished.code, Some(0), "{finished}");
        assert_eq!(sorted(&said), sorted(&undisturbed), "seed {program}");
    }
}

/// A program that writes all the time, longer than a migration takes, and looks at every byte in the end. Targets are started
/// before it.
fn scribble<'world>(world: &'world World, mib: &str, every: &str) -> (Guest<'world>, String) {
    scribble_long(world, mib, every, 1)
}

/// So many times as long.
fn scribble_long<'world>(
    world: &'world World,
    mib: &str,
    every: &str,
    times: u32,
) -> (Guest<'world>, String) {
    let number = |text: &str| text.parse::<u32>().unwrap();
    let rounds = (times * 400_000 * number(every) / number(mib)).to_string();
    let guest = world.guest(&["scribble", mib, "--every", every, "--rounds", &rounds], None);
    guest.hub.wait_for("ready\n");
    (guest, format!("{rounds} rounds over {} pages\n", number(mib) * 256))
}

#[test]
fn memory_that_is_written_all_the_time_arrives_as_it_is() {
    for every in ["1", "20"] {
        let world = World::new();
        let target = target(&world, &["--memory", "320"]);
        let (source, end) = scribble(&world, "16", every);
        let moved = migrate(&world, &source, &target);
        println!("{moved}");
        assert!(
            moved["rounds"].as_u64().unwrap() >= 2 && moved["pages"].as_u64().unwrap() >= 16 * 256,
            "{moved}"
        );
        assert_eq!(left(source), "ready\n");
        let finished = target.finish();
        assert_eq!((finished.code, finished.stdout), (Some(0), end), "{}", finished.stderr);
    }
}

#[test]
fn a_guest_that_is_too_small_is_named_and_nothing_has_happened() {
    let world = World::new();
    let target = target(&world, &["--memory", "128"]);
    let (source, end) = scribble(&world, "4", "1");
    let refused = world.flob(&["migrate", &source.name, &target.name]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(125), ""), "{refused}");
    assert!(refused.stderr.contains("this guest has room for"), "{refused}");
    assert_eq!(source.finish().stdout, format!("ready\n{end}"));
    goes_on_with_its_own(target);
}

#[test]
fn who_was_held_is_held_there_and_it_can_be_undone() {
    let world = World::new();
    let (source, end) = scribble(&world, "2", "1");
    source.flob_ok(&["pause"]);
    let target = target(&world, &[]);
    let moved = migrate(&world, &source, &target);
    assert_eq!(moved["held"], true, "{moved}");
    left(source);
    let saved = target.save(&[]);
    target.flob_ok(&["undo"]);
    assert_eq!(world.json(&["sessions", "--json"])[0]["program"], "philosophers");
    goes_on_with_its_own(target);
    let finished = world.flob(&["run", "--headless", "--restore", &saved]);
    assert_eq!((finished.code, finished.stdout), (Some(0), end), "{}", finished.stderr);
}

/// What is under way when a migration is interrupted.
struct OnItsWay<'world> {
    world: &'world World,
    target: Guest<'world>,
    source: Guest<'world>,
    /// What the program says in the end.
    end: String,
    migration: Running,
}

/// Starts a migration and does something when its source is in this round. On a busy machine the program may end before: then
/// once more, with one that runs longer.
fn on_its_way(round: usize, act: impl Fn(OnItsWay<'_>)) {
    for times in [1, 4, 16] {
        let world = &World::new();
        let target = target(world, &[]);
        let (source, end) = scribble_long(world, "16", "1", times);
        let log = world.path(&format!("run/flob/{}.logs/link.log", source.name));
        let mut migration = world.start(&["migrate", &source.name, &target.name], None);
        let is_there =
            || std::fs::read_to_string(&log).unwrap_or_default().matches("RoundBegin").count() >= round;
        world.wait_until("it is on its way", || is_there() || migration.has_ended());
        if is_there() {
            return act(OnItsWay { world, target, source, end, migration });
        }
        let finished = migration.finish();
        assert_ne!(finished.code, Some(0), "{finished}");
    }
    panic!("the program has always ended before round {round}");
}

#[test]
fn interrupted_it_has_not_happened() {
    for round in [1, 2] {
        on_its_way(round, |OnItsWay { world, target, source, end, migration }| {
            send(Signal::INT, migration.id());
            let finished = migration.finish();
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(125), ""), "{finished}");
            assert!(finished.stderr.contains("cancelled"), "{finished}");
            assert_eq!(world.json(&["sessions", "--json"]).as_array().unwrap().len(), 2);
            assert_eq!(source.finish().stdout, format!("ready\n{end}"));
            goes_on_with_its_own(target);
        });
    }
}

#[test]
fn when_the_target_is_killed_the_program_runs_on_where_it_was() {
    on_its_way(1, |OnItsWay { target, source, end, migration, .. }| {
        target.power_cut();
        let finished = migration.finish();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(124), ""), "{finished}");
        assert!(finished.stderr.contains("the program runs on here"), "{finished}");
        assert_eq!(source.finish().stdout, format!("ready\n{end}"));
    });
}

#[test]
fn when_the_source_is_killed_the_target_goes_on_with_its_own() {
    on_its_way(1, |OnItsWay { target, source, migration, .. }| {
        source.power_cut();
        assert_eq!(migration.finish().code, Some(124));
        goes_on_with_its_own(target);
    });
}

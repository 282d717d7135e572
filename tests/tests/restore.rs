//! Checkpoints at any moment: the guest and its hub are killed as by a power cut, and a fresh guest goes on from the
//! checkpoint to the same result.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use flob_abi::ipc;
use flob_tests::{Guest, Screen, World, count, random_text, rounds, seed};
use serde_json::Value;

/// Bytes of the input that is counted.
const BYTES: usize = 160_000;
/// Bytes that the program reads between two pauses, at most.
const READ: usize = 16 * 1024;
/// Bytes of an input that is not counted in this test's time: a search for a moment in it finds the program at work.
const LONG: usize = 3_000_000;
/// Milliseconds of pause after each chunk.
const PACE: &str = "60";

/// A text to count and what is to be found.
struct Task {
    world: World,
    file: PathBuf,
    report: String,
}

impl Task {
    fn new(random: &mut fastrand::Rng, bytes: usize) -> Self {
        let text = random_text(random, bytes);
        let world = World::new();
        let file = world.file("input", &text);
        Self { world, file, report: count(&text).report() }
    }

    fn start(&self) -> Guest<'_> {
        self.world.guest(&["wordcount", "--pace", PACE], Some(&self.file))
    }

    /// In a fresh guest the program goes on from a checkpoint to the undisturbed result: what it had not printed by then.
    fn finish_from(&self, checkpoint: &str, input: Option<&Path>) {
        let printed = usize::try_from(position(&self.world, checkpoint, "stdout")).unwrap();
        let finished = self.world.start(&["run", "--headless", "--restore", checkpoint], input).finish();
        assert_eq!(
            (finished.code, finished.stdout.as_str()),
            (Some(0), &self.report[printed..]),
            "{finished}"
        );
        assert_eq!(finished.stderr, "");
    }

    /// Cuts the power at a random moment of the program's life, just after a save; the checkpoint. The moment is counted from
    /// when the program is let go, so that however long the machine takes to begin all of the life comes to be tried.
    fn save_at_a_random_moment(&self, random: &mut fastrand::Rng) -> String {
        let pauses = u64::try_from(BYTES.div_ceil(READ)).unwrap();
        loop {
            let guest = self.world.guest(&["--paused", "wordcount", "--pace", PACE], Some(&self.file));
            guest.flob_ok(&["resume"]);
            std::thread::sleep(Duration::from_millis(random.u64(0..pauses * PACE.parse::<u64>().unwrap())));
            let saved = guest.flob(&["checkpoint", "save"]);
            if saved.code != Some(0) {
                // It has come to its end.
                let finished = guest.finish();
                assert_eq!((finished.code, finished.stdout), (Some(0), self.report.clone()), "{saved}");
                continue;
            }
            let cut = guest.power_cut();
            assert!(self.report.starts_with(&cut.stdout), "{cut}");
            let checkpoint = saved.stdout.trim().to_owned();
            eprintln!("saved when it was given {} of {BYTES} bytes", given(&self.world, &checkpoint));
            return checkpoint;
        }
    }
}

/// The position of a stream in a checkpoint.
fn position(world: &World, checkpoint: &str, stream: &str) -> u64 {
    let shown = world.json(&["checkpoint", "show", "--json", checkpoint]);
    let streams = shown["environment"]["streams"].as_array().unwrap();
    let stream = streams.iter().find(|present| present["name"] == stream).unwrap();
    number(&stream["position"])
}

/// A number as JSON has it, in hexadecimal.
fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Bytes of input that the program has been given.
fn given(world: &World, checkpoint: &str) -> u64 {
    position(world, checkpoint, "stdin given")
}

#[test]
fn saved_at_random_moments_and_killed_it_goes_on_with_the_file_given_again() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, BYTES);
    for _ in 0..rounds(20).div_ceil(2) {
        let checkpoint = task.save_at_a_random_moment(&mut random);
        task.finish_from(&checkpoint, Some(&task.file));
    }
}

#[test]
fn saved_at_random_moments_and_killed_it_goes_on_without_the_file() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, BYTES);
    for _ in 0..rounds(20) / 2 {
        let checkpoint = task.save_at_a_random_moment(&mut random);
        task.finish_from(&checkpoint, None);
    }
}

#[test]
fn a_restored_run_can_be_saved_and_killed_and_restored_again() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, BYTES);
    let mut checkpoint = task.save_at_a_random_moment(&mut random);
    for _ in 0..3 {
        let guest = task.world.guest(&["--restore", &checkpoint], Some(&task.file));
        let next = guest.flob(&["checkpoint", "save"]);
        if next.code != Some(0) {
            // Too late: it has ended.
            assert_eq!(guest.finish().stdout, task.report);
            break;
        }
        guest.power_cut();
        let next = next.stdout.trim().to_owned();
        assert!(given(&task.world, &next) >= given(&task.world, &checkpoint));
        checkpoint = next;
    }
    task.finish_from(&checkpoint, None);
}

#[test]
fn an_image_is_as_large_as_the_guest_it_first_came_from_wherever_it_has_been() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, LONG);
    let size = |checkpoint: &str| {
        let shown = task.world.json(&["checkpoint", "show", "--json", checkpoint]);
        number(&shown["environment"]["size"])
    };
    let first = task.world.guest(&["--memory", "192", "wordcount", "--pace", "20"], Some(&task.file));
    let mut checkpoint = first.save(&[]);
    first.power_cut();
    let at_first = size(&checkpoint);
    for (memory, way) in [("320", None), ("192", Some("--lazy")), ("448", Some("--lazy")), ("256", None)] {
        let arguments = ["--memory", memory, "--restore", &checkpoint];
        let guest = task.world.guest(&[&arguments[..], way.as_slice()].concat(), None);
        checkpoint = guest.save(&[]);
        guest.power_cut();
        assert_eq!(size(&checkpoint), at_first, "in {memory} MiB");
    }
    let arguments = ["run", "--headless", "--memory", "192", "--restore", &checkpoint];
    let printed = usize::try_from(position(&task.world, &checkpoint, "stdout")).unwrap();
    let finished = task.world.flob(&arguments);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), &task.report[printed..]), "{finished}");
}

#[test]
fn an_input_that_does_not_begin_with_what_the_program_was_given_is_refused() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, BYTES);
    let guest = task.start();
    let mut checkpoint = guest.save(&[]);
    while given(&task.world, &checkpoint) == 0 {
        checkpoint = guest.save(&[]);
    }
    guest.power_cut();
    let given = usize::try_from(given(&task.world, &checkpoint)).unwrap();
    let text = std::fs::read(&task.file).unwrap();
    let restore = |input: &[u8]| {
        let input = task.world.file("other", input);
        task.world.start(&["run", "--headless", "--restore", &checkpoint], Some(&input)).finish()
    };
    let with_a_change_at = |at: usize| {
        let mut changed = text.clone();
        changed[at] ^= 1;
        changed
    };
    for wrong in [with_a_change_at(0), with_a_change_at(given - 1), text[..given - 1].to_vec()] {
        let refused = restore(&wrong);
        assert_eq!(refused.code, Some(122), "{refused}");
        assert!(refused.stderr.contains("bytes of this input are not those"), "{refused}");
        assert_eq!((refused.stderr.lines().count(), refused.stdout.as_str()), (1, ""), "{refused}");
    }
    // What comes behind is free: another text, or none.
    let longer = [&text[..given], b" and other words\n"].concat();
    for right in [&longer, &text[..given]] {
        let finished = restore(right);
        assert_eq!(finished.stdout, count(right).report(), "{finished}");
    }
}

#[test]
fn a_checkpoint_can_be_gone_back_to_in_the_same_guest() {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, BYTES);
    let guest = task.start();
    let checkpoint = guest.save(&[]);
    guest.flob_ok(&["pause"]);
    guest.flob_ok(&["checkpoint", "restore", &checkpoint]);
    assert!(guest.flob_ok(&["sessions"]).contains("the user"), "held after a restore");
    guest.flob_ok(&["resume"]);
    let finished = guest.finish();
    assert_eq!((finished.code, finished.stdout), (Some(0), task.report));
}

/// Each meal is printed once: before the checkpoint or after it, whatever the killed guest has printed since.
#[test]
fn output_goes_on_exactly_where_the_checkpoint_was_taken() {
    let mut random = fastrand::Rng::with_seed(seed());
    let world = World::new();
    for _ in 0..rounds(4) {
        let guest = world.guest(&["--paused", "philosophers", "4", "--meals", "8", "--pace", "8"], None);
        guest.flob_ok(&["resume"]);
        std::thread::sleep(Duration::from_millis(random.u64(0..150)));
        let saved = guest.flob(&["checkpoint", "save"]);
        if saved.code != Some(0) {
            assert_eq!(guest.finish().code, Some(0));
            continue;
        }
        let checkpoint = saved.stdout.trim();
        let printed = usize::try_from(position(&world, checkpoint, "stdout")).unwrap();
        // What was printed before the save has to arrive before the power is cut.
        let before = guest.hub.wait_for_output(printed);
        guest.power_cut();
        let after = world.flob(&["run", "--headless", "--restore", checkpoint]);
        assert_eq!(after.code, Some(0), "{after}");
        let all = before[..printed].to_owned() + &after.stdout;
        for (philosopher, meal) in (0..4).flat_map(|philosopher| (1..=8).map(move |meal| (philosopher, meal)))
        {
            let line = format!("philosopher {philosopher}: meal {meal}");
            assert_eq!(all.lines().filter(|other| *other == line).count(), 1, "{line} in\n{all}");
        }
        assert_eq!(all.lines().count(), 4 * 8 + 1, "{all}");
    }
}

/// Whether a thread of a checkpoint is blocked on a flob of this kind with these registers.
fn waits(world: &World, checkpoint: &str, on: &str, fits: impl Fn(u64) -> bool) -> bool {
    let shown = world.json(&["checkpoint", "show", "--json", checkpoint]);
    let flobs = shown["environment"]["flobs"].as_array().unwrap();
    let kind_at =
        |place: &Value| flobs.iter().find(|flob| flob["place"] == *place).map(|flob| flob["kind"].clone());
    flobs.iter().filter(|flob| flob["kind"] == "thread").any(|thread| {
        let on_it = kind_at(&thread["links"]["waiting_for"]).is_some_and(|kind| kind == on);
        on_it && fits(number(&thread["state"]["registers.rax"]))
    })
}

/// Lets the nester choose the moment, cuts the power, and in a fresh guest lets the run come to its end: that of a file which
/// ends soon after what was consumed.
fn save_when_a_thread_waits_for(what: &str, is_so: impl Fn(&World, &str) -> bool) {
    let mut random = fastrand::Rng::with_seed(seed());
    let task = Task::new(&mut random, LONG);
    let guest = task.start();
    guest.wait_for_threads("the workers are there", |threads| threads.len() == 7);
    let checkpoint = guest.save(&["--when", &format!("a thread waits for {what}")]);
    guest.power_cut();
    assert!(is_so(&task.world, &checkpoint), "{}", task.world.flob_ok(&["ps", "--at", &checkpoint]));
    let given = usize::try_from(given(&task.world, &checkpoint)).unwrap();
    let mut text = std::fs::read(&task.file).unwrap();
    text.truncate(given + 40_000);
    let file = task.world.file("shorter", &text);
    let finished = task.world.start(&["run", "--headless", "--restore", &checkpoint], Some(&file)).finish();
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (Some(0), count(&text).report().as_str()),
        "{finished}"
    );
}

#[test]
fn saved_while_a_thread_waits_for_a_mutex_it_goes_on() {
    save_when_a_thread_waits_for("mutex", |world, checkpoint| waits(world, checkpoint, "mutex", |_| true));
}

#[test]
fn saved_while_a_thread_waits_for_a_condition_it_goes_on() {
    save_when_a_thread_waits_for("condition", |world, checkpoint| {
        waits(world, checkpoint, "condition", |_| true)
    });
}

#[test]
fn saved_while_a_thread_waits_to_send_it_goes_on() {
    let sends = |rax| rax & ipc::IPC != 0 && rax & ipc::SEND != 0;
    save_when_a_thread_waits_for("send", |world, checkpoint| {
        waits(world, checkpoint, "port", sends)
            || waits(world, checkpoint, "thread", sends)
            || asks_outside(world, checkpoint)
    });
}

#[test]
fn saved_while_a_thread_waits_to_receive_it_goes_on() {
    let receives = |rax| rax & ipc::IPC != 0 && rax & ipc::SEND == 0 && rax & ipc::RECEIVE != 0;
    save_when_a_thread_waits_for("receive", |world, checkpoint| {
        waits(world, checkpoint, "thread", receives) || asks_outside(world, checkpoint)
    });
}

#[test]
fn saved_while_a_thread_waits_for_input_it_goes_on() {
    save_when_a_thread_waits_for("input", |world, checkpoint| {
        world.flob_ok(&["ps", "--at", checkpoint]).contains("waits for the service stdin")
    });
}

/// A moment that can never come is no reason to wait for ever.
#[test]
fn a_save_whose_moment_has_not_come_by_the_end_of_the_program_says_so() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3", "--meals", "2", "--pace", "1"], None);
    let save = world.start(&["-s", &guest.name, "checkpoint", "save", "--when", "input"], None);
    save.wait_for_error("threads are held by the user");
    guest.flob_ok(&["resume"]);
    let saved = save.finish();
    assert_eq!((saved.code, saved.stderr.lines().count()), (Some(125), 2), "{saved}");
    assert!(saved.stderr.contains("before the moment came"), "{saved}");
    assert_eq!(guest.finish().code, Some(0));
}

/// Whether a request to a service outside is under way.
fn asks_outside(world: &World, checkpoint: &str) -> bool {
    world.flob_ok(&["ps", "--at", checkpoint]).contains("waits for the service")
}

/// It was refused: there is nothing to let go in it.
#[test]
fn a_program_that_had_ended_when_it_was_saved_ends_with_the_same_code_where_it_is_restored() {
    const USAGE: i32 = 2;
    let world = World::new();
    // In a terminal the session stays when its program has ended.
    let screen = Screen::start(&world, &["run", "philosophers", "nonsense"], 80, 24);
    screen.wait_for("exited 2");
    let checkpoint = world.flob_ok(&["checkpoint", "save"]);
    world.flob_ok(&["stop"]);
    drop(screen);
    let finished = world.flob(&["run", "--headless", "--restore", checkpoint.trim()]);
    assert_eq!(finished.code, Some(USAGE), "{finished}");
}

/// A link to something that nobody knows is found, named, and made null only on request.
#[test]
fn an_unknown_reference_is_refused_and_null_on_request() {
    const REFERENCE: &str = "reference:philosophers/0x200600";
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "2", "--meals", "2"], None);
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    let set = format!("{REFERENCE}.target=unknown");
    let edited = world.flob_ok(&["checkpoint", "edit", &checkpoint, "--set", &set]);
    let edited = edited.trim();
    let verified = world.flob(&["checkpoint", "verify", edited]);
    assert!(verified.code == Some(122) && verified.stdout.contains("V008"), "{verified}");
    let refused = world.flob(&["run", "--headless", "--restore", edited]);
    assert_eq!(refused.code, Some(122), "{refused}");
    assert!(refused.stderr.contains("--force") && refused.stderr.contains("nobody knows"), "{refused}");
    let guest = world.guest(&["--paused", "--force", "--restore", edited], None);
    let shown = guest.flob_ok(&["show", REFERENCE]);
    assert!(shown.lines().any(|line| line.trim() == "target  → -"), "{shown}");
    guest.flob_ok(&["resume"]);
    let finished = guest.finish();
    assert_eq!(finished.stdout.lines().last(), Some("all 2 philosophers have had 2 meals"), "{finished}");
}

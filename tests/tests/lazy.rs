//! Lazy restores: the program runs before its memory is there, and never sees that. The slow line (a 16550) keeps pages missing
//! for as long as a test needs.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use flob_abi::FlobKind;
use flob_image::State;
use flob_link::{Event, Memory, StopReason};
use flob_session::{Client, HubEvent, HubRequest, Owner, Source};
use flob_tests::{Finished, Guest, Screen, Signal, World, rounds, seed, send};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// `scribble` with so many MiB of noise, of which it changes some pages.
#[derive(Clone, Copy)]
struct Scribble {
    mib: u32,
    every: u32,
}

impl Scribble {
    /// So many that they last longer than it takes to save.
    fn rounds(self) -> u32 {
        500_000 * self.every / self.mib
    }

    /// What it says in the end.
    fn end(self) -> String {
        format!("{} rounds over {} pages\n", self.rounds(), self.mib * 256)
    }

    /// A checkpoint of it in the midst.
    fn save(self, world: &World) -> String {
        let words = [self.mib, self.every, self.rounds()].map(|number| number.to_string());
        let [mib, every, rounds] = words.each_ref().map(String::as_str);
        let guest = world.guest(&["scribble", mib, "--every", every, "--rounds", rounds], None);
        guest.hub.wait_for("ready\n");
        let id = guest.save(&[]);
        guest.power_cut();
        id
    }

    /// From a checkpoint of it, it comes to the right end.
    #[track_caller]
    fn ends_well(self, finished: &Finished) {
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), self.end().as_str()), "{finished}");
    }
}

const SMALL: Scribble = Scribble { mib: 1, every: 1 };
const MEDIUM: Scribble = Scribble { mib: 2, every: 1 };

/// The session's entry in `sessions --json`.
fn session(world: &World, guest: &Guest<'_>) -> serde_json::Value {
    let sessions = world.json(&["sessions", "--json"]);
    sessions.as_array().unwrap().iter().find(|one| one["name"] == guest.name.as_str()).cloned().unwrap()
}

fn is_fetching(world: &World, guest: &Guest<'_>) -> bool {
    !session(world, guest)["fetching"].is_null()
}

/// What differs in memory between two checkpoints.
fn memory_differs(world: &World, before: &str, after: &str) -> Vec<String> {
    let difference = world.flob_ok(&["checkpoint", "diff", before, after]);
    difference.lines().filter(|line| line.contains("bytes")).map(str::to_owned).collect()
}

/// Restores lazily over the slow line, held.
fn slowly<'world>(world: &'world World, id: &str) -> Guest<'world> {
    world.guest(&["--link", "serial", "--paused", "--restore", id, "--lazy"], None)
}

#[test]
fn what_goes_over_the_line_before_the_first_instruction_does_not_grow_with_memory() {
    let bytes = |size: u32, options: &[&str]| {
        let world = World::new();
        let id = Scribble { mib: size, every: 1 }.save(&world);
        let arguments = [&["--paused", "--restore", &id], options].concat();
        let guest = world.guest(&arguments, None);
        session(&world, &guest)["restore_bytes"].as_u64().unwrap()
    };
    let (small, large, whole) = (bytes(1, &["--lazy"]), bytes(32, &["--lazy"]), bytes(32, &[]));
    println!("{small} bytes of 1 MiB, {large} of 32 MiB, {whole} of them all");
    // Not even a bit a page; now and then something is asked again.
    assert!(large < small + 512 && small < 8192, "{small} and {large} bytes");
    assert!(whole > 32 * MIB);
}

#[test]
fn each_byte_of_random_memory_arrives() {
    let scribble = Scribble { mib: 8, every: 1 };
    let world = World::new();
    let id = scribble.save(&world);
    let guest = world.guest(&["--paused", "--restore", &id, "--lazy"], None);
    // Whatever has arrived by now and whatever has not.
    let early = guest.save(&["--full"]);
    guest.flob_ok(&["checkpoint", "fetch"]);
    assert!(!is_fetching(&world, &guest));
    let late = guest.save(&["--full"]);
    for saved in [&early, &late] {
        assert_eq!(memory_differs(&world, &id, saved), Vec::<String>::new(), "{saved}");
    }
    // It looks at everything itself, too.
    guest.flob_ok(&["resume"]);
    scribble.ends_well(&guest.finish());
    scribble.ends_well(&world.flob(&["run", "--headless", "--restore", &early, "--lazy"]));
}

#[test]
fn saves_while_pages_are_missing_are_whole_and_cost_little() {
    let scribble = Scribble { mib: 8, every: 50 };
    let world = World::new();
    let id = scribble.save(&world);
    let guest = slowly(&world, &id);
    let before = guest.received();
    let full = guest.save(&["--full"]);
    let changes = guest.save(&[]);
    let bytes = guest.received() - before;
    assert!(bytes < MIB, "{bytes} bytes for what the store has");
    for saved in [&full, &changes] {
        assert_eq!(memory_differs(&world, &id, saved), Vec::<String>::new(), "{saved}");
    }
    guest.flob_ok(&["resume"]);
    let running = guest.save(&[]);
    assert!(is_fetching(&world, &guest), "everything is there already");
    guest.power_cut();
    for saved in [&full, &changes, &running] {
        world.flob_ok(&["checkpoint", "verify", saved]);
        scribble.ends_well(&world.flob(&["run", "--headless", "--restore", saved]));
    }
}

#[test]
fn an_incremental_save_after_a_lazy_restore_sends_only_what_was_written() {
    let world = World::new();
    let id = Scribble { mib: 16, every: 100 }.save(&world);
    let guest = world.guest(&["--restore", &id, "--lazy"], None);
    guest.flob_ok(&["checkpoint", "fetch"]);
    let before = guest.received();
    let saved = guest.save(&[]);
    let bytes = guest.received() - before;
    println!("{bytes} bytes");
    assert!(bytes < 16 * MIB / 20, "{bytes} bytes");
    world.flob_ok(&["checkpoint", "verify", &saved]);
}

#[test]
fn what_is_missing_can_be_looked_at_written_and_stopped_at() {
    let world = World::new();
    let id = MEDIUM.save(&world);
    let guest = slowly(&world, &id);
    // Pages of the program's heap and of its code, the last first.
    let peek = |address: &str| guest.flob_ok(&["peek", "--environment", address, "64"]);
    let stored = |address: &str| world.flob_ok(&["peek", "--at", &id, "--environment", address, "64"]);
    for address in ["0x2e0ff0", "0x200000", "0xa0008"] {
        assert_eq!(peek(address), stored(address), "{address}");
    }
    // Memory that the program does not look at.
    guest.flob_ok(&["poke", "--environment", "0x2000ff8", "0102030405060708090a0b0c0d0e0f10"]);
    let written = "01 02 03 04 05 06 07 08";
    assert!(peek("0x2000ff0").contains(written), "{}", peek("0x2000ff0"));
    // Where its thread stands, in the midst of a loop.
    let socket = world.path(&format!("run/flob/{}.session", guest.name));
    let mut client = Client::connect_path(&socket).unwrap();
    let environment = client.look(false).unwrap();
    let space = environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Space).unwrap().place;
    let State::Thread(thread) = &environment.flobs[0].state else { panic!("its thread is at its beginning") };
    let (memory, address, owner) =
        (Memory::Space(space), thread.registers.rip, Owner::Client("debugger".into()));
    client.request(HubRequest::SetBreakpoint { owner, space, address }).unwrap();
    let code = world.flob_ok(&["peek", "--at", &id, &format!("{address:#x}"), "8"]);
    assert_eq!(guest.flob_ok(&["peek", &format!("{address:#x}"), "8"]), code);
    let events = client.subscribe().unwrap();
    assert!(is_fetching(&world, &guest), "everything is there already");
    guest.flob_ok(&["checkpoint", "fetch"]);
    assert!(peek("0x2000ff0").contains(written), "{}", peek("0x2000ff0"));
    guest.flob_ok(&["resume"]);
    let is_hit = |event: &HubEvent| {
        matches!(event, HubEvent::Guest(Event::Stopped { reason: StopReason::Breakpoint, .. }))
    };
    assert!(events.iter().any(|event| is_hit(&event)), "the session ended before its breakpoint was hit");
    assert_eq!(Source::read(&mut client, memory, address, 8).unwrap().len(), 8);
    // With the debugger its breakpoint goes, and its hold.
    drop(client);
    MEDIUM.ends_well(&guest.finish());
}

/// Changes a byte in the middle of each pack, or changes it back.
fn flip(world: &World) {
    for entry in std::fs::read_dir(world.path("store/packs")).unwrap() {
        let pack = entry.unwrap().path();
        let mut bytes = std::fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&pack, bytes).unwrap();
    }
}

#[test]
fn a_run_whose_checkpoint_turns_out_damaged_ends_with_a_word() {
    let world = World::new();
    let id = MEDIUM.save(&world);
    flip(&world);
    let finished = world.flob(&["run", "--headless", "--restore", &id, "--lazy"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(122), ""), "{finished}");
    for part in ["a page of its checkpoint is missing", "does not match"] {
        assert!(finished.stderr.contains(part), "{finished}");
    }
    flip(&world);
    MEDIUM.ends_well(&world.flob(&["run", "--headless", "--restore", &id, "--lazy"]));
}

#[test]
fn a_session_is_held_while_a_page_cannot_be_had_and_goes_on_when_the_store_is_mended() {
    let world = World::new();
    let id = SMALL.save(&world);
    flip(&world);
    let mut screen = Screen::start(&world, &["run", "--restore", &id, "--lazy"], 160, 40);
    screen.wait_for("a page of its checkpoint is missing");
    let name = world.json(&["sessions", "--json"])[0]["name"].as_str().unwrap().to_owned();
    let flob = |arguments: &[&str]| world.flob(&[&["-s", &name], arguments].concat());
    world.wait_until("it is held", || world.json(&["sessions", "--json"])[0]["state"] == "held");
    for refused in [&["resume"][..], &["checkpoint", "fetch"], &["checkpoint", "save", "--full"]] {
        let finished = flob(refused);
        assert_eq!(finished.code, Some(122), "{refused:?}: {finished}");
        assert!(finished.stderr.contains("does not match"), "{refused:?}: {finished}");
    }
    flip(&world);
    assert_eq!(flob(&["resume"]).code, Some(0));
    assert_eq!(flob(&["checkpoint", "fetch"]).code, Some(0));
    screen.keys("6");
    screen.wait_for(SMALL.end().trim());
    assert_eq!(flob(&["stop"]).code, Some(0));
}

#[test]
fn another_restore_over_one_whose_pages_are_missing_has_its_own_memory() {
    let world = World::new();
    let (one, other) = (MEDIUM.save(&world), SMALL.save(&world));
    let guest = slowly(&world, &one);
    guest.flob_ok(&["peek", "--environment", "0x200000", "64"]);
    guest.flob_ok(&["checkpoint", "restore", &other, "--lazy"]);
    guest.flob_ok(&["checkpoint", "restore", &one, "--lazy"]);
    guest.flob_ok(&["checkpoint", "restore", &other, "--lazy"]);
    assert!(is_fetching(&world, &guest), "everything is there already");
    guest.flob_ok(&["checkpoint", "fetch"]);
    let saved = guest.save(&["--full"]);
    assert_eq!(memory_differs(&world, &other, &saved), Vec::<String>::new());
    guest.flob_ok(&["checkpoint", "restore", &one, "--lazy"]);
    guest.flob_ok(&["checkpoint", "restore", &other]);
    assert!(!is_fetching(&world, &guest));
    guest.flob_ok(&["resume"]);
    SMALL.ends_well(&guest.finish());
}

#[test]
fn removing_the_checkpoint_takes_nothing_from_who_is_still_fetching_it() {
    let world = World::new();
    let id = SMALL.save(&world);
    let guest = slowly(&world, &id);
    world.flob_ok(&["checkpoint", "rm", &id]);
    world.flob_ok(&["checkpoint", "gc"]);
    assert!(is_fetching(&world, &guest), "everything is there already");
    guest.flob_ok(&["resume"]);
    SMALL.ends_well(&guest.finish());
}

#[test]
fn who_waits_for_the_memory_can_stop_waiting() {
    let world = World::new();
    let id = MEDIUM.save(&world);
    let guest = slowly(&world, &id);
    let waiting = world.start(&["-s", &guest.name, "checkpoint", "fetch"], None);
    world.wait_until("some has arrived", || {
        session(&world, &guest)["fetching"]["done"].as_u64().is_some_and(|done| done > 16)
    });
    send(Signal::INT, waiting.id());
    let finished = waiting.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(125), ""), "{finished}");
    assert!(is_fetching(&world, &guest), "everything is there already");
    guest.flob_ok(&["resume"]);
    MEDIUM.ends_well(&guest.finish());
}

/// The emulator stands still for longer than the link has patience, in the middle of fetching.
#[test]
fn a_line_that_is_lost_for_a_while_loses_nothing() {
    let world = World::new();
    let id = MEDIUM.save(&world);
    let guest = slowly(&world, &id);
    guest.flob_ok(&["resume"]);
    let qemu = session(&world, &guest)["guest"].as_u64().unwrap().try_into().unwrap();
    send(Signal::STOP, qemu);
    world.wait_until("the line is lost", || session(&world, &guest)["state"] == "no answer");
    send(Signal::CONT, qemu);
    MEDIUM.ends_well(&guest.finish());
}

/// Killed while pages are missing, and saved just before: nothing depends on what had arrived.
#[test]
fn saved_and_killed_while_pages_are_missing_it_goes_on() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..rounds(2) {
        let world = World::new();
        let scribble = Scribble { mib: 1, every: random.u32(1..9) };
        let mut id = scribble.save(&world);
        for _ in 0..3 {
            let guest = slowly(&world, &id);
            guest.flob_ok(&["resume"]);
            std::thread::sleep(Duration::from_millis(random.u64(0..400)));
            id = guest.save(&[]);
            guest.power_cut();
        }
        scribble.ends_well(&world.flob(&["run", "--headless", "--restore", &id, "--lazy"]));
    }
}

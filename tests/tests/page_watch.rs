//! What is watched by taking rights from pages: arrays of any size, what the kernel writes for a thread, reads without writes. It stays
//! through a save and a restore, and nothing of it stays when it is deleted. What the kernel writes, or sends, is told where debug registers
//! watch, too.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_abi::ipc;
use flob_tests::{
    Guest, World,
    debugged::{Session, wordcount},
};
use serde_json::Value;

/// Deletes everything that stops threads.
fn delete_all(guest: &Guest<'_>) {
    for point in guest.json(&["break", "--list", "--json"]).as_array().unwrap() {
        guest.flob_ok(&["break", "--delete", &point["number"].to_string()]);
    }
}

/// Nothing is watched any more, and the program comes to its end as if nothing had been.
fn ends_unwatched(session: Session<'_>) {
    delete_all(&session.guest);
    session.guest.flob_ok(&["resume"]);
    session.ends_well();
}

/// A thread that is held.
fn held(guest: &Guest<'_>) -> Option<String> {
    let threads = guest.json(&["ps", "--json"]);
    let held = threads.as_array().unwrap().iter().find(|thread| thread["state"] == "held")?;
    Some(held["name"].as_str().unwrap().to_owned())
}

/// Lets all go until something stops a thread; that thread.
fn next_stop(world: &World, guest: &Guest<'_>) -> String {
    // Of several threads another one may have been stopped meanwhile: so that is told before all go on.
    guest.flob_ok(&["pause"]);
    held(guest);
    guest.flob_ok(&["resume"]);
    let mut stopped = None;
    world.wait_until("a thread is stopped", || {
        stopped = held(guest);
        stopped.is_some()
    });
    stopped.unwrap()
}

fn register(guest: &Guest<'_>, thread: &str, name: &str) -> u64 {
    let state: Value = guest.json(&["show", thread, "--json"]);
    let text = state["state"][format!("registers.{name}")].as_str().unwrap().to_owned();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// The reader is about to receive input into a buffer of more than a page: where that is, and how large.
fn input_buffer(world: &World, session: &Session<'_>) -> (u64, u64) {
    let guest = &session.guest;
    guest.flob_ok(&["break", "--calls", "ipc"]);
    loop {
        let thread = next_stop(world, guest);
        let (address, bytes) = (register(guest, &thread, "r9"), register(guest, &thread, "rbx"));
        if thread.ends_with("reader") && bytes > 4096 {
            delete_all(guest);
            return (address, bytes);
        }
    }
}

/// Whether a thread stands behind a `syscall`.
fn is_behind_a_call(guest: &Guest<'_>, thread: &str) -> bool {
    let before = format!("{:#x}", register(guest, thread, "rip") - 2);
    guest.flob_ok(&["peek", &before, "2"]).contains("0f 05")
}

/// The reader stops three times, and nobody else: each time behind a call, or never.
fn reader_stops(world: &World, guest: &Guest<'_>, behind_a_call: bool) {
    for _ in 0..3 {
        let thread = next_stop(world, guest);
        assert!(thread.ends_with("reader"), "{thread}");
        assert_eq!(is_behind_a_call(guest, &thread), behind_a_call, "the kernel writes, the program reads");
    }
}

#[test]
fn what_the_kernel_writes_into_a_watched_array_stops_the_thread_that_it_does_it_for() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (address, bytes) = input_buffer(&world, &session);
    let guest = &session.guest;
    let pages = (address + bytes - 1) / 4096 - address / 4096 + 1;
    assert!(pages > 1, "{bytes} bytes at {address:#x} are in one page");
    guest.flob_ok(&["break", "--watch", &format!("{address:#x}:{bytes}")]);
    // Nothing but messages writes there.
    reader_stops(&world, guest, true);
    // A save of it holds nothing of that, and what is watched stays watched after a restore.
    let checkpoint = guest.save(&[]);
    guest.flob_ok(&["checkpoint", "verify", &checkpoint]);
    next_stop(&world, guest);
    guest.flob_ok(&["checkpoint", "restore", &checkpoint]);
    assert!(next_stop(&world, guest).ends_with("reader"));
    ends_unwatched(session);
}

#[test]
fn what_the_kernel_writes_where_a_debug_register_watches_is_told_and_the_program_goes_on() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (address, _) = input_buffer(&world, &session);
    let guest = &session.guest;
    // In the buffer's first page and in its second: the message is a long one.
    for watched in [address, address + 4096] {
        guest.flob_ok(&["break", "--watch", &format!("{:#x}:8", watched.next_multiple_of(8))]);
        for _ in 0..2 {
            let thread = next_stop(&world, guest);
            assert!(thread.ends_with("reader"), "{thread}");
            let here = register(guest, &thread, "rip");
            let code = [here, here - 2].map(|place| guest.flob_ok(&["peek", &format!("{place:#x}"), "2"]));
            assert!(code.iter().any(|bytes| bytes.contains("0f 05")), "at its call or behind it: {code:?}");
        }
        delete_all(guest);
    }
    guest.flob_ok(&["resume"]);
    session.ends_well();
}

/// Some thread is about to send eight bytes or more from memory: which one, and from where.
fn send_buffer(world: &World, guest: &Guest<'_>) -> (String, u64) {
    guest.flob_ok(&["break", "--calls", "ipc"]);
    loop {
        let thread = next_stop(world, guest);
        let [call, address, bytes] = ["rax", "rsi", "rdx"].map(|name| register(guest, &thread, name));
        let words = address.next_multiple_of(8)..(address + bytes) & !7;
        if call & ipc::SEND != 0 && call & ipc::SHORT == 0 && !words.is_empty() {
            delete_all(guest);
            return (thread, words.start);
        }
    }
}

#[test]
fn what_the_kernel_sends_from_where_a_debug_register_watches_reads_is_told() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let guest = &session.guest;
    let (sender, watched) = send_buffer(&world, guest);
    let place = format!("{watched:#x}:8");
    guest.flob_ok(&["break", "--watch", &place, "--read"]);
    let thread = next_stop(&world, guest);
    assert_eq!(thread, sender, "nobody else uses that");
    assert!(is_behind_a_call(guest, &thread), "its message was sent from there");
    ends_unwatched(session);
}

#[test]
fn of_several_watches_that_one_message_touches_each_is_hit() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (address, bytes) = input_buffer(&world, &session);
    let guest = &session.guest;
    // By debug registers, and by pages.
    let (words, rest) = (address.next_multiple_of(8), address + 64);
    for watched in [(words, 8), (words + 8, 8), (rest, bytes - 64)] {
        guest.flob_ok(&["break", "--watch", &format!("{:#x}:{}", watched.0, watched.1)]);
    }
    let thread = next_stop(&world, guest);
    assert!(thread.ends_with("reader") && is_behind_a_call(guest, &thread), "{thread}");
    let points = guest.json(&["break", "--list", "--json"]);
    let hits: Vec<_> = points.as_array().unwrap().iter().map(|point| point["hits"].as_u64()).collect();
    assert_eq!(hits, [Some(1); 3], "{points}");
    ends_unwatched(session);
}

/// The mapping of the program's own space that this address is in: its name and where it starts.
fn mapping_at(guest: &Guest<'_>, address: u64) -> (String, u64) {
    let number = |state: &Value, field: &str| {
        u64::from_str_radix(state["state"][field].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    for at in [0x1200, 0x1400, 0x1600, 0x1800, 0x1a00, 0x1c00] {
        let name = format!("mapping:wordcount/+{at:#x}");
        let state = guest.json(&["show", &name, "--json"]);
        let (start, size) = (number(&state, "start"), number(&state, "size"));
        if (start..start + size).contains(&address) {
            return (name, start);
        }
    }
    panic!("{address:#x} is not mapped");
}

#[test]
fn memory_that_is_mapped_where_something_is_watched_already_is_watched() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (address, bytes) = input_buffer(&world, &session);
    let guest = &session.guest;
    guest.flob_ok(&["pause"]);
    let (mapping, start) = mapping_at(guest, address);
    guest.flob_ok(&["set", &mapping, "start=0x300000000000"]);
    guest.flob_ok(&["break", "--watch", &format!("{address:#x}:{bytes}")]);
    guest.flob_ok(&["set", &mapping, &format!("start={start:#x}")]);
    reader_stops(&world, guest, true);
    ends_unwatched(session);
}

#[test]
fn a_watch_for_reads_passes_over_writes() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (address, bytes) = input_buffer(&world, &session);
    let guest = &session.guest;
    guest.flob_ok(&["break", "--watch", &format!("{address:#x}:{bytes}"), "--only-reads"]);
    // The kernel writes there, and the reader reads what has come.
    reader_stops(&world, guest, false);
    ends_unwatched(session);
}

//! `flob trace` on real sessions: what the program asks of its parent and of the kernel is told exactly, and the program does not
//! notice.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{
    Finished, Guest, Running, World,
    debugged::{assert_has, lazy_wordcount, start, wordcount},
    random_text,
};
use serde_json::{Value, json};

/// How clients ask servers.
const CLIENT: &str = "ipc_client_connect_send_over_receive";

fn calls(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named<'a>(calls: &'a [Value], name: &str) -> impl Iterator<Item = &'a Value> {
    calls.iter().filter(move |call| call["name"] == name)
}

/// A client that prints what is traced until the program ends.
fn follow(world: &World, options: &[&str]) -> Running {
    let follower = world.start(&[&["trace", "--follow", "--json"], options].concat(), None);
    // It is there once its wish is: what is traced for anybody is told with the trace.
    world.wait_until("the follower is there", || {
        let said = world.flob(&["trace"]);
        said.code == Some(0) && !said.stderr.contains("nothing is traced")
    });
    follower
}

/// Both come to their ends.
fn finish(guest: Guest<'_>, follower: Running) -> (Finished, Finished) {
    let (finished, traced) = (guest.finish(), follower.finish());
    assert_eq!((finished.code, traced.code), (Some(0), Some(0)), "{finished} {traced}");
    (finished, traced)
}

#[test]
fn every_request_of_a_whole_run_is_told_with_its_reply() {
    let world = World::new();
    let text = random_text(&mut fastrand::Rng::with_seed(9), 60_000);
    let session = start(&world, &["--paused"], "100", text.clone());
    let follower = follow(&world, &[]);
    session.guest.flob_ok(&["resume"]);
    let (finished, traced) = finish(session.guest, follower);
    let calls = calls(&traced.stdout);
    let numbers: Vec<u64> = calls.iter().map(|call| call["number"].as_u64().unwrap()).collect();
    assert!(!numbers.is_empty() && traced.stderr.is_empty(), "{traced}");
    // What stdin gave and stdout took adds up to the whole streams.
    let read: u64 = named(&calls, "stdin.read")
        .map(|call| call["outcome"]["fields"]["bytes"]["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(read, text.len() as u64);
    let written: u64 =
        named(&calls, "stdout.write").map(|call| call["outcome"]["fields"]["count"].as_u64().unwrap()).sum();
    assert_eq!(written, finished.stdout.len() as u64);
    let first = named(&calls, "stdout.write").find(|call| call["arguments"]["position"] == 0).unwrap();
    let start = first["arguments"]["bytes"]["start"].as_str().unwrap();
    assert!(start.starts_with("lines: "), "{first:#}");
    assert!(
        named(&calls, "stdin.read").all(|call| call["thread"].as_str().is_some_and(|name| !name.is_empty()))
    );
    assert_eq!(named(&calls, "parent.exit").count(), 1, "{}", traced.stdout);
}

#[test]
fn kernel_calls_are_told_by_name_with_flobs_and_the_program_comes_to_the_right_end() {
    let world = World::new();
    let run = ["--paused", "philosophers", "3", "--meals", "2", "--pace", "1"];
    let guest = world.guest(&run, None);
    let names = "mutex_lock,mutex_unlock,condition_wait,ipc";
    let follower = follow(&world, &["--calls", names]);
    guest.flob_ok(&["resume"]);
    let (finished, traced) = finish(guest, follower);
    assert!(finished.stdout.contains("all 3 philosophers have had 2 meals"), "{finished}");
    let calls = calls(&traced.stdout);
    for fork in 0..3 {
        let fork = format!("FORKS[{fork}]");
        let of = |name: &str| {
            let all = named(&calls, name).filter(|call| call["arguments"]["mutex"] == fork.as_str());
            all.map(|call| call["thread"].clone()).collect::<Vec<_>>()
        };
        assert_eq!((of("mutex_lock").len(), of("mutex_unlock").len()), (4, 4), "{fork}: {}", traced.stdout);
    }
    let unlocks: Vec<&Value> = named(&calls, "mutex_unlock").collect();
    assert!(unlocks.iter().all(|call| call["outcome"]["status"] == 0), "{unlocks:#?}");
    // Also of those that had to wait.
    let waited = named(&calls, "mutex_lock").chain(named(&calls, "condition_wait"));
    let ended = waited.filter(|call| !call["ended"].is_null());
    let unseen: Vec<&Value> = ended.filter(|call| call["outcome"]["status"] != 0).collect();
    assert!(unseen.is_empty(), "{unseen:#?}");
    let requests = calls.iter().filter(|call| call["kind"] == "service").count();
    let ipc = named(&calls, "ipc_client_connect_send_over_receive").count();
    assert!(ipc >= requests && requests > 0, "each request is a call: {ipc} for {requests}");
}

#[test]
fn a_call_that_was_paused_while_it_waited_is_the_same_call_and_its_end_is_seen() {
    let world = World::new();
    let run = ["--paused", "philosophers", "3", "--meals", "2", "--deadlock", "--pace", "1"];
    let guest = world.guest(&run, None);
    let follower = follow(&world, &["--calls", "mutex_lock,condition_wait"]);
    guest.flob_ok(&["resume"]);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
    for _ in 0..2 {
        guest.flob_ok(&["pause"]);
        guest.flob_ok(&["resume"]);
    }
    guest.flob_ok(&["set", "mutex:philosophers/FORKS[1]", "locked=false"]);
    let (_, traced) = finish(guest, follower);
    let calls = calls(&traced.stdout);
    let ended = calls.iter().filter(|call| !call["ended"].is_null() && call["kind"] == "kernel");
    let unseen: Vec<&Value> = ended.filter(|call| call["outcome"]["status"].is_null()).collect();
    assert!(unseen.is_empty(), "{unseen:#?}");
}

#[test]
fn a_trace_goes_on_over_a_restore_and_leaves_no_mark_in_checkpoints() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    session.guest.flob_ok(&["trace", "--on", "--calls", "mutex_lock,condition_wait"]);
    world.wait_until("a lock was traced", || session.guest.flob_ok(&["trace"]).contains("mutex_lock("));
    session.guest.flob_ok(&["checkpoint", "save", "traced"]);
    let shown = session.guest.flob_ok(&["show", "space:wordcount", "--at", "traced"]);
    let live = session.guest.flob_ok(&["show", "space:wordcount"]);
    for told in [&shown, &live] {
        let flags = told.lines().find(|line| line.trim_start().starts_with("flags")).unwrap_or_default();
        assert_eq!(flags.split_whitespace().nth(1), Some("none"), "{told}");
    }
    session.guest.flob_ok(&["checkpoint", "restore", "traced"]);
    let before = session.guest.flob_ok(&["trace"]).lines().count();
    assert_has(&session.guest.flob_ok(&["trace"]), &["a checkpoint was restored"]);
    session.guest.flob_ok(&["resume"]);
    world.wait_until("more was traced", || session.guest.flob_ok(&["trace"]).lines().count() > before + 20);
    let text = session.guest.flob_ok(&["trace"]);
    let behind = text.split("a checkpoint was restored").nth(1).unwrap();
    assert_has(behind, &["mutex_lock(mutex=", " = Success"]);
    session.guest.flob_ok(&["trace", "--off"]);
    session.ends_well();
}

/// What a call of the kernel sends, or has received, and how it is told there.
fn messages(calls: &[Value], key: &str) -> Vec<(Value, String)> {
    let part = if key == "sent" { "arguments" } else { "outcome" };
    let kernel = calls.iter().filter(|call| call["kind"] == "kernel" && call[part][key].is_object());
    kernel.map(|call| (call[part][key].clone(), call["name"].as_str().unwrap().to_owned())).collect()
}

/// The message that begins so, and goes through this call.
fn message(calls: &[Value], key: &str, name: &str, start: &str) -> Value {
    let all = messages(calls, key);
    let is_it = |(message, through): &&(Value, String)| {
        through == name && message["start"].as_str().unwrap().starts_with(start)
    };
    let found = all.iter().find(is_it).map(|(message, _)| message.clone());
    found.unwrap_or_else(|| panic!("nothing like {start:?} was {key} by {name}: {all:#?}"))
}

/// A message that is told whole, or cut, in so many bytes.
fn told(start: &str, bytes: u64) -> Value {
    json!({ "start": start, "bytes": bytes, "is_all": true, "is_readable": true })
}

/// The calls of this program with all its IPC traced.
fn traced(world: &World, guest: Guest<'_>) -> Vec<Value> {
    let follower = follow(world, &["--calls", "ipc"]);
    guest.flob_ok(&["resume"]);
    let (_, traced) = finish(guest, follower);
    calls(&traced.stdout)
}

#[test]
fn messages_of_ipc_calls_are_told_with_their_bytes_both_ways() {
    let world = World::new();
    let text = "heron otter heron quince\n".repeat(80);
    let session = start(&world, &["--paused"], "1", text.into_bytes());
    let calls = traced(&world, session.guest);
    // What stdin gave, and what stdout took: a reply is the verb, the count and the bytes.
    let read = message(&calls, "received", CLIENT, "\\x00\\xd0\\x0fheron otter heron quince\\nheron otter");
    assert_eq!(read["bytes"], 2003);
    let line = calls.iter().find(|call| call["outcome"]["received"] == read).unwrap();
    let line = line["outcome"]["text"].as_str().unwrap();
    assert!(line.contains(" received=2003 \"\\x00\\xd0\\x0fheron otter") && line.ends_with("\"…"), "{line}");
    message(&calls, "sent", CLIENT, "\\x01\\x00Olines: 80\\nwords: 320\\nbytes: 2000\\n");
    // What a worker asks of the tally server, and what it hears.
    let asked = |call: &&Value| {
        call["arguments"]["port"] == "TALLY_SERVICE"
            && call["arguments"]["sent"]["start"].as_str().unwrap().contains("quince")
    };
    let asked = calls.iter().find(asked).unwrap();
    assert_eq!(asked["outcome"]["received"], told("\\x00", 1), "{asked:#}");
    assert_has(asked["outcome"]["text"].as_str().unwrap(), &[" received=1 [00]"]);
}

#[test]
fn both_ends_tell_the_same_message_and_buffers_of_tables_are_put_together() {
    let world = World::new();
    let run = |exercise| traced(&world, world.guest(&["--paused", "calls", "--only", exercise], None));
    let calls = run("idempotent call");
    for (key, name, start) in [
        ("sent", "ipc_call", "12345678"),
        ("received", "ipc_wait_receive", "12345678"),
        ("sent", "ipc_reply_wait_receive", "87654321"),
        ("received", "ipc_call", "87654321"),
        ("sent", "ipc_send", "end"),
        ("received", "ipc_reply_wait_receive", "end"),
    ] {
        assert_eq!(message(&calls, key, name, start), told(start, start.len() as u64));
    }
    // 1000 nines, 2000 ones and 3000 twos go into rooms of 3, 4000 and 4000 bytes.
    let calls = run("scattered buffers");
    let start = "\\t".repeat(64);
    for (key, name) in [("sent", "ipc_client_connect_send"), ("received", "ipc_wait_receive")] {
        assert_eq!(message(&calls, key, name, &start), told(&start, 6000));
    }
}

#[test]
fn gdb_shows_the_trace_and_ends_it_when_it_leaves() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "monitor trace",
        "monitor trace on condition_signal ipc",
        "tbreak wordcount::work::add_up",
        "continue",
        "tbreak wordcount::work::add_up",
        "continue",
        "monitor trace 500",
        "monitor trace some",
        "detach",
    ]);
    assert_has(&text, &["nothing is traced; monitor trace on begins", "traced until this debugger leaves"]);
    assert_has(&text, &["condition_signal(condition=", " = Success", "COUNT]", ", sent=", " received="]);
    let said = session.guest.flob(&["trace"]);
    assert!(said.stderr.contains("nothing is traced now"), "{said}");
    session.ends_well();
}

#[test]
fn a_filter_and_bad_names_are_understood() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let said = session.guest.flob(&["trace", "--calls", "lock"]);
    assert_eq!(said.code, Some(120), "{said}");
    assert_has(&said.stderr, &["mutex_lock", "mutex_trylock"]);
    session.guest.flob_ok(&["trace", "--on"]);
    world.wait_until("a read was traced", || {
        session.guest.flob_ok(&["trace", "--filter", "stdin"]).contains("stdin.read(")
    });
    let only = session.guest.flob_ok(&["trace", "--filter", "STDIN", "--filter", "data"]);
    assert!(only.lines().all(|line| line.contains("stdin.read")), "{only}");
    session.ends_well();
}

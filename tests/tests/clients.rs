//! Several clients of one session at once: each sees what the others do, and nobody stands in another's way.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use flob_tests::{Guest, World};
use serde_json::json;

/// Philosophers that will wait for each other for good, all with their left fork in hand.
fn deadlock(world: &World) -> Guest<'_> {
    let guest = world.guest(&["philosophers", "3", "--meals", "2", "--deadlock", "--pace", "1"], None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
    guest
}

#[test]
fn many_clients_look_at_once_and_see_the_same() {
    let world = World::new();
    let guest = deadlock(&world);
    let arguments = ["-s", &guest.name, "ps", "--json"];
    let clients: Vec<_> = (0..8).map(|_| world.start(&arguments, None)).collect();
    let seen: Vec<_> = clients.into_iter().map(flob_tests::Running::finish).collect();
    for finished in &seen {
        assert_eq!((finished.code, &finished.stdout), (Some(0), &seen[0].stdout), "{finished}");
    }
}

#[test]
fn the_name_of_a_session_that_was_killed_is_free_again() {
    let world = World::new();
    let run = ["-s", "one", "run", "--headless", "--paused", "philosophers", "2"];
    world.guest_of(world.start(&run, None)).power_cut();
    let guest = world.guest_of(world.start(&run, None));
    assert_eq!(guest.name, "one");
    let second = world.flob(&run);
    assert_eq!(second.code, Some(123), "{second}");
    assert!(second.stderr.contains("a session of this name is running"), "{second}");
}

#[test]
fn what_is_paused_stands_still_until_it_is_resumed() {
    let world = World::new();
    let guest = world.guest(&["philosophers", "3", "--meals", "200", "--pace", "1"], None);
    guest.hub.wait_for("meal 2");
    guest.flob_ok(&["pause"]);
    let threads = guest.json(&["ps", "--json"]);
    assert!(threads.as_array().unwrap().iter().all(|thread| thread["state"] != "runs"), "{threads:#}");
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "held");
    let before = guest.flob_ok(&["tree", "--json"]);
    assert_eq!(guest.flob_ok(&["tree", "--json"]), before);
    let said = guest.flob(&["resume"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said}");
    let threads = threads.as_array().unwrap().len();
    assert_eq!(guest.json(&["pause", "--json"]), json!({ "stopped": threads, "holders": "the user" }));
    assert_eq!(guest.json(&["pause", "--json", "main"]), json!({ "stopped": 0, "holders": "the user" }));
    assert_eq!(guest.json(&["resume", "--json", "main"])["resumed"], 1);
    assert_eq!(guest.json(&["resume", "--json"]), json!({ "resumed": threads - 1, "holders": "" }));
    assert_eq!(guest.json(&["resume", "--json"]), json!({ "resumed": 0, "holders": "" }));
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "running");
    let meals = guest.hub.wait_for_output(0).lines().count();
    guest.hub.wait_for(&format!("meal {}", meals / 3 + 5));
    guest.flob_ok(&["stop"]);
    assert_eq!(guest.finish().code, Some(0));
}

#[test]
fn what_is_paused_while_a_checkpoint_travels_stands_still_after_it() {
    let mut random = fastrand::Rng::with_seed(flob_tests::seed());
    let world = World::new();
    let guest = world.guest(&["philosophers", "3", "--meals", "10000", "--pace", "1"], None);
    guest.hub.wait_for("meal 2");
    for _ in 0..flob_tests::rounds(4) {
        let save = world.start(&["checkpoint", "save"], None);
        std::thread::sleep(std::time::Duration::from_millis(random.u64(0..400)));
        guest.flob_ok(&["pause"]);
        let saved = save.finish();
        assert_eq!(saved.code, Some(0), "{saved}");
        let threads = guest.json(&["ps", "--json"]);
        assert!(threads.as_array().unwrap().iter().all(|thread| thread["state"] != "runs"), "{threads:#}");
        let before = guest.flob_ok(&["tree", "--json"]);
        assert_eq!(guest.flob_ok(&["tree", "--json"]), before);
        guest.flob_ok(&["resume"]);
    }
}

#[test]
fn one_thread_can_be_held_while_the_others_eat() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3", "--meals", "3", "--pace", "400"], None);
    guest.flob_ok(&["resume"]);
    let thread = "philosophers/PHILOSOPHERS[1]";
    // Before it exists it cannot be held; as soon as it does it can.
    let mut held = guest.flob(&["pause", thread]);
    while held.code == Some(121) {
        held = guest.flob(&["pause", thread]);
    }
    assert_eq!(held.code, Some(0), "{held}");
    // The others go on without it until they need its fork, or have had their meals.
    guest.hub.wait_for("philosopher 2: meal 1");
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "held");
    guest.flob_ok(&["resume", thread]);
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "running");
    let finished = guest.finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.lines().count(), 3 * 3 + 1, "{finished}");
}

#[test]
fn what_one_client_writes_another_reads() {
    let world = World::new();
    let guest = deadlock(&world);
    let read =
        || guest.json(&["peek", "--json", "LEFT_FORKS_TAKEN", "64"])["bytes"].as_str().unwrap().to_owned();
    let before = read();
    assert_eq!(before.len(), 128);
    let address =
        guest.json(&["peek", "--json", "LEFT_FORKS_TAKEN", "1"])["address"].as_str().unwrap().to_owned();
    guest.flob_ok(&["poke", "LEFT_FORKS_TAKEN", "de", "ad", "beef"]);
    let poked = read();
    assert_eq!((&poked[..8], &poked[8..]), ("deadbeef", &before[8..]));
    guest.flob_ok(&["poke", &address, &before]);
    assert_eq!(read(), before);
    // Registers and the stack that they point to can be read too.
    let thread = guest.json(&["show", "--json", "PHILOSOPHERS[0]"]);
    let stack = thread["state"]["registers.rsp"].as_str().unwrap();
    assert_eq!(guest.json(&["peek", "--json", stack, "16"])["bytes"].as_str().unwrap().len(), 32);
    // What of a write was done before it failed is said.
    let socket = world.path("run/flob").join(format!("{}.session", guest.name));
    let size = flob_session::Client::connect_path(&socket).unwrap().look(false).unwrap().size;
    let last = format!("{:#x}", size - 4);
    let poked = guest.flob(&["poke", "--environment", &last, "0011223344556677"]);
    assert_eq!(poked.code, Some(121), "{poked}");
    assert!(
        poked.stderr.contains(&format!("4 bytes were written from {last} on, then at {size:#x}: ")),
        "{poked}"
    );
    assert_eq!(guest.json(&["peek", "--environment", &last, "8", "--json"])["bytes"], "00112233");
}

#[test]
fn an_edit_is_seen_by_others_and_taken_back_by_a_second_one() {
    let world = World::new();
    let guest = deadlock(&world);
    let priority =
        |guest: &Guest<'_>| guest.json(&["show", "--json", "PHILOSOPHERS[2]"])["state"]["priority"].clone();
    let before = priority(&guest);
    let said = guest.flob_ok(&["set", "PHILOSOPHERS[2]", "priority=7"]);
    assert_eq!(said.trim(), format!("thread:philosophers/PHILOSOPHERS[2] priority: {before} → 7"));
    assert_eq!(priority(&guest), 7);
    guest.flob_ok(&["set", "PHILOSOPHERS[2]", &format!("priority={before}")]);
    assert_eq!(priority(&guest), before);
    // Links by name, back and forth, while it stands still.
    guest.flob_ok(&["pause"]);
    let owner = |guest: &Guest<'_>| guest.json(&["show", "--json", "FORKS[0]"])["links"]["owner"].clone();
    let first = owner(&guest);
    guest.flob_ok(&["set", "FORKS[0]", "owner=PHILOSOPHERS[1]"]);
    assert_ne!(owner(&guest), first);
    guest.flob_ok(&["set", "FORKS[0]", "owner=PHILOSOPHERS[0]"]);
    assert_eq!(owner(&guest), first);
    guest.flob_ok(&["resume"]);
    guest.wait_for_threads("it is the old deadlock", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
}

#[test]
fn every_flob_of_the_tree_can_be_shown() {
    let world = World::new();
    let guest = deadlock(&world);
    let tree = guest.json(&["tree", "--json"]);
    let mut names = Vec::new();
    for space in tree.as_array().unwrap() {
        names.push(space["name"].as_str().unwrap().to_owned());
        for flob in space["flobs"].as_array().unwrap() {
            names.push(flob["name"].as_str().unwrap().to_owned());
        }
    }
    assert!(names.len() > 15, "{names:?}");
    let clients: Vec<_> = names.iter().map(|name| world.start(&["show", "--json", name], None)).collect();
    for (name, client) in names.iter().zip(clients) {
        let shown = client.finish();
        let shown: serde_json::Value =
            serde_json::from_str(&shown.stdout).unwrap_or_else(|_| panic!("{name}: {shown}"));
        assert_eq!(shown["name"], name.as_str());
        assert!(name.starts_with(shown["kind"].as_str().unwrap()), "{shown}");
    }
}

#[test]
fn a_resume_names_who_else_holds() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3", "--meals", "1", "--pace", "0"], None);
    let socket = world.json(&["sessions", "--json"])[0]["gdb_socket"].as_str().unwrap().to_owned();
    let mut gdb = UnixStream::connect(socket).unwrap();
    gdb.write_all(b"$?#3f").unwrap();
    // Its answer comes when the space is held.
    let mut answer = Vec::new();
    while !answer.contains(&b'#') {
        let mut byte = [0];
        gdb.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    // The first debugger has taken the program over from who started it paused.
    guest.flob_ok(&["pause"]);
    let sessions = world.flob_ok(&["sessions"]);
    assert!(sessions.contains("gdb-") && sessions.contains(", the user"), "{sessions}");
    let said = guest.flob(&["resume"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stderr.contains("still held by gdb") && said.stderr.contains("--force"), "{said}");
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "held");
    // A debugger that goes away leaves nothing held.
    drop(gdb);
    assert_eq!(guest.finish().code, Some(0));
}

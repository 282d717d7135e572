//! A guest that says nothing for so long that nobody waits for it any more: what it was told to do it may do all the same, and who told it
//! is told so.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use flob_abi::{FlobKind, ThreadState, flob::thread_link};
use flob_image::{Flob, Link, State};
use flob_link::Memory;
use flob_session::{Client, HubEvent, HubRequest, LinkState, edit::difference};
use flob_tests::{Running, Signal, World, send};

/// Far beyond what a machine takes to answer that goes on.
const STUCK: Duration = Duration::from_secs(120);

/// The first thread, and the same with another priority.
fn thread(client: &Client) -> (Flob, ThreadState, Flob) {
    let environment = client.look(false).unwrap();
    let is_thread = |flob: &&Flob| flob.state.kind() == FlobKind::Thread;
    let old = environment.flobs.iter().find(is_thread).unwrap().clone();
    let State::Thread(state) = old.state else { panic!("no thread") };
    let new = Flob { state: State::Thread(ThreadState { priority: 9, ..state }), ..old.clone() };
    (old, state, new)
}

#[test]
fn who_told_a_silent_guest_to_change_something_is_told_that_it_may_have_done_so() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3"], None);
    let socket = world.path("run/flob").join(format!("{}.session", guest.name));
    let client = Client::connect_path(&socket).unwrap();
    let events = client.subscribe().unwrap();
    // Everything stands still: what was looked at is known, and nobody need ask the guest for it.
    let (old, state, new) = thread(&client);
    let Link::Flob(space) = old.links[thread_link::SPACE] else { panic!("it is in no space") };
    let address = state.registers.rsp - 64;
    let emulator = client.info().unwrap().guest_process.unwrap();
    send(Signal::STOP, emulator);

    let write = HubRequest::Write { memory: Memory::Space(space), address, bytes: vec![0x55] };
    let set = HubRequest::Set { place: old.place, hash: state.hash, change: difference(&old, &new) };
    // What one client asks is asked for one after the other.
    let other = Client::connect_path(&socket).unwrap();
    let (written, was_set) = (client.start(write).unwrap(), other.start(set).unwrap());
    let verb = |arguments: &[&str]| Running::start(world.command(arguments), None);
    let stepping = verb(&["step", "main"]);
    // This saves a checkpoint first: the change itself is not asked for before nobody can be asked any more.
    let setting = verb(&["set", "main", "priority=10"]);
    let error = written.wait().unwrap_err().to_string();
    assert!(error.contains("the memory may have been written"), "{error}");
    assert!(error.contains(&format!("'flob peek --space {space:#x} {address:#x}'")), "{error}");
    let error = was_set.wait().unwrap_err();
    assert_eq!(error.exit_code(), 124);
    let look = format!("'flob show {:#x}' shows which", old.place);
    assert!(error.to_string().ends_with(&look), "{error}");
    let stepped = stepping.finish();
    assert_eq!(stepped.code, Some(124), "{stepped}");
    assert!(stepped.stderr.contains("the thread may have made its step, or nothing was done"), "{stepped}");
    let not_set = setting.finish();
    assert_eq!(not_set.code, Some(124), "{not_set}");
    assert!(not_set.stderr.trim_end().ends_with("the guest does not answer"), "{not_set}");

    send(Signal::CONT, emulator);
    while !matches!(events.recv_timeout(STUCK).unwrap(), HubEvent::Link(LinkState::Up)) {}
    // It finds all that was sent in its queue.
    let shown = guest.json(&["show", &format!("{:#x}", old.place), "--json"]);
    assert_eq!(shown["state"]["priority"], 9, "{shown}");
    let peeked = guest.flob_ok(&["peek", &format!("{address:#x}"), "1"]);
    assert!(peeked.contains(" 55 "), "{peeked}");
    guest.flob_ok(&["resume"]);
    assert_eq!(guest.finish().code, Some(0));
}

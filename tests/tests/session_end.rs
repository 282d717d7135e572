//! A session that ends while somebody waits for an answer.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_session::{
    Client, HubEvent,
    protocol::{HubReply, LongRequest},
};
use flob_tests::{Guest, S3Server, World};

fn client(world: &World, guest: &Guest<'_>) -> Client {
    Client::connect_path(&world.path("run/flob").join(format!("{}.session", guest.name))).unwrap()
}

fn wait_for_link(world: &World, guest: &Guest<'_>, text: &str, count: usize) {
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    let times = || std::fs::read_to_string(&log).unwrap_or_default().matches(text).count();
    world.wait_until(text, || times() >= count);
}

const SAVE: LongRequest = LongRequest::Save { name: None, when: None, full: false };

/// All that it needs of the guest it has. The store keeps the last write until the session has said that it waits: one that
/// does not ends without that word.
#[test]
fn a_save_that_has_all_of_the_guest_is_told_its_end_before_the_session_ends() {
    let mut server = S3Server::new(&["hold=checkpoints/"]);
    let world = World::with_store_on(&server);
    let guest = world.guest(&["--paused", "philosophers", "3"], None);
    let client = client(&world, &guest);
    let events = client.subscribe().unwrap();
    let saving = client.start(SAVE).unwrap();
    server.wait_for_held();
    let stopping = world.start(&["-s", &guest.name, "stop"], None);
    let waits = events.iter().any(|event| matches!(event, HubEvent::Finishing));
    assert!(waits, "the session has ended beside a save that is being written");
    guest.qemu.wait_for_end("the guest");
    server.release();
    let answer = saving.wait();
    let Ok(HubReply::Checkpoint(id)) = answer else { panic!("{answer:?}") };
    assert!(world.flob_ok(&["checkpoint", "verify", &id]).contains("sound"));
    let stopped = stopping.finish();
    assert!(stopped.code == Some(0) && stopped.stderr.contains("a save is being written"), "{stopped}");
}

/// It hears that the guest is gone, and not only that nobody answers any more.
#[test]
fn a_save_that_waits_for_the_guest_is_told_that_it_has_gone() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3"], None);
    let client = client(&world, &guest);
    let when = Some(flob_link::WaitKind::Input);
    let saving = client.start(LongRequest::Save { name: None, when, full: false }).unwrap();
    wait_for_link(&world, &guest, "Ok(Waiting)", 1);
    guest.flob_ok(&["stop"]);
    let error = saving.wait().unwrap_err().to_string();
    assert!(!error.contains("the session has ended"), "{error}");
}

//! Large programs: as many spaces, threads and flobs as a checkpoint has to cope with, in every way to wait, and what a
//! save of them costs.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_session::{
    Client,
    protocol::{HubReply, HubRequest, LineFigures},
};
use flob_tests::{Guest, World};

/// What frees them all.
const OPEN: [&str; 3] = ["set", "mutex:crowd/GATE", "locked=false"];
const READY: &str = "ready\n";

/// A crowd that waits.
fn start<'world>(world: &'world World, options: &[&str], crowd: &[&str]) -> Guest<'world> {
    let guest = world.guest(&[options, &["crowd"], crowd].concat(), None);
    guest.hub.wait_for(READY);
    guest
}

/// Kills a guest whose crowd waits, and frees the crowd in another one with so much memory.
fn cut_and_go_on(world: &World, guest: Guest<'_>, options: &[&str]) {
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    let restored = world.guest(&[options, &["--restore", &checkpoint]].concat(), None);
    restored.flob_ok(&OPEN);
    let finished = restored.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "all is well\n"), "{finished}");
}

#[test]
fn a_crowd_of_64_spaces_1000_threads_and_100_000_flobs_goes_on_in_a_larger_guest() {
    let world = World::new();
    let crowd = ["--spaces", "63", "--threads", "1000", "--flobs", "100000"];
    let guest = start(&world, &["--memory", "512"], &crowd);
    cut_and_go_on(&world, guest, &["--memory", "768"]);
}

#[test]
fn flobs_that_all_have_the_same_hash_go_on() {
    let world = World::new();
    let guest = start(&world, &[], &["--threads", "40", "--flobs", "20000", "--one-hash", "1"]);
    cut_and_go_on(&world, guest, &[]);
}

/// What the nester has measured of itself: with `--counted` its time is instructions.
fn figures(world: &World, guest: &Guest<'_>) -> LineFigures {
    let path = world.path("run/flob").join(format!("{}.session", guest.name));
    let client = Client::connect_path(&path).unwrap();
    let HubReply::Line(figures) = client.request(HubRequest::MeasureLine { messages: 0 }).unwrap() else {
        panic!("another kind of answer")
    };
    figures
}

/// How many flobs of what kind a checkpoint has.
fn flobs(world: &World, checkpoint: &str) -> String {
    let shown = world.flob_ok(&["checkpoint", "show", checkpoint]);
    shown.lines().find(|line| line.starts_with("flobs ")).unwrap().to_owned()
}

/// For how many instructions a save keeps a program with so many flobs from running, and how many a restore of them takes. The program
/// that was restored has them all, and comes to its end with them.
fn costs(number: &str, hash: &str) -> [u64; 2] {
    let world = World::new();
    let options = ["--counted", "--memory", "512"];
    let guest = start(&world, &options, &["--threads", "0", "--flobs", number, "--one-hash", hash]);
    let checkpoint = guest.save(&[]);
    let stop_time = figures(&world, &guest).stop_time;
    guest.power_cut();
    let restored = world.guest(&[&options[..], &["--restore", &checkpoint]].concat(), None);
    let restore_time = figures(&world, &restored).restore_time;
    assert_eq!(flobs(&world, &restored.save(&[])), flobs(&world, &checkpoint));
    restored.flob_ok(&OPEN);
    let finished = restored.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "all is well\n"), "{finished}");
    [stop_time, restore_time]
}

#[test]
fn a_save_and_a_restore_grow_no_faster_than_the_number_of_flobs() {
    for hash in ["0", "1"] {
        let [a, b, c] = ["25000", "50000", "100000"].map(|number| costs(number, hash));
        eprintln!("one hash {hash}: {a:?}, {b:?}, {c:?} instructions for 25,000, 50,000, 100,000 flobs");
        for index in 0..2 {
            let [a, b, c] = [a, b, c].map(|costs| costs[index]);
            assert!(b < a * 9 / 4 && c < b * 9 / 4, "{a} {b} {c}");
        }
    }
}

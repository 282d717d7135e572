//! Mach's old problem: a thread in the middle of a long transfer over page faults that a slow keeper serves is stopped, exported,
//! destroyed, made anew and continued; every byte arrives once, in order. From inside, by the program `courier`, and from outside, by
//! a checkpoint of all of it that goes on in another machine.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use flob_tests::{Finished, World, random_text, seed};
use serde_json::Value;

/// What `courier` says at its end: how often both ends were made anew in the middle.
fn operated(said: &str, pages: usize) -> usize {
    let last = said.lines().last().unwrap_or_default();
    let rest = last.strip_prefix(&format!("{pages} pages: every byte once, in order; both ends made anew "));
    let count = rest.and_then(|rest| rest.strip_suffix(" times in the middle"));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("courier said: {said}"))
}

#[test]
fn both_ends_are_destroyed_and_made_anew_at_every_fault_and_each_byte_comes_once() {
    const PAGES: usize = 48;
    let finished = World::new().flob(&["run", "--headless", "courier", "--pages", "48", "--pace", "1"]);
    assert_eq!(finished.code, Some(0), "{finished}");
    let operated = operated(&finished.stdout, PAGES);
    // Two buffers of 48 pages fault once for each page at least.
    assert!(operated >= PAGES, "only {operated} times in the middle");
    eprintln!(
        "proof: in QEMU: Mach's old problem: both ends made anew {operated} times in the middle of a transfer"
    );
}

/// The keeper stands half way, with a fault in its hands, when the power is cut.
#[test]
fn the_transfer_goes_on_in_another_machine() {
    const PAGES: usize = 40;
    let world = World::new();
    let guest = world.guest(&["courier", "--pages", "40", "--hold"], None);
    guest.hub.wait_for("half way\n");
    let mut checkpoint = guest.save(&[]);
    guest.power_cut();
    // Twice: what was restored in the middle is saved there again.
    for last in [false, true] {
        let guest = world.guest(&["--restore", &checkpoint], None);
        if last {
            guest.flob_ok(&["set", "mutex:courier/GATE", "locked=false"]);
            let finished = guest.finish();
            assert_eq!(finished.code, Some(0), "{finished}");
            assert!(operated(&finished.stdout, PAGES) >= PAGES, "{finished}");
        } else {
            checkpoint = guest.save(&[]);
            guest.power_cut();
        }
    }
}

/// How many of the requests that cross the border of a checkpoint are like this.
fn borders(world: &World, checkpoint: &str, are_so: impl Fn(&Value) -> bool) -> usize {
    let shown = world.json(&["checkpoint", "show", "--json", checkpoint]);
    let borders = shown["environment"]["borders"].as_array().unwrap();
    borders.iter().filter(|border| are_so(border)).count()
}

/// Saves a courier that stands in the middle of transfers across the border, with its keeper at the gate, once this is so in the
/// checkpoint; and again where that was restored, for what was restored in the middle stands there still. What comes of it when the
/// gate is opened behind the last restore.
fn cut_in_the_middle(
    world: &World,
    courier: &[&str],
    input: Option<&Path>,
    is_so: impl Fn(&str) -> bool,
) -> Finished {
    let mut guest = world.guest(&[&["courier", "--hold"], courier].concat(), input);
    for _ in 0..2 {
        let is_held =
            |thread: &Value| thread["why"].as_str().is_some_and(|why| why.contains("waits for GATE"));
        guest.wait_for_threads("a page is kept back", |threads| threads.iter().any(is_held));
        let mut checkpoint = String::new();
        world.wait_until("the checkpoint stands in the middle", || {
            checkpoint = guest.save(&[]);
            is_so(&checkpoint)
        });
        guest.power_cut();
        guest = world.guest(&["--restore", &checkpoint], None);
    }
    guest.flob_ok(&["set", "mutex:courier/GATE", "locked=false"]);
    guest.finish()
}

/// Reads all of some input, and is cut where so many bytes of replies have come.
fn read_across(courier: &[&str], delivered: &[&str]) {
    let text = random_text(&mut fastrand::Rng::with_seed(seed()), 60_000);
    let world = World::new();
    let input = world.file("input", &text);
    let courier = [&["--input", "--pages", "7"], courier].concat();
    let is_half = |border: &Value| delivered.iter().any(|delivered| border["delivered"] == *delivered);
    let is_so = |checkpoint: &str| borders(&world, checkpoint, is_half) == delivered.len();
    let finished = cut_in_the_middle(&world, &courier, Some(&input), is_so);
    let sum: u64 = text.iter().map(|byte| u64::from(*byte)).sum();
    let said = format!("{} bytes of input, their sum {sum}\n", text.len());
    assert!(finished.code == Some(0) && finished.stdout.ends_with(&said), "{finished}");
}

/// A reply of the nester is on its way into the program: its first page has arrived, the second is kept back. The one end of that
/// transfer is in the image, the other is not.
#[test]
fn a_transfer_across_the_border_goes_on_in_another_machine_where_it_stood() {
    read_across(&[], &["0x1000"]);
}

/// Two threads of the nester are in the midst of replies, of which two bytes and a page have arrived. Where they are restored each has a
/// thread again: and is saved so.
#[test]
fn two_replies_that_are_on_their_way_at_once_go_on_where_they_stood_too() {
    read_across(&["--sleeper"], &["0x2", "0x1000"]);
}

/// The same, and who keeps the rest of the one back does so until the other has come. The one that was restored first kept the other from
/// ever going on, and so itself.
#[test]
fn a_reply_that_needs_another_one_to_come_first_is_not_waited_for_by_that() {
    read_across(&["--sleeper", "--chain"], &["0x2", "0x1000"]);
}

/// A request of the program is on its way into the nester, which has received its first page.
#[test]
fn a_request_that_is_half_received_across_the_border_is_received_to_its_end_in_another_machine() {
    let world = World::new();
    let is_so = |checkpoint: &str| borders(&world, checkpoint, is_half_received) == 1;
    let finished = cut_in_the_middle(&world, &["--output", "--pages", "7"], None, is_so);
    said_all(&finished, 7);
}

/// The nester has received the first page of it.
fn is_half_received(border: &Value) -> bool {
    // In hexadecimal.
    border["whole"] == false && border["request"].as_str().unwrap().len() == 2 * 0x1000
}

/// All lines of so many pages, in order.
fn said_all(finished: &Finished, pages: usize) {
    let lines = pages / 7 * (7 * 4096 - 16) / 8;
    let said: String = (0..lines).map(|line| format!("{line:07}\n")).collect();
    assert!(finished.code == Some(0) && finished.stdout == said, "{finished}");
}

/// The nester takes up the second one only where the first one was restored, half received; then both are. The first one's rest is kept
/// back until the second one has come, and that at the gate.
#[test]
fn a_half_request_that_needs_another_one_to_come_first_is_not_waited_for_by_that() {
    let world = World::new();
    let mut guest = world.guest(&["courier", "--hold", "--output", "--chain", "--pages", "7"], None);
    for halves in [1, 2] {
        let mut checkpoint = String::new();
        world.wait_until("so many stand in the middle", || {
            checkpoint = guest.save(&[]);
            borders(&world, &checkpoint, is_half_received) == halves
        });
        guest.power_cut();
        guest = world.guest(&["--restore", &checkpoint], None);
    }
    guest.flob_ok(&["set", "mutex:courier/GATE", "locked=false"]);
    said_all(&guest.finish(), 14);
}

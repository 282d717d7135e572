//! Mach's old problem: a thread in the middle of a long transfer over page faults that a slow keeper serves is stopped, exported,
//! destroyed, made anew and continued; every byte arrives once, in order. From inside, by the program `courier`, and from outside, by
//! a checkpoint of all of it that goes on in another machine.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{World, random_text, seed};

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

/// A reply of the nester is on its way into the program: its first page has arrived, the second is kept back. The one end of that
/// transfer is in the image, the other is not.
#[test]
fn a_transfer_across_the_border_goes_on_in_another_machine_where_it_stood() {
    let text = random_text(&mut fastrand::Rng::with_seed(seed()), 60_000);
    let world = World::new();
    let input = world.file("input", &text);
    let guest = world.guest(&["courier", "--input", "--pages", "7", "--hold"], Some(&input));
    // The keeper has the second fault in its hands.
    guest.wait_for_threads("a page is kept back", |threads| {
        threads.iter().any(|thread| thread["why"].as_str().is_some_and(|why| why.contains("waits for GATE")))
    });
    let mut checkpoint = guest.save(&[]);
    guest.power_cut();
    for last in [false, true] {
        let shown = world.json(&["checkpoint", "show", "--json", &checkpoint]);
        let borders = shown["environment"]["borders"].as_array().unwrap();
        let border = borders.iter().find(|border| border["service"] == "stdin").unwrap();
        let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        // What was restored in the middle knows only the rest of the reply.
        let delivered = if last { 0 } else { 4096 };
        assert_eq!(number(border["delivered"].as_str().unwrap()), delivered);
        assert!(border["reply"].as_str().unwrap().len() as u64 > 2 * delivered);
        let guest = world.guest(&["--restore", &checkpoint], None);
        if last {
            guest.flob_ok(&["set", "mutex:courier/GATE", "locked=false"]);
            let finished = guest.finish();
            let sum: u64 = text.iter().map(|byte| u64::from(*byte)).sum();
            let said = format!("{} bytes of input, their sum {sum}\n", text.len());
            assert!(finished.code == Some(0) && finished.stdout.ends_with(&said), "{finished}");
        } else {
            checkpoint = guest.save(&[]);
            guest.power_cut();
        }
    }
}

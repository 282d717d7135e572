//! Standard input of any size, streamed through the link and counted by the guest, against the host's own count.
#![allow(missing_docs)]

use flob_tests::{World, count, random_text, seed};

fn check(text: &[u8]) {
    let world = World::new();
    let file = world.file("input", text);
    let finished = world.start(&["run", "--headless", "wordcount"], Some(&file)).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout, count(text).report(), "{finished}");
}

#[test]
fn an_empty_input_is_counted() {
    check(b"");
}

#[test]
fn a_single_byte_without_a_line_end_is_counted() {
    check(b"x");
}

#[test]
fn bytes_that_are_no_text_are_counted_like_wc() {
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    check(&bytes);
}

#[test]
fn a_hundred_kilobytes_are_counted() {
    check(&random_text(&mut fastrand::Rng::with_seed(seed()), 100_000));
}

#[test]
fn ten_megabytes_are_counted() {
    check(&random_text(&mut fastrand::Rng::with_seed(seed()), 10_000_000));
}

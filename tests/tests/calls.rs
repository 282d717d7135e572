//! Every call that the samples do not need, on the real machine, as the program `calls` exercises it: undisturbed, and
//! with threads taken out, everything made anew, or what is derived forgotten. FLOB_SEED chooses the moments.
#![allow(missing_docs)]

use flob_tests::{World, seed};

/// Exercises of the program.
const EXERCISES: usize = 14;

fn check(options: &[&str], arguments: &[&str], succeed: usize) {
    let seed = seed().to_string();
    let disturb = if options.is_empty() { &[][..] } else { &["--seed", &seed] };
    let run = [&["run", "--headless", "--memory", "128"], options, disturb, &["calls"], arguments].concat();
    let finished = World::new().flob(&run);
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.matches(": ok\n").count(), succeed, "{finished}");
}

#[test]
fn all_exercises_of_the_calls_program_succeed() {
    check(&[], &[], EXERCISES);
}

#[test]
fn they_do_not_notice_that_threads_are_taken_out_and_put_back() {
    check(&["--torture", "small"], &[], EXERCISES);
}

/// While an end is parked, one thread names another that does not name it back.
#[test]
fn parked_ends_do_not_notice_that_threads_are_taken_out_and_put_back() {
    const TIMES: usize = 100;
    let only = ["--only", "parked client end", "--times", &TIMES.to_string()];
    check(&["--torture", "small"], &only, TIMES);
}

/// A program gets a state of its own thread while that is stepped, and sets it when it no longer is.
#[test]
fn a_state_that_was_got_while_the_thread_was_stepped_can_be_set_later() {
    const TIMES: usize = 12;
    let only = ["--only", "an older state", "--times", &TIMES.to_string()];
    check(&["--torture", "small"], &only, TIMES);
}

/// Memory that is mapped anew counts as written.
#[test]
fn they_do_not_notice_that_everything_is_destroyed_and_made_anew() {
    check(&["--torture", "large"], &["--without", "dirty pages"], EXERCISES - 1);
}

#[test]
fn they_do_not_notice_that_the_kernel_forgets() {
    check(&["--amnesia", "20"], &[], EXERCISES);
}

#[test]
fn they_do_not_notice_that_a_thread_is_taken_out_and_put_back_at_every_kernel_entry() {
    check(&["--torture", "entries"], &[], EXERCISES);
}

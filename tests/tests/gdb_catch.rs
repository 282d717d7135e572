//! `monitor catch` in Debian's gdb on a real session: threads stop before the kernel calls that were named, and go on as if
//! nobody had looked.
#![allow(missing_docs)]

use flob_tests::{
    World,
    debugged::{assert_has, wordcount},
};

#[test]
fn threads_stop_before_the_calls_that_were_named_and_before_no_others() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "monitor catch",
        "monitor catch condition_signal",
        "continue",
        "print $rax",
        "x/1i $pc",
        "continue",
        "print $rax",
        "stepi",
        "print $rax",
        "monitor catch off",
        "detach",
    ]);
    assert_has(&text, &["no calls are caught", "caught: condition_signal"]);
    assert_eq!(text.matches(" is about to call condition_signal").count(), 2, "{text}");
    assert_has(&text, &["=> 0x", "syscall", "detached]"]);
    // Behind the call its status has taken the place of its number.
    let number = u64::from(flob_abi::Call::ConditionSignal as u32);
    assert_has(&text, &[&format!("$1 = {number}"), &format!("$2 = {number}"), "$3 = 0"]);
    session.ends_well();
}

#[test]
fn a_name_that_no_call_has_is_answered_with_those_that_may_be_meant() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&["monitor catch signal", "monitor catch open", "detach"]);
    assert_has(&text, &["is one of these meant? condition_signal", "docs/kernel has them all"]);
    session.ends_well();
}

#[test]
fn every_call_is_caught_and_the_program_comes_to_the_right_end() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let mut commands = vec!["monitor catch all"];
    commands.extend(["continue"; 60]);
    commands.extend(["monitor checkpoint caught", "monitor show space:wordcount", "detach"]);
    let text = session.debug(&commands);
    assert_eq!(text.matches(" is about to call ").count(), 60, "{text}");
    assert_has(&text, &[" is about to call ipc", " is about to call mutex_lock", " saved; "]);
    let shown = session.guest.flob_ok(&["show", "space:wordcount", "--at", "caught"]);
    for told in [&text, &shown] {
        let flags = told.lines().find(|line| line.trim_start().starts_with("flags")).unwrap_or_default();
        let value = flags.split_whitespace().nth(1).unwrap_or("missing");
        assert_eq!(value, "none", "the reflection is the debugger's own business: {told}");
    }
    session.ends_well();
}

//! Debian's gdb against the server over a made-up guest.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use flob_link::{Event, Mark};
use flob_session::HubEvent;
use rustix::process::{Pid, Signal, kill_process};
use support::{FakeGuest, RUNNER, SECOND_RUNNER, Server, WAITER, symbol};

fn start() -> (FakeGuest, Server) {
    let guest = FakeGuest::new();
    let server = Server::start(&guest);
    (guest, server)
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "not found: {part}");
    }
}

#[test]
fn gdb_connects_without_a_file_name_and_has_symbols() {
    let (guest, server) = start();
    let text = server.run(&["info symbol $pc", "info line", "print counter", "x/2xb $pc", "detach"]);
    assert_has(&text, &["_start", "Line 4", "$1 = 7", "0x90\t0x90"]);
    assert!(guest.with(|machine| machine.holds.is_empty()), "detaching lets everything go");
}

#[test]
fn the_thread_list_names_every_thread_of_the_space_and_what_it_waits_for() {
    let (_, server) = start();
    let text = server.run(&["info threads"]);
    assert_has(&text, &["\"main\" (runs)", "\"thread-20\" (waits for +0x7000, held by main"]);
    assert_has(&text, &["\"thread-28\" ("]);
    assert!(!text.contains("thread-30"), "a thread of another space");
}

#[test]
fn registers_are_read_and_written() {
    let (guest, server) = start();
    guest.with(|machine| machine.thread(RUNNER).registers.fs_base = 0x1234_5678);
    let text = server.run(&[
        "print/x $fs_base",
        "print $eflags",
        "print $xmm0.uint128",
        "print $mxcsr",
        "print $flob_call",
        "set var $rbx = 0x42",
        "print/x $rbx",
        "info registers rip",
        "info all-registers",
    ]);
    assert_has(&text, &["$1 = 0x12345678", "$3 = 0", "$5 = -1", "$6 = 0x42", "st0", "xmm15", "gs_base"]);
    assert_eq!(guest.with(|machine| machine.thread(RUNNER).registers.rbx), 0x42);
}

#[test]
fn a_call_that_a_thread_waits_in_is_shown() {
    let (guest, server) = start();
    guest.with(|machine| machine.thread(WAITER).registers.rax = 0x76);
    let text = server.run(&["thread 2", "print/x $flob_call"]);
    assert_has(&text, &["$1 = 0x76"]);
}

#[test]
fn a_variable_is_written() {
    let (guest, server) = start();
    let text = server.run(&["set var counter = 99", "print counter"]);
    assert_has(&text, &["$1 = 99"]);
    let counter = symbol(&guest.with(|machine| machine.elf.clone()), "counter");
    assert_eq!(guest.with(|machine| machine.memory[&counter]), 99);
}

/// gdb said that there was no such memory, and of a register nothing but a number.
#[test]
fn gdb_shows_why_a_write_failed() {
    let (guest, server) = start();
    guest.with(|machine| machine.fails = Some("it said nothing: see '#a3f'\nthen".into()));
    let text = server.run(&["set var $rbx = 1", "set var counter = 1", "stepi"]);
    assert_has(&text, &["Could not write register \"rbx\"", "E.it said nothing: see 'a3f' then"]);
    assert_has(&text, &["flob: writing at 0x", ": it said nothing: see '#a3f'"]);
}

#[test]
fn monitor_says_first_what_gdb_has_not_been_told_yet() {
    let (guest, server) = start();
    guest.with(|machine| machine.fails = Some("it said nothing".into()));
    let text = server.run(&["set var counter = 1", "monitor help"]);
    assert_has(&text, &[": it said nothing\nmonitor"]);
}

#[test]
fn before_gdb_writes_the_state_is_kept_for_undo_once_a_stop() {
    let (guest, server) = start();
    server.run(&[
        "set var counter = 99",
        "set var counter = 100",
        "set var $rbx = 1",
        "monitor set main rcx=2",
        "set var counter = 101",
        "stepi",
        "set var counter = 102",
        "print counter",
    ]);
    let kept = guest.with(|machine| machine.kept.clone());
    assert_eq!(kept, ["what gdb wrote", "set main rcx=2", "what gdb wrote", "what gdb wrote"]);
}

#[test]
fn a_breakpoint_by_line_is_hit_again_and_again() {
    let (_, server) = start();
    let text = server.run(&["break 6", "continue", "print $pc", "continue", "info breakpoints", "bt 1"]);
    assert_has(&text, &["Breakpoint 1, _start", "breakpoint already hit 2 times"]);
}

#[test]
fn a_breakpoint_by_address_is_hit() {
    let (_, server) = start();
    let text = server.run(&["break *$pc+2", "continue", "print \"at\"", "print $pc"]);
    assert_has(&text, &["Breakpoint 1, ", "_start+6"]);
}

#[test]
fn stepping_goes_one_instruction_or_one_line_also_off_a_breakpoint() {
    let (guest, server) = start();
    let first = guest.with(|machine| machine.thread(RUNNER).registers.rip);
    let text = server.run(&[
        "break *$pc+1",
        "stepi",
        "print/x $pc",
        "stepi",
        "print/x $pc",
        "step",
        "print/x $pc",
        "next",
    ]);
    assert_has(&text, &[&format!("$1 = {:#x}", first + 1), &format!("$2 = {:#x}", first + 2)]);
    assert_has(&text, &[&format!("$3 = {:#x}", first + 3)]);
}

#[test]
fn two_threads_that_hit_breakpoints_together_are_both_told() {
    let (_, server) = start();
    let text = server.run(&["break 5", "break 12", "continue", "continue", "continue"]);
    assert_has(&text, &["Breakpoint 1, _start", "Breakpoint 2, second"]);
}

#[test]
fn with_scheduler_locking_the_others_stay_where_they_are() {
    let (guest, server) = start();
    let before = guest.with(|machine| machine.thread(SECOND_RUNNER).registers.rip);
    server.run(&["set scheduler-locking on", "break 6", "continue", "stepi"]);
    assert_eq!(guest.with(|machine| machine.thread(SECOND_RUNNER).registers.rip), before);
}

fn interrupt(gdb: &std::process::Child) {
    // `timeout` hands the signal on to gdb.
    kill_process(Pid::from_child(gdb), Signal::INT).unwrap();
}

#[test]
fn ctrl_c_stops_a_running_program() {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["continue", "print 41+1"]);
    runs.recv().unwrap();
    interrupt(&gdb);
    assert_has(&server.finish(gdb), &["received signal SIGINT", "$1 = 42"]);
}

#[test]
fn ctrl_c_ends_a_step_over_a_call_that_blocks() {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["set scheduler-locking on", "thread 2", "stepi", "print 41+1"]);
    runs.recv().unwrap();
    interrupt(&gdb);
    assert_has(&server.finish(gdb), &["received signal SIGINT", "$1 = 42"]);
}

#[test]
fn a_step_over_a_call_that_blocks_lets_the_others_run_after_a_moment() {
    let (guest, server) = start();
    let second = symbol(&guest.with(|machine| machine.elf.clone()), "second");
    let gdb = server.gdb(&["thread 2", &format!("break *{:#x}+5", second), "stepi", "print 41+1"]);
    assert_has(&server.finish(gdb), &["Breakpoint 1, ", "second ()", "$1 = 42"]);
}

#[test]
fn gdb_can_detach_and_attach_again() {
    let (guest, server) = start();
    server.run(&["break 6", "continue", "detach"]);
    assert!(guest.with(|machine| machine.breakpoints.is_empty() && machine.holds.is_empty()));
    let text = server.run(&["info threads", "kill"]);
    assert_has(&text, &["\"main\" ("]);
    assert!(guest.with(|machine| machine.holds.is_empty()), "kill means detach");
}

#[test]
fn a_killed_gdb_leaves_nothing_behind() {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let mut gdb = server.gdb(&["break 6", "continue", "shell kill -KILL $PPID"]);
    gdb.wait().unwrap();
    // The second release is the server's, when it notices.
    runs.recv().unwrap();
    while !guest.with(|machine| machine.holds.is_empty()) {
        runs.recv().unwrap();
    }
    assert!(guest.with(|machine| machine.breakpoints.is_empty()));
}

#[test]
fn the_end_of_the_program_is_told_with_its_code() {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["continue"]);
    runs.recv().unwrap();
    guest.emit(HubEvent::Guest(Event::Exited { code: 3 }));
    assert_has(&server.finish(gdb), &["exited with code 03"]);
}

#[test]
fn a_death_by_an_exception_is_a_signal() {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["continue", "info threads", "detach"]);
    runs.recv().unwrap();
    guest.emit(HubEvent::Guest(Event::Died { thread: SECOND_RUNNER, code: 1, detail: 0, address: 0x10 }));
    assert_has(&server.finish(gdb), &["SIGSEGV", "page fault", "second ()"]);
}

#[test]
fn an_edit_by_somebody_else_is_shown_before_the_program_goes_on() {
    let (guest, server) = start();
    let (ready, go) = (support::unique("ready"), support::unique("go"));
    let fifo = |path| Command::new("mkfifo").arg(path).status().unwrap();
    fifo(&ready);
    fifo(&go);
    let meet = format!("shell echo > {}; cat {}", ready.display(), go.display());
    let first = guest.with(|machine| machine.thread(RUNNER).registers.rip);
    let gdb = server.gdb(&["break 8", "continue", &meet, "continue", "print/x $pc"]);
    std::fs::read(&ready).unwrap();
    guest.with(|machine| machine.thread(RUNNER).registers.rip = first);
    guest.emit(HubEvent::Changed);
    std::fs::write(&go, "").unwrap();
    assert_has(&server.finish(gdb), &["the state was changed meanwhile", &format!("$1 = {first:#x}")]);
}

#[test]
fn a_change_that_is_none_of_gdbs_does_not_stop_it() {
    let (guest, server) = start();
    guest.emit(HubEvent::Changed);
    let text = server.run(&["break 6", "continue", "continue"]);
    assert!(!text.contains("changed meanwhile"));
}

/// What gdb says when this happens while the program runs.
fn told_while_it_runs(event: Event) -> String {
    let (guest, server) = start();
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["continue", "info threads"]);
    runs.recv().unwrap();
    guest.emit(HubEvent::Guest(event));
    server.finish(gdb)
}

#[test]
fn a_restore_while_the_program_runs_stops_gdb_at_the_new_state() {
    assert_has(
        &told_while_it_runs(Event::Restored(Mark::default())),
        &["a checkpoint was restored", "thread-20"],
    );
}

#[test]
fn a_restart_by_somebody_else_is_told_as_one() {
    let text = told_while_it_runs(Event::Restarted(Mark::default()));
    assert_has(&text, &["the program was restarted: stopped at the new state", "thread-20"]);
    assert!(!text.contains("restored"), "{text}");
}

#[test]
fn who_else_holds_the_program_is_said_on_the_console() {
    let (guest, server) = start();
    guest.with(|machine| machine.user_holds = true);
    let runs = guest.watch_runs();
    let gdb = server.gdb(&["continue"]);
    runs.recv().unwrap();
    interrupt(&gdb);
    assert_has(&server.finish(gdb), &["still held by the user", "SIGINT"]);
}

#[test]
fn monitor_lists_shows_and_explains() {
    let (_, server) = start();
    let text = server.run(&[
        "monitor help",
        "monitor flobs mutex",
        "monitor show 0x7000",
        "monitor why",
        "monitor x",
    ]);
    assert_has(&text, &["monitor why", "mutex:made-up/+0x7000 #38", "waits for +0x7000"]);
    assert_has(&text, &["there is no monitor command \"x\""]);
}

#[test]
fn info_os_lists_the_spaces() {
    let (_, server) = start();
    let text = server.run(&["info os processes", "info os threads"]);
    assert_has(&text, &["made-up (this one)", "space:made-up", "space:space-9", "thread:space-9/+0x6000"]);
}

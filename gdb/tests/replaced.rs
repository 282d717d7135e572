//! Another environment takes the place of the present one while the word on a stop or an end of that one is on its way: a debugger is told
//! of neither as one of the new environment, and waits for none.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the tests that start gdb")]
mod support;

use std::{io::Write, sync::mpsc::Receiver, time::Duration};

use client::Client;
use flob_gdb::packet::{frame, hex};
use flob_link::{Event, Mark, StopReason};
use flob_session::HubEvent;
use support::{FakeGuest, RUNNER, SECOND_RUNNER, Server};

/// Longer than any of it takes.
const STUCK: Duration = Duration::from_secs(30);

/// A debugger with a breakpoint where the first thread stands, now and in what is restored.
struct Met {
    guest: FakeGuest,
    client: Client,
    runs: Receiver<()>,
    _server: Server,
}

impl Met {
    fn new() -> Self {
        let guest = FakeGuest::new();
        let server = Server::start(&guest);
        let mut client = Client::connect(&server);
        client.ask(b"qSupported:multiprocess+");
        assert_eq!(client.ask(b"!"), "OK");
        let runs = guest.watch_runs();
        let mut met = Self { guest, client, runs, _server: server };
        met.set_breakpoint();
        met
    }

    fn set_breakpoint(&mut self) {
        let address = self.guest.with(|machine| machine.thread(RUNNER).registers.rip);
        assert_eq!(self.client.ask(format!("Z0,{address:x},1").as_bytes()), "OK");
    }

    /// The first thread stops at the breakpoint, in the environment that is about to be replaced.
    fn stop(&self) -> Event {
        self.guest.with(|machine| machine.stop(RUNNER, StopReason::Breakpoint))
    }

    fn happens(&self, event: Event) {
        self.guest.emit(HubEvent::Guest(event));
    }

    /// The debugger restores, and this is told on the way.
    fn restore(&mut self, late: Event) {
        self.guest.with(|machine| machine.late.push(late));
        let asked = self.client.ask(format!("qRcmd,{}", hex(b"restore there")).as_bytes());
        assert_ne!(asked, "", "it is a command");
    }

    /// The debugger begins the program anew, and this is told on the way.
    fn run(&mut self, late: Event) {
        self.guest.with(|machine| machine.late.push(late));
        assert!(self.client.ask(b"vRun;").starts_with("T05"));
        self.set_breakpoint();
    }

    /// Lets the space go. Nobody lets its threads run.
    fn go_on(&mut self) {
        self.guest.with(|machine| machine.user_holds = true);
        // Earlier ones do not count.
        while self.runs.try_recv().is_ok() {}
        self.client.stream.write_all(&frame(b"vCont;c")).unwrap();
        self.runs.recv_timeout(STUCK).expect("it is let go");
    }

    /// The next stop is that of the other thread, which happens now.
    #[track_caller]
    fn assert_hears_of_the_next_stop(&mut self) {
        let event = self.guest.with(|machine| machine.stop(SECOND_RUNNER, StopReason::Breakpoint));
        self.happens(event);
        let told = self.client.packet();
        assert!(told.starts_with("T05") && told.contains("thread:p01.03;"), "{told}");
    }

    /// It is told that the state is another one before it goes on.
    #[track_caller]
    fn assert_sees_the_new_state(&mut self) {
        let told = self.client.ask(b"vCont;c");
        assert!(told.starts_with("T11"), "{told}");
    }
}

#[test]
fn a_stop_of_before_is_not_told_after_a_restore() {
    let mut met = Met::new();
    let stop = met.stop();
    met.restore(stop);
    met.assert_sees_the_new_state();
    met.go_on();
    met.happens(Event::Restored(Mark::default()));
    met.assert_hears_of_the_next_stop();
}

/// It was told of the new state a second time.
#[test]
fn the_word_that_what_was_restored_begins_may_come_late() {
    let mut met = Met::new();
    met.restore(Event::StandsStill);
    met.assert_sees_the_new_state();
    met.go_on();
    met.happens(Event::Restored(Mark::default()));
    met.assert_hears_of_the_next_stop();
}

/// The program was taken for ended.
#[test]
fn an_end_of_before_is_not_that_of_what_was_restored() {
    let mut met = Met::new();
    met.restore(Event::Exited { code: 3 });
    met.assert_sees_the_new_state();
    met.happens(Event::Restored(Mark::default()));
    met.go_on();
    met.assert_hears_of_the_next_stop();
}

#[test]
fn a_stop_or_an_end_of_before_is_not_that_of_a_program_that_was_begun_anew() {
    for is_end in [false, true] {
        let mut met = Met::new();
        let late = if is_end { Event::Exited { code: 3 } } else { met.stop() };
        met.run(late);
        met.go_on();
        met.happens(Event::Restarted(Mark::default()));
        met.assert_hears_of_the_next_stop();
    }
}

#[test]
fn a_stop_that_comes_before_somebody_elses_restore_is_not_told_behind_it() {
    let mut met = Met::new();
    let stop = met.stop();
    met.happens(stop);
    met.happens(Event::Restored(Mark::default()));
    met.assert_sees_the_new_state();
    met.go_on();
    met.assert_hears_of_the_next_stop();
}

/// It stands at what is gone by then, and is not left waiting there.
#[test]
fn who_is_told_of_a_stop_just_before_somebody_elses_restore_goes_on_in_the_new_state() {
    let mut met = Met::new();
    met.go_on();
    let stop = met.stop();
    met.happens(stop);
    assert!(met.client.packet().contains("thread:p01.01;"));
    met.happens(Event::Restored(Mark::default()));
    met.assert_sees_the_new_state();
    met.go_on();
    met.assert_hears_of_the_next_stop();
}

/// It never says so.
#[test]
fn another_guest_does_not_say_that_what_was_restored_begins() {
    let mut met = Met::new();
    let stop = met.stop();
    met.restore(stop);
    met.guest.emit(HubEvent::AnotherGuest);
    met.assert_sees_the_new_state();
    met.go_on();
    met.assert_hears_of_the_next_stop();
}

//! Who is held when the guest's word and the hub's cross on the line: in the guest as in the books.

mod given_up;
mod guest;
mod replaced;
mod supply;

use std::{
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use flob_link::{Access, Event, Hit, Memory, Scope, StopReason, Watch, host::Timing};
use tempfile::TempDir;

use super::{Config, GuestPlan, Session, Standard};
use crate::{Claim, Client, HubEvent, HubReply, HubRequest, LongRequest, Owner, serial};
use flob_image::store::Store;
use guest::{ADDRESS, Guest, MEMORY, SPACE, STUCK, THREAD};

/// A session with the simulated guest, and a client of it.
struct Met {
    guest: Guest,
    client: Client,
    session: Session,
    folder: TempDir,
}

/// Waits until this is told.
fn wait_for(events: &Receiver<HubEvent>, is_it: impl Fn(HubEvent) -> bool) {
    let end = Instant::now() + STUCK;
    let next = || events.recv_timeout(end.saturating_duration_since(Instant::now()));
    while !is_it(next().expect("it is told in time")) {}
}

fn gdb() -> Owner {
    Owner::Client("gdb-1".into())
}

impl Met {
    fn new() -> Self {
        Self::with(Timing::default())
    }

    /// The link gives up soon: not before a guest that is not silent has been heard.
    fn impatient() -> Self {
        let second = Duration::from_secs(1);
        Self::with(Timing { quiet: second / 8, lost: second / 2, give_up: second, ..Timing::default() })
    }

    fn with(timing: Timing) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (line, path) = (folder.path().join("line"), |name: &str| folder.path().join(name));
        let guest = Guest::start(serial::plug_in(&line));
        let socket = path("one.session");
        let claim = Claim::at(&socket, "one").expect("nobody has it");
        let listener = claim.listen().expect("it listens");
        let config = Config {
            claim,
            program: String::new(),
            arguments: Vec::new(),
            elf: None,
            guest: GuestPlan::Remote {
                port: serial::Port { path: line, speed: serial::SPEED },
                known: Vec::new(),
            },
            paused: false,
            restore: None,
            force: false,
            lazy: false,
            store: Store::open(&path("store")).expect("a store"),
            standard: Standard { input: false, output: false },
            timing,
            gdb_socket: None,
            gdb_port: None,
        };
        let session = Session::begin(config, socket, folder.path().to_owned(), listener).expect("it begins");
        let client = session.door().client().expect("a client");
        Self { guest, client, session, folder }
    }

    fn ask(&self, request: HubRequest) -> HubReply {
        self.client.request(request).expect("done")
    }

    /// gdb has a breakpoint where the thread stops.
    fn set_breakpoint(&self) {
        self.ask(HubRequest::SetBreakpoint { owner: gdb(), space: SPACE, address: ADDRESS });
    }

    /// `pause` and `resume` of the user, while something is on its way.
    fn pause_and_resume(&self) {
        self.ask(HubRequest::Hold { owner: Owner::User, scope: Scope::Environment });
        self.release(Owner::User, Scope::Environment, false);
    }

    fn release(&self, owner: Owner, scope: Scope, force: bool) {
        self.ask(HubRequest::Release { owner, scope, force });
    }

    /// What is on its way arrives, and is told to clients.
    fn wait_until_told(&self) {
        self.wait_for(|event| matches!(event, HubEvent::Guest(Event::Stopped { thread: THREAD, .. })));
    }

    /// What is on its way arrives, and clients are told of none of it.
    fn wait_until_known(&self) {
        self.guest.writes();
        self.wait_for(|event| matches!(event, HubEvent::Guest(Event::Output { .. })));
    }

    fn wait_for(&self, is_it: impl Fn(HubEvent) -> bool) {
        let events = self.client.subscribe().expect("subscribed");
        self.guest.tell();
        wait_for(&events, is_it);
    }

    fn another_client(&self) -> Client {
        self.session.door().client().expect("a client")
    }

    fn holders(&self) -> Vec<Owner> {
        self.client.info().expect("it answers").holders
    }
}

#[test]
fn a_resume_lets_nobody_go_whose_stop_is_on_its_way() {
    let met = Met::new();
    met.set_breakpoint();
    met.guest.stops(StopReason::Breakpoint);
    met.pause_and_resume();
    assert!(met.guest.is_held(), "gdb's stop was lost");
    met.wait_until_told();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
    met.release(gdb(), Scope::Thread(THREAD), false);
    assert_eq!((met.holders(), met.guest.is_held()), (vec![], false));
}

#[test]
fn who_lets_a_space_go_until_it_stops_holds_it_for_a_stop_that_is_on_its_way() {
    let met = Met::new();
    met.set_breakpoint();
    met.guest.stops(StopReason::Breakpoint);
    met.ask(HubRequest::Continue { owner: gdb(), space: SPACE });
    assert!(met.guest.is_held(), "gdb's stop was lost");
    met.wait_until_told();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
    met.ask(HubRequest::Continue { owner: gdb(), space: SPACE });
    assert_eq!((met.holders(), met.guest.is_held()), (vec![], false));
}

#[test]
fn a_stop_for_nobody_that_crosses_a_resume_lets_the_thread_go() {
    let met = Met::new();
    met.guest.stops(StopReason::Breakpoint);
    met.pause_and_resume();
    met.guest.tell();
    met.guest.wait_until_it_runs();
    assert_eq!(met.holders(), []);
}

#[test]
fn who_stands_at_what_is_not_told_yet_is_not_stepped() {
    let met = Met::new();
    met.set_breakpoint();
    met.guest.stops(StopReason::Breakpoint);
    let step = HubRequest::Step { owner: gdb(), thread: THREAD, within: None };
    met.client.request(step.clone()).expect_err("it is not known to stand");
    assert_eq!(met.holders(), [], "what was refused holds nobody");
    met.wait_until_told();
    met.ask(step);
    assert!(!met.guest.is_held());
}

/// It stands where it is as long as somebody else holds it, and then goes with the rest.
#[test]
fn a_stop_for_nobody_of_who_is_held_lets_nobody_go() {
    let met = Met::new();
    met.guest.stops(StopReason::Breakpoint);
    met.ask(HubRequest::Hold { owner: Owner::User, scope: Scope::Environment });
    met.wait_until_known();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![Owner::User], true));
    met.release(Owner::User, Scope::Environment, false);
    assert_eq!((met.holders(), met.guest.is_held()), (vec![], false));
}

/// The thread stayed held in the guest, and nobody held it.
#[test]
fn a_step_whose_owner_has_gone_ends_with_nobody_held() {
    let met = Met::new();
    let theirs = met.another_client();
    theirs.request(HubRequest::Hold { owner: gdb(), scope: Scope::Environment }).expect("held");
    theirs.request(HubRequest::Step { owner: gdb(), thread: THREAD, within: None }).expect("it steps");
    drop(theirs);
    while !met.holders().is_empty() {
        std::thread::yield_now();
    }
    met.guest.stops(StopReason::Step);
    met.guest.tell();
    met.guest.wait_until_it_runs();
    assert_eq!(met.holders(), []);
}

/// The same.
#[test]
fn a_step_whose_owner_was_made_to_let_go_ends_with_nobody_held() {
    let met = Met::new();
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    met.ask(HubRequest::Step { owner: gdb(), thread: THREAD, within: None });
    met.release(Owner::User, Scope::Environment, true);
    met.guest.stops(StopReason::Step);
    met.wait_until_told();
    met.guest.wait_until_it_runs();
    assert_eq!(met.holders(), []);
}

/// The guest was started anew before it had said that the program begins anew: it never says so.
#[test]
fn another_guest_is_asked_for_nothing_that_the_one_before_has_not_said() {
    let met = Met::new();
    met.ask(LongRequest::Restart { arguments: None }.into());
    let events = met.client.subscribe().expect("subscribed");
    met.guest.starts_anew();
    wait_for(&events, |event| matches!(event, HubEvent::AnotherGuest));
    met.set_breakpoint();
    met.guest.stops(StopReason::Breakpoint);
    met.wait_until_told();
    assert!(met.holders().contains(&gdb()) && met.guest.is_held());
}

/// It waited for ever.
#[test]
fn who_steps_over_what_is_not_watched_any_more_is_told_of_the_step() {
    let met = Met::new();
    let watch = Watch { space: SPACE, address: 0x1000, bytes: 8, access: Access::Write };
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    met.ask(HubRequest::SetWatch { owner: gdb(), watch });
    met.ask(HubRequest::Step { owner: gdb(), thread: THREAD, within: None });
    let hit = Hit { address: 0x1000, access: Access::Write };
    met.guest.stops(StopReason::watched(vec![hit]).expect("one"));
    met.ask(HubRequest::ClearWatch { owner: gdb(), watch });
    met.wait_for(|event| matches!(event, HubEvent::Guest(Event::Stopped { reason: StopReason::Step, .. })));
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
}

/// The one that was told second heard nothing of it.
#[test]
fn of_two_who_watch_what_one_instruction_touches_both_are_told() {
    let met = Met::new();
    let other = Owner::Client("gdb-2".into());
    let watch = |address| Watch { space: SPACE, address, bytes: 8, access: Access::Write };
    met.ask(HubRequest::SetWatch { owner: gdb(), watch: watch(0x1000) });
    met.ask(HubRequest::SetWatch { owner: other.clone(), watch: watch(0x2000) });
    let hits = [0x1000, 0x2000].map(|address| Hit { address, access: Access::Write });
    met.guest.stops(StopReason::watched(hits.to_vec()).expect("two"));
    met.wait_until_told();
    assert_eq!(met.holders(), [gdb(), other]);
}

/// The error was that of a write of which nothing was done.
#[test]
fn who_writes_beyond_the_end_of_memory_is_told_how_much_was_written() {
    let met = Met::new();
    let write = |address, bytes| {
        let request = HubRequest::Write { memory: Memory::Environment, address, bytes: vec![1; bytes] };
        met.client.request(request).expect_err("there is no memory").to_string()
    };
    let error = write(MEMORY - 4100, 4104);
    assert_eq!(
        error,
        "4100 bytes were written from 0xfeffc on, then at 0x100000: there is no memory at this address"
    );
    assert_eq!(write(MEMORY, 4), "there is no memory at this address");
}

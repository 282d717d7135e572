//! Another environment takes the place of the present one while the guest's word on that one is still on its way.

use flob_image::{Environment, Stream, store::Details};

use super::*;
use guest::environment;

/// How the environment is replaced.
#[derive(Clone, Copy, Debug)]
enum By {
    Restart,
    Restore,
    LazyRestore,
    Undo,
}

impl By {
    const ALL: [Self; 4] = [Self::Restart, Self::Restore, Self::LazyRestore, Self::Undo];
}

impl Met {
    /// A checkpoint of the environment that the guest has, with some memory.
    pub fn checkpoint(&self) -> String {
        self.checkpoint_of(&environment())
    }

    fn checkpoint_of(&self, environment: &Environment) -> String {
        let mut builder = self.session.hub.store.begin(None).expect("the store can be written");
        builder.add_page(1, &[7; 4096]).expect("it is written");
        builder.finish(environment, Details::default()).expect("it is written")
    }

    fn replace(&self, by: By) {
        let restore = |lazy| LongRequest::Restore { id: self.checkpoint(), force: true, lazy };
        self.ask(match by {
            By::Restart => LongRequest::Restart { arguments: None }.into(),
            By::Restore => restore(false).into(),
            By::LazyRestore => restore(true).into(),
            By::Undo => {
                // Where it would have been saved before an edit.
                super::super::lock(&self.session.hub.undo).push(self.checkpoint());
                LongRequest::Undo.into()
            }
        });
    }
}

/// It was entered as a stop of the thread that is at the same place now.
#[test]
fn a_stop_that_is_on_its_way_is_of_the_environment_before() {
    for by in By::ALL {
        let met = Met::new();
        met.set_breakpoint();
        met.guest.stops(StopReason::Breakpoint);
        met.replace(by);
        met.wait_until_known();
        assert_eq!((met.holders(), met.guest.is_held()), (vec![Owner::User], true), "{by:?}");
        met.release(Owner::User, Scope::Environment, false);
        assert_eq!((met.holders(), met.guest.is_held()), (vec![], false), "{by:?}");
        met.guest.stops(StopReason::Breakpoint);
        met.wait_until_told();
        assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true), "{by:?}");
    }
}

/// Of two in a row the word on the first is not that on the second.
#[test]
fn a_stop_between_two_environments_is_of_neither() {
    for by in By::ALL {
        let met = Met::new();
        met.set_breakpoint();
        met.replace(by);
        met.release(Owner::User, Scope::Environment, false);
        met.guest.stops(StopReason::Breakpoint);
        met.replace(by);
        met.wait_until_known();
        assert_eq!((met.holders(), met.guest.is_held()), (vec![Owner::User], true), "{by:?}");
    }
}

/// Who waits for its next stop hears of the new environment, and waits for no stop of that.
#[test]
fn who_lets_a_space_go_until_it_stops_holds_nothing_of_the_next_environment() {
    for by in By::ALL {
        let met = Met::new();
        met.set_breakpoint();
        met.ask(HubRequest::Continue { owner: gdb(), space: SPACE });
        met.guest.stops(StopReason::Breakpoint);
        met.replace(by);
        met.wait_for(|event| matches!(event, HubEvent::Guest(Event::Restored(_) | Event::Restarted(_))));
        assert_eq!((met.holders(), met.guest.is_held()), (vec![Owner::User], true), "{by:?}");
    }
}

#[test]
fn an_end_that_is_on_its_way_is_not_that_of_the_next_environment() {
    for by in By::ALL {
        let met = Met::new();
        met.guest.exits();
        met.replace(by);
        met.wait_until_known();
        assert_eq!(met.client.info().expect("it answers").progress.exit, None, "{by:?}");
        assert!(met.session.endings.try_recv().is_err(), "{by:?}");
    }
}

/// A debugger that asked between the restart and the word on it went on with a program that had ended.
#[test]
fn what_had_ended_has_not_when_it_was_replaced() {
    for by in By::ALL {
        let met = Met::new();
        met.guest.exits();
        met.wait_for(|event| matches!(event, HubEvent::Guest(Event::Exited { .. })));
        met.replace(by);
        assert_eq!(met.client.info().expect("it answers").progress.exit, None, "{by:?}");
    }
}

/// Its hold was taken for one of the environment before.
#[test]
fn who_holds_the_next_environment_as_soon_as_he_hears_of_it_does() {
    let met = Met::new();
    met.guest.hides();
    let restart = LongRequest::Restart { arguments: None };
    let restarting = met.client.start(restart).expect("asked");
    met.guest.wait_until_looked_at();
    let hold = HubRequest::Hold { owner: gdb(), scope: Scope::Space(SPACE) };
    let theirs = met.another_client();
    let holding = theirs.start(hold).expect("asked");
    met.guest.wait_for_stops(1);
    met.guest.shows();
    restarting.wait().expect("done");
    holding.wait().expect("held");
    assert_eq!(met.holders(), [Owner::User, gdb()]);
    met.release(Owner::User, Scope::Environment, false);
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
}

/// Its threads were taken for those of the next one.
#[test]
fn what_was_looked_at_before_says_nothing_of_the_threads_of_the_next_environment() {
    let met = Met::new();
    met.guest.hides();
    let looking = met.client.start(HubRequest::Look { vectors: false }).expect("asked");
    met.guest.wait_until_looked_at();
    met.replace(By::Restore);
    met.guest.shows();
    looking.wait().expect("looked");
    assert_eq!(super::super::lock(&met.session.hub.books).seen, []);
}

/// Whoever waited for all of the output waited for what had come long before.
#[test]
fn output_that_is_on_its_way_is_none_of_the_next_environment() {
    let met = Met::new();
    let said = Stream { name: "stdout".into(), position: 10, hash: 0 };
    let environment = Environment { streams: vec![said], ..environment() };
    let id = met.checkpoint_of(&environment);
    met.guest.writes();
    met.ask(LongRequest::Restore { id, force: true, lazy: false }.into());
    met.wait_for(|event| matches!(event, HubEvent::Guest(Event::Restored(_))));
    assert!(met.session.hub.output.wait_for(&environment.streams), "it has come");
}

/// It was told as an error, its checkpoint as that of the program before, and breakpoints were not put in again.
#[test]
fn a_restart_behind_which_the_guest_falls_silent_has_happened() {
    let met = Met::impatient();
    met.set_breakpoint();
    met.replace(By::Restore);
    met.wait_until_known();
    met.guest.wait_for_breakpoints(2);
    met.guest.sleeps_when_looked_at();
    met.ask(LongRequest::Restart { arguments: Some(vec!["anew".into()]) }.into());
    let info = met.client.info().expect("it answers");
    assert_eq!((info.checkpoint, info.restored, info.arguments), (None, false, vec!["anew".to_owned()]));
    assert_eq!(met.holders(), [Owner::User]);
    met.guest.wakes();
    met.guest.wait_for_breakpoints(3);
}

/// What was found of the one before was told of the next: that it is of no checkpoint, say, and what input it has read.
#[test]
fn what_is_found_out_too_late_says_nothing_of_the_next_environment() {
    let met = Met::new();
    let id = met.checkpoint();
    met.guest.restores();
    met.guest.hides();
    met.guest.tell();
    met.guest.wait_until_looked_at();
    met.ask(LongRequest::Restore { id: id.clone(), force: true, lazy: false }.into());
    met.guest.shows();
    met.wait_until_known();
    let info = met.client.info().expect("it answers");
    assert_eq!((info.checkpoint, info.restored), (Some(id), true));
}

/// It was given zeroes in the place of what was read before the session began.
#[test]
fn a_program_that_begins_anew_unasked_reads_no_input_that_nobody_has() {
    let met = Met::new();
    let events = met.client.subscribe().expect("subscribed");
    met.guest.starts_anew_behind(10);
    wait_for(&events, |event| matches!(event, HubEvent::AnotherGuest));
    assert!(!met.session.hub.input.so_far().has_beginning());
    met.guest.begins_anew();
    met.wait_until_known();
    assert!(met.session.hub.input.so_far().has_beginning());
}

/// Its books were still those of the guest before, and nobody looked again.
#[test]
fn a_guest_that_falls_silent_when_it_is_met_is_found_out_when_it_answers_again() {
    let met = Met::impatient();
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    let events = met.client.subscribe().expect("subscribed");
    met.guest.starts_anew_behind(10);
    met.guest.sleeps_when_looked_at();
    wait_for(&events, |event| matches!(event, HubEvent::AnotherGuest));
    assert_eq!((met.holders(), met.guest.is_held()), (vec![], false));
    assert!(met.session.hub.input.so_far().has_beginning(), "nobody has looked");
    met.guest.wakes();
    wait_for(&events, |_| !met.session.hub.input.so_far().has_beginning());
}

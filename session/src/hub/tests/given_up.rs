//! The guest has said nothing for long, somebody was told so, and then it did what it had been asked for.

use flob_link::host::Notice;

use super::*;

impl Met {
    /// It answers again, and all that came of what it was asked was told.
    fn answers_again(&self) {
        self.session.hub.look_after(Notice::GivenUp);
    }
}

/// It stayed held, and nobody held it.
#[test]
fn who_was_held_after_all_goes_on() {
    let met = Met::new();
    met.guest.holds(true);
    met.answers_again();
    met.guest.wait_until_it_runs();
    assert_eq!(met.holders(), []);
}

/// It ran, and was told as held.
#[test]
fn who_was_let_go_after_all_is_held_for_whom_it_was() {
    let met = Met::new();
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    met.guest.holds(false);
    met.answers_again();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
}

#[test]
fn a_stop_is_not_lost_by_that() {
    let met = Met::new();
    met.set_breakpoint();
    met.guest.stops(StopReason::Breakpoint);
    met.answers_again();
    assert!(met.guest.is_held(), "gdb's stop was lost");
    met.wait_until_told();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![gdb()], true));
}

/// It stood still for good, and the session took it for the program before.
#[test]
fn what_was_restored_after_all_is_held_by_the_user() {
    let met = Met::new();
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    met.guest.restores();
    met.wait_for(|event| matches!(event, HubEvent::Guest(Event::Restored(_))));
    met.answers_again();
    assert_eq!((met.holders(), met.guest.is_held()), (vec![Owner::User], true));
    met.release(Owner::User, Scope::Environment, false);
    assert_eq!((met.holders(), met.guest.is_held()), (vec![], false));
}

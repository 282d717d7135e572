//! The coach of the demo: each line is followed to the letter, and the next one comes.

use std::time::Duration;

use super::world::{Desk, environment, snapshot};
use crate::tui::{
    coach::Coach,
    message::{Job, Message, Outcome},
};

fn coached(desk: &Desk) -> String {
    desk.screen().lines().rev().nth(2).unwrap_or_default().to_owned()
}

fn finish(desk: &mut Desk, job: Job, outcome: Outcome) {
    desk.tell(Message::Finished { job, result: Ok(outcome) });
}

#[test]
fn whoever_does_what_the_coach_says_gets_from_the_deadlock_to_the_end() {
    let mut desk = Desk::new(100, 24);
    desk.state.coach = Some(Coach::default());
    desk.look(environment(false));
    assert!(coached(&desk).contains("reach for their forks"), "{}", desk.screen());
    desk.look(environment(true));
    assert!(coached(&desk).contains("Press 4"), "{}", desk.screen());
    desk.keys("4");
    assert!(coached(&desk).contains("Press c"), "{}", desk.screen());
    desk.keys("c");
    assert!(coached(&desk).contains("Press c"), "it is not saved yet: {}", desk.screen());
    let save = Job::Save { name: None, then_stop: false };
    finish(&mut desk, save, Outcome::Checkpoint("5ca1ab1e".into()));
    assert!(coached(&desk).contains(":show FORKS[0]"), "{}", desk.screen());
    desk.keys(":show FORKS[0]<Enter>");
    assert!(coached(&desk).contains("Set it free"), "{}", desk.screen());
    desk.keys("<End>e^ufalse<Enter>");
    assert!(coached(&desk).contains("Press a"), "{}", desk.screen());
    desk.keys("a<Enter>");
    finish(
        &mut desk,
        Job::Apply { what: String::new(), changes: Vec::new(), pokes: Vec::new() },
        Outcome::Done,
    );
    assert!(coached(&desk).contains("Press 6"), "{}", desk.screen());
    desk.keys("6");
    assert!(coached(&desk).contains("press 5"), "{}", desk.screen());
    desk.keys("5R<Enter>");
    let restore = Job::Restore { id: "5ca1ab1e".into(), force: false };
    finish(&mut desk, restore, Outcome::Checkpoint("5ca1ab1e".into()));
    assert!(coached(&desk).contains("That was the demo"), "{}", desk.screen());
}

#[test]
fn what_is_done_before_it_is_asked_for_is_not_asked_for() {
    let mut desk = Desk::new(80, 24);
    desk.keys("4");
    desk.state.coach = Some(Coach::default());
    desk.tell(Message::Looked { snapshot: snapshot(environment(true), None), took: Duration::ZERO });
    assert!(coached(&desk).contains("Press c"), "{}", desk.screen());
}

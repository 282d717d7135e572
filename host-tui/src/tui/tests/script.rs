//! Scripts of commands: each line waits for the one before, questions are answered, troubles end it.

use std::time::Duration;

use flob_link::Scope;

use super::world::{Desk, environment, fork, snapshot};
use crate::tui::{
    message::{Ask, Job, Message, Outcome},
    script::Script,
    state::Leave,
};

fn desk(script: &str) -> Desk {
    let mut desk = Desk::new(80, 24);
    desk.state.script = Some(Script::new(script));
    desk.done();
    desk
}

fn look(desk: &mut Desk) {
    desk.tell(Message::Looked { snapshot: snapshot(environment(true), None), took: Duration::ZERO });
}

fn jobs(desk: &mut Desk) -> Vec<Job> {
    let job = |ask| match ask {
        Ask::Do(job) => Some(job),
        _ => None,
    };
    desk.done().into_iter().filter_map(job).collect()
}

fn finish(desk: &mut Desk, job: Job, result: Result<Outcome, String>) {
    desk.tell(Message::Finished { job, result });
}

#[test]
fn each_line_waits_until_the_one_before_is_done_and_seen() {
    let mut desk = desk("# hold it\npause\n\ncheckpoint save one\ncheckpoint restore 5ca1ab1e\nquit\n");
    look(&mut desk);
    let pause = Job::Pause(Scope::Environment);
    assert_eq!(jobs(&mut desk), *std::slice::from_ref(&pause));
    look(&mut desk);
    assert_eq!(jobs(&mut desk), [], "it is not paused yet");
    finish(&mut desk, pause, Ok(Outcome::Held(Vec::new())));
    assert_eq!(jobs(&mut desk), [], "nobody has looked yet");
    look(&mut desk);
    let save = Job::Save { name: Some("one".into()), then_stop: false };
    assert_eq!(jobs(&mut desk), *std::slice::from_ref(&save));
    finish(&mut desk, save, Ok(Outcome::Checkpoint("cafe0001".into())));
    look(&mut desk);
    let restore = Job::Restore { id: "5ca1ab1e".into(), force: false };
    assert_eq!(jobs(&mut desk), *std::slice::from_ref(&restore), "the question is answered");
    finish(&mut desk, restore, Ok(Outcome::Checkpoint("5ca1ab1e".into())));
    assert_eq!(desk.state.leave, None);
    look(&mut desk);
    assert_eq!(desk.state.leave, Some(Leave::Running));
}

#[test]
fn edits_are_applied_and_the_first_trouble_ends_it() {
    let mut desk = desk("set FORKS[2] locked=false\nshow FORKS[9]\nstop\npause");
    look(&mut desk);
    let done = jobs(&mut desk);
    let [apply @ Job::Apply { changes, .. }] = &done[..] else { panic!("{done:?}") };
    assert_eq!(changes[0].0, fork(2));
    finish(&mut desk, apply.clone(), Ok(Outcome::Done));
    look(&mut desk);
    assert_eq!(jobs(&mut desk), []);
    assert!(desk.screen().contains("the script stops at line 2: there is no flob"), "{}", desk.screen());
    assert_eq!(desk.state.script, None);
}

#[test]
fn a_job_that_fails_ends_it() {
    let mut desk = desk("checkpoint save\npause");
    look(&mut desk);
    let save = Job::Save { name: None, then_stop: false };
    assert_eq!(jobs(&mut desk), *std::slice::from_ref(&save));
    finish(&mut desk, save, Err("the disk is full".into()));
    look(&mut desk);
    assert_eq!(jobs(&mut desk), []);
    assert!(desk.screen().contains("the script stops at line 1: the disk is full"), "{}", desk.screen());
}

//! What keys do: the whole road from a deadlock to a restored checkpoint, and what must not happen on the way.

use std::sync::Arc;

use flob_abi::group;
use flob_image::{Link, State as FlobState};
use flob_link::Scope;
use flob_session::{HubEvent, Owner};

use super::{
    screens::{edit, select_field},
    world::{Desk, environment, fork, info, philosopher, snapshot},
};
use crate::tui::{
    commands::{self, COMMANDS},
    message::{Ask, Job, Message, Outcome},
    state::{Focus, Leave, LogKind, Mode, Question, Tab},
};

fn commands_logged(desk: &Desk) -> Vec<&str> {
    let commands = desk.state.log.iter().filter(|line| line.kind == LogKind::Command);
    commands.map(|line| line.text.as_str()).collect()
}

fn jobs(desk: &mut Desk) -> Vec<Job> {
    let job = |ask| match ask {
        Ask::Do(job) => Some(job),
        _ => None,
    };
    desk.done().into_iter().filter_map(job).collect()
}

#[test]
fn pause_and_resume_hold_and_let_go_and_log_the_command() {
    let mut desk = Desk::new(80, 24);
    desk.keys("p");
    assert_eq!(jobs(&mut desk), [Job::Pause(Scope::Environment)]);
    desk.tell(Message::Info(info(&[Owner::User])));
    desk.keys("r");
    assert_eq!(jobs(&mut desk), [Job::Resume { scope: Scope::Environment, force: false }]);
    assert_eq!(commands_logged(&desk), ["flob pause", "flob resume"]);
}

#[test]
fn what_was_restored_can_be_let_run_before_the_next_look() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::Info(info(&[])));
    let job = Job::Restore { id: "5ca1ab1e".into(), force: false };
    desk.tell(Message::Finished { job, result: Ok(Outcome::Checkpoint("5ca1ab1e".into())) });
    desk.done();
    desk.keys("r");
    let resume = Ask::Do(Job::Resume { scope: Scope::Environment, force: false });
    assert!(desk.done().contains(&resume));
}

#[test]
fn resume_names_who_else_holds() {
    let mut desk = Desk::new(80, 24);
    let job = Job::Resume { scope: Scope::Environment, force: false };
    let others = vec![Owner::Client("gdb".into())];
    desk.tell(Message::Finished { job, result: Ok(Outcome::Held(others)) });
    assert!(desk.screen().contains("still held by gdb"), "{}", desk.screen());
}

#[test]
fn step_runs_the_selected_thread() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2<Down><Down>s");
    assert_eq!(jobs(&mut desk), [Job::Step(philosopher(2))]);
    assert_eq!(commands_logged(&desk), ["flob step 'thread:philosophers/PHILOSOPHERS[2]'"]);
}

#[test]
fn links_are_followed_with_enter_and_back_with_backspace() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2<Enter>");
    select_field(&mut desk, "waiting_for");
    desk.keys("<Enter>");
    assert_eq!(desk.state.detail.place, Some(fork(1)));
    select_field(&mut desk, "owner");
    desk.keys("<Enter>");
    assert_eq!(desk.state.detail.place, Some(philosopher(1)));
    desk.keys("<Back>");
    assert_eq!(desk.state.detail.place, Some(fork(1)));
    desk.keys("<Back>");
    assert_eq!((desk.state.detail.place, desk.state.focus), (Some(philosopher(0)), Focus::Detail));
    desk.keys("<Back>");
    assert_eq!(desk.state.focus, Focus::List);
}

#[test]
fn an_edit_is_checked_while_it_is_typed_and_escape_drops_it() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    select_field(&mut desk, "locked");
    desk.keys("e<Back><Back><Back>");
    assert!(desk.screen().contains("expected true or false"), "{}", desk.screen());
    desk.keys("<Enter>");
    assert!(matches!(desk.state.mode, Mode::Edit(_)), "a wrong value is not taken");
    desk.keys("<Esc>");
    assert_eq!((&desk.state.mode, desk.state.pending.len()), (&Mode::Normal, 0));
}

#[test]
fn the_same_key_takes_back_what_is_pending_and_then_what_was_applied() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::Info(info(&[])));
    desk.keys(":show FORKS[2]<Enter>");
    edit(&mut desk, "locked", "false");
    desk.keys("u");
    assert_eq!((&desk.state.mode, desk.state.pending.len()), (&Mode::Normal, 0));
    desk.keys("un");
    assert_eq!(jobs(&mut desk), [], "it was not confirmed");
    desk.keys("uy");
    assert_eq!(jobs(&mut desk), [Job::Undo]);
    assert_eq!(commands_logged(&desk).last(), Some(&"flob undo"));
}

#[test]
fn pending_edits_are_applied_as_one_change_a_flob() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    edit(&mut desk, "locked", "false");
    edit(&mut desk, "owner", "null");
    assert_eq!(desk.state.pending.len(), 2);
    assert_eq!(jobs(&mut desk), [], "nothing happens before it is applied");
    desk.keys("a<Enter>");
    let [Job::Apply { what, changes, pokes }] = &jobs(&mut desk)[..] else { panic!("not applied") };
    assert_eq!(what, "set mutex:philosophers/FORKS[2] locked=false and 1 more", "undo says what it undoes");
    let [(place, hash, change)] = &changes[..] else { panic!("one flob was edited") };
    assert_eq!((*place, *hash, change.mask), (fork(2), fork(2) ^ 0xabcd, group::PLAIN));
    assert_eq!(change.links, [Some(Link::Null)]);
    let bytes = change.state.as_deref().expect("the state has changed");
    let state = FlobState::from_bytes(flob_abi::FlobKind::Mutex, bytes).expect("a state");
    assert!(matches!(state, FlobState::Mutex(mutex) if mutex.locked == 0));
    assert!(pokes.is_empty());
    assert_eq!(desk.state.pending.len(), 2, "they stay until it has worked");
    let job = Job::Apply { what: what.clone(), changes: changes.clone(), pokes: Vec::new() };
    desk.tell(Message::Finished { job, result: Ok(Outcome::Done) });
    assert!(desk.state.pending.is_empty());
    let logged = commands_logged(&desk);
    assert!(logged.contains(&"flob set 'mutex:philosophers/FORKS[2]' locked=false"), "{logged:?}");
}

#[test]
fn pending_edits_are_taken_back_one_by_one() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    edit(&mut desk, "locked", "false");
    edit(&mut desk, "owner", "null");
    desk.keys("au");
    assert_eq!((desk.state.pending.len(), &desk.state.mode), (1, &Mode::Confirm(Question::Apply)));
    desk.keys("<Esc>u");
    assert!(desk.state.pending.is_empty());
}

#[test]
fn an_edit_back_to_what_it_was_is_none() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    edit(&mut desk, "locked", "false");
    edit(&mut desk, "locked", "true");
    assert!(desk.state.pending.is_empty());
}

#[test]
fn a_link_can_be_set_to_a_flob_by_its_name() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":set FORKS[2] owner=PHILOSOPHERS[4]<Enter><Enter>");
    let [Job::Apply { changes, .. }] = &jobs(&mut desk)[..] else { panic!("not applied") };
    assert_eq!(changes[0].2.links, [Some(Link::Flob(philosopher(4)))]);
    desk.keys(":set FORKS[2] owner=nobody<Enter>");
    assert!(desk.screen().contains("there is no flob 'nobody'"));
}

#[test]
fn from_a_checkpoint_to_the_edited_one_restored_and_running() {
    let mut desk = Desk::new(80, 24);
    desk.keys("c");
    let save = Job::Save { name: None, then_stop: false };
    assert_eq!(jobs(&mut desk).as_slice(), std::slice::from_ref(&save));
    desk.keys("c");
    assert_eq!(jobs(&mut desk), [], "one long job at a time");
    desk.tell(Message::Finished { job: save, result: Ok(Outcome::Checkpoint("5ca1ab1e".into())) });
    desk.keys("5<Enter>");
    assert!(desk.done().contains(&Ask::Open("5ca1ab1e".into())));
    desk.tell(Message::Opened(Ok(("5ca1ab1e".into(), snapshot(environment(true), None)))));
    desk.keys(":set FORKS[2] locked=false<Enter><Enter>");
    let [Job::SaveEdited { parent, environment, .. }] = &jobs(&mut desk)[..] else { panic!("not saved") };
    assert_eq!(parent, "5ca1ab1e");
    let fork = &environment.flob(fork(2)).expect("the fork").state;
    assert!(matches!(fork, FlobState::Mutex(mutex) if mutex.locked == 0));
    let job = Job::SaveEdited { parent: parent.clone(), environment: environment.clone(), pokes: Vec::new() };
    desk.tell(Message::Finished { job, result: Ok(Outcome::Checkpoint("0ddba11".into())) });
    let asked = desk.done();
    assert!(asked.contains(&Ask::Open("0ddba11".into())), "the new one is opened: {asked:?}");
    desk.tell(Message::Opened(Ok(("0ddba11".into(), snapshot(super::world::environment(false), None)))));
    desk.keys("R<Enter>");
    let restore = Job::Restore { id: "0ddba11".into(), force: false };
    assert_eq!(jobs(&mut desk).as_slice(), std::slice::from_ref(&restore));
    desk.tell(Message::Finished { job: restore, result: Ok(Outcome::Checkpoint("0ddba11".into())) });
    assert!(desk.state.is_live(), "the live environment is shown again");
    desk.tell(Message::Info(info(&[Owner::User])));
    desk.keys("r");
    assert_eq!(jobs(&mut desk), [Job::Resume { scope: Scope::Environment, force: false }]);
}

#[test]
fn a_long_job_can_be_cancelled() {
    let mut desk = Desk::new(80, 24);
    desk.keys("c");
    desk.done();
    desk.keys("x");
    assert_eq!(desk.done(), [Ask::Cancel]);
    assert!(desk.screen().contains("giving up"));
}

#[test]
fn leaving_does_what_is_chosen() {
    let mut desk = Desk::new(80, 24);
    desk.keys("q<Esc>");
    assert_eq!(desk.state.leave, None);
    desk.keys("ql");
    assert_eq!(desk.state.leave, Some(Leave::Running));

    let mut desk = Desk::new(80, 24);
    desk.keys("qs");
    assert_eq!(jobs(&mut desk), [Job::Stop]);
    desk.tell(Message::Finished { job: Job::Stop, result: Ok(Outcome::Done) });
    assert_eq!(desk.state.leave, Some(Leave::Stopped(None)));

    let mut desk = Desk::new(80, 24);
    desk.keys("qc");
    let job = Job::Save { name: None, then_stop: true };
    assert_eq!(jobs(&mut desk).as_slice(), std::slice::from_ref(&job));
    desk.tell(Message::Finished { job, result: Ok(Outcome::Checkpoint("cafe".into())) });
    assert_eq!(desk.state.leave, Some(Leave::Stopped(Some("cafe".into()))));
}

#[test]
fn leaving_with_pending_edits_asks_first() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    edit(&mut desk, "locked", "false");
    desk.keys("q");
    assert_eq!(desk.state.mode, Mode::Confirm(Question::Discard));
    desk.keys("<Enter>");
    assert_eq!(desk.state.mode, Mode::Confirm(Question::Quit));
}

#[test]
fn a_session_that_has_ended_is_left_without_a_question() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::HubGone);
    assert!(desk.screen().contains("session ended"));
    desk.keys("q");
    assert_eq!(desk.state.leave, Some(Leave::Gone));
}

#[test]
fn search_goes_around_and_unfolds_what_hides_the_match() {
    let mut desk = Desk::new(80, 24);
    desk.keys("<Down> ");
    let folded = desk.state.visible.len();
    desk.keys("/forks[3]<Enter>");
    assert!(desk.state.visible.len() > folded);
    assert_eq!(desk.state.detail.place, Some(fork(3)));
    desk.keys("/forks<Enter>");
    assert_eq!(desk.state.detail.place, Some(fork(4)));
    desk.keys("n");
    assert_eq!(desk.state.detail.place, Some(fork(0)));
    desk.keys("N");
    assert_eq!(desk.state.detail.place, Some(fork(4)));
}

#[test]
fn the_selection_stays_on_its_flob_when_others_come_and_go() {
    let mut desk = Desk::new(80, 24);
    desk.keys("/forks[3]<Enter>");
    let mut fewer = environment(true);
    fewer.flobs.retain(|flob| flob.place != fork(0) && flob.place != philosopher(1));
    desk.look(fewer);
    assert_eq!(desk.state.detail.place, Some(fork(3)));
}

#[test]
fn why_says_the_sentence_and_names_the_deadlock() {
    let mut desk = Desk::new(200, 60);
    desk.keys(":why PHILOSOPHERS[2]<Enter>");
    let last = desk.state.log.last().map(|line| line.text.clone()).unwrap_or_default();
    assert!(last.starts_with("philosopher-2 waits for FORKS[3], held by philosopher-3, which"), "{last}");
    assert!(last.ends_with("deadlock of 5"), "{last}");
}

#[test]
fn a_free_mutex_ends_the_deadlock_whatever_its_link_says() {
    let mut desk = Desk::new(80, 24);
    let mut next = environment(true);
    if let FlobState::Mutex(mutex) = &mut next.flob_mut(fork(2)).expect("a fork").state {
        mutex.locked = 0;
    }
    desk.look(next);
    assert!(!desk.screen().contains("DEADLOCK"), "{}", desk.screen());
}

#[test]
fn wrong_commands_get_one_clear_message_and_do_nothing() {
    let wrong =
        ["frobnicate", "set", "set FORKS[2] locked", "poke", "show nothing", "peek nowhere", "why FORKS[1]"];
    for command in wrong {
        let mut desk = Desk::new(80, 24);
        desk.done();
        desk.keys(&format!(":{command}<Enter>"));
        let told = desk.state.notice.clone();
        assert!(matches!(told, Some((LogKind::Trouble, _))), "{command}: {told:?}");
        assert_eq!(jobs(&mut desk), [], "{command}");
    }
}

#[test]
fn each_command_has_one_name_and_each_key_is_bound() {
    for (index, command) in COMMANDS.iter().enumerate() {
        assert_eq!(commands::parse(command.name).map(|(found, _)| found.name), Some(command.name));
        assert!(COMMANDS.iter().skip(index + 1).all(|other| other.name != command.name), "{}", command.name);
        assert!(!command.help.is_empty());
    }
}

#[test]
fn tabs_are_chosen_by_number() {
    let mut desk = Desk::new(80, 24);
    for (key, tab) in ["1", "2", "3", "4", "5", "6", "7"].into_iter().zip(Tab::ALL) {
        desk.keys(key);
        assert_eq!(desk.state.tab, tab);
    }
}

#[test]
fn typed_input_goes_to_the_program_line_by_line() {
    let mut desk = Desk::new(80, 24);
    desk.keys("iab<Enter>c<Enter><Esc>");
    assert_eq!(jobs(&mut desk), [Job::Type(b"ab\n".to_vec()), Job::Type(b"c\n".to_vec())]);
}

#[test]
fn the_same_look_again_changes_nothing_but_the_age() {
    let mut desk = Desk::new(80, 24);
    let live = desk.state.live.clone().expect("a look");
    desk.state.now = std::time::Duration::from_secs(9);
    desk.tell(Message::Looked { snapshot: Arc::clone(&live), took: std::time::Duration::ZERO });
    assert_eq!(desk.state.age(), std::time::Duration::ZERO);
}

#[test]
fn a_look_from_before_a_restore_that_comes_late_is_not_believed_for_long() {
    let mut desk = Desk::new(80, 24);
    let mut old = info(&[]);
    old.progress.exit = Some(0);
    desk.tell(Message::Info(old.clone()));
    let job = Job::Restore { id: "5ca1ab1e".into(), force: false };
    desk.tell(Message::Finished { job, result: Ok(Outcome::Checkpoint("5ca1ab1e".into())) });
    desk.tell(Message::Info(old));
    desk.tell(Message::Info(info(&[])));
    assert!(!desk.screen().contains("exited"), "{}", desk.screen());
}

#[test]
fn a_checkpoint_is_compared_with_the_marked_one_or_with_its_parent() {
    let mut desk = Desk::new(80, 24);
    desk.keys("5=");
    assert!(desk.screen().contains("mark another one"), "it has no parent: {}", desk.screen());
    desk.keys("<Down>=");
    let compare = |before: &str, after: &str| Ask::Compare(before.into(), after.into());
    assert!(desk.done().contains(&compare("5ca1ab1e", "0ddba11")));
    desk.keys("<Down> <Up>=");
    assert!(desk.screen().contains("= cafe0001"), "{}", desk.screen());
    assert!(desk.done().contains(&compare("cafe0001", "0ddba11")));
    assert_eq!(commands_logged(&desk).last(), Some(&"flob checkpoint diff cafe0001 0ddba11"));
    let lines = (0..50).map(|number| format!("line {number}")).collect();
    desk.tell(Message::Compared("from one to another".into(), Ok(lines)));
    assert!(desk.screen().contains("from one to another") && !desk.screen().contains("line 30"));
    desk.keys("<End>");
    assert!(desk.screen().contains("line 49"), "{}", desk.screen());
    desk.keys("<Esc>");
    assert_eq!(desk.state.mode, Mode::Normal);
}

#[test]
fn a_save_of_our_own_is_not_told_once_more_if_the_hub_s_word_comes_late() {
    let mut desk = Desk::new(80, 24);
    let job = Job::Save { name: None, then_stop: false };
    desk.tell(Message::Finished { job, result: Ok(Outcome::Checkpoint("cafe0001".into())) });
    desk.tell(Message::Hub(HubEvent::Saved("cafe0001".into())));
    assert!(desk.screen().contains("saved checkpoint cafe0001"), "{}", desk.screen());
    desk.tell(Message::Hub(HubEvent::Saved("cafe0002".into())));
    assert!(desk.screen().contains("checkpoint cafe0002 was saved"), "{}", desk.screen());
}

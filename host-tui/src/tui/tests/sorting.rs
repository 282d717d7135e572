//! Lists sorted and filtered: what is shown, what stays selected, what the head says.

use std::sync::Arc;

use flob_image::State as FlobState;

use super::world::{Desk, environment, philosopher, saved};
use crate::tui::{message::Message, state::Tab};

/// The words of a column of the rows below the heading, as they are on screen.
fn column(desk: &Desk, word: usize) -> Vec<String> {
    let screen = desk.screen();
    let rows = screen.lines().skip_while(|line| !line.contains("waits for") && !line.contains("taken"));
    let rows = rows.skip(1).take_while(|line| !line.trim_matches(['│', ' ']).is_empty());
    rows.filter_map(|line| line.trim_matches('│').split_whitespace().nth(word).map(str::to_owned)).collect()
}

#[test]
fn threads_are_sorted_by_a_column_and_the_selected_one_stays_selected() {
    let mut desk = Desk::new(120, 40);
    desk.keys("2<Down><Down>");
    assert_eq!(desk.state.selected_thread().map(|facts| facts.place), Some(philosopher(2)));
    desk.keys("ooO");
    let screen = desk.screen();
    assert!(screen.contains("Threads, by thread ▾") && screen.contains("thread ▾ "), "{screen}");
    let order: Vec<_> = desk.state.threads.rows.iter().map(|row| *row as usize).collect();
    assert_eq!(order, [4, 3, 2, 1, 0]);
    assert_eq!(desk.state.selected_thread().map(|facts| facts.place), Some(philosopher(2)));
    desk.keys(":sort waits for down<Enter>");
    let waits: Vec<_> = desk.state.threads.rows.iter().map(|row| (*row + 1) % 5).collect();
    assert_eq!(waits, [4, 3, 2, 1, 0], "each waits for the next fork");
    desk.keys(":sort nonsense<Enter>");
    assert!(desk.screen().contains("no column 'nonsense': sort [state|thread|at|waitsfor|off] [down]"));
    desk.keys(":sort off<Enter>");
    assert!(!desk.screen().contains("Threads, by"), "{}", desk.screen());
}

#[test]
fn a_filter_hides_what_it_does_not_fit_until_that_is_asked_for() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2fPHILOSOPHER-3<Enter>");
    assert!(desk.screen().contains("only 'philosopher-3'"), "{}", desk.screen());
    assert_eq!(desk.state.threads.rows, [3]);
    assert_eq!(desk.state.selected_thread().map(|facts| facts.place), Some(philosopher(3)));
    desk.look(environment(true));
    assert_eq!(desk.state.threads.rows, [3], "it lasts");
    desk.keys(":show PHILOSOPHERS[1]<Enter><Back>");
    assert_eq!(desk.state.selected_thread().map(|facts| facts.place), Some(philosopher(1)));
    desk.keys("fno such<Enter>");
    assert_eq!(desk.state.selected_thread(), None);
    assert!(!desk.screen().contains("Memory at"), "{}", desk.screen());
    desk.keys("f^u<Enter>");
    assert_eq!(desk.state.threads.rows.len(), 5);
}

#[test]
fn a_filtered_tree_keeps_what_stands_above_and_shows_what_is_folded() {
    let mut desk = Desk::new(80, 24);
    desk.keys("<Down><Left>ffork<Enter>");
    let screen = desk.screen();
    assert!(screen.contains("Flobs, only 'fork'"), "{screen}");
    for shown in ["space:philosophers", "mutexes 5", "FORKS[0]", "FORKS[4]"] {
        assert!(screen.contains(shown), "{shown}: {screen}");
    }
    assert!(!screen.contains("threads 5") && !screen.contains("HUNGRY"), "{screen}");
}

#[test]
fn the_tree_is_sorted_below_each_group_and_changes_come_first_if_wanted() {
    let mut desk = Desk::new(80, 40);
    desk.keys("oO");
    let names = |desk: &Desk| -> Vec<String> {
        let screen = desk.screen();
        let rows = screen.lines().filter(|line| line.contains("FORKS[") && line.contains("held by"));
        rows.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
    };
    assert_eq!(names(&desk), ["FORKS[4]", "FORKS[3]", "FORKS[2]", "FORKS[1]", "FORKS[0]"]);
    let mut next = environment(true);
    if let FlobState::Mutex(mutex) = &mut next.flob_mut(super::world::fork(3)).expect("a fork").state {
        mutex.flags ^= 1;
    }
    desk.look(next);
    desk.keys(":sort changed<Enter>");
    assert!(names(&desk).first().is_some_and(|name| name.starts_with("FORKS[3]*")), "{}", desk.screen());
}

#[test]
fn checkpoints_are_sorted_without_their_tree_and_new_ones_take_their_place() {
    let mut desk = Desk::new(120, 40);
    desk.keys("5:sort id<Enter>");
    assert_eq!(column(&desk, 0), ["0ddba11", "5ca1ab1e", "cafe0001"], "{}", desk.screen());
    let mut more = saved();
    more[2].id = "1new".into();
    more.push(saved().remove(2));
    desk.tell(Message::Checkpoints(Ok(more)));
    assert_eq!(column(&desk, 0), ["0ddba11", "1new", "5ca1ab1e", "cafe0001"], "{}", desk.screen());
    desk.keys("fdinner<Enter>");
    assert_eq!(desk.state.selected_checkpoint().map(|saved| saved.id.as_str()), Some("5ca1ab1e"));
}

#[test]
fn the_log_shows_only_what_fits() {
    let mut desk = Desk::new(80, 24);
    desk.keys("p7fresume<Enter>");
    assert!(!desk.screen().contains("flob pause"), "{}", desk.screen());
    desk.keys("f^upause<Enter>");
    assert!(desk.screen().contains("$ flob pause"), "{}", desk.screen());
}

#[test]
fn where_there_is_no_list_sort_and_filter_say_so() {
    for (key, tab) in [("3", Tab::Memory), ("4", Tab::Graph), ("6", Tab::Console)] {
        let mut desk = Desk::new(80, 24);
        desk.keys(key).keys(":sort name<Enter>");
        assert!(desk.screen().contains("no list here to sort"), "{tab:?}: {}", desk.screen());
        desk.keys(":filter name<Enter>");
        assert!(desk.screen().contains("no list here to filter"), "{tab:?}: {}", desk.screen());
    }
}

/// A hundred thousand flobs are sorted and filtered by keys without any row being drawn that is not seen.
#[test]
fn a_hundred_thousand_flobs_are_sorted_and_filtered() {
    let mut many = environment(true);
    let mutex = many.flob(super::world::fork(0)).expect("a fork").clone();
    many.flobs.extend((0..100_000u64).map(|number| {
        let mut copy = mutex.clone();
        copy.place = 0x100_0000 + number * 0x200;
        copy
    }));
    let mut desk = Desk::new(80, 24);
    desk.look(many);
    let live = desk.state.live.clone();
    desk.keys("oO");
    assert_eq!(desk.state.visible.len(), live.as_ref().map_or(0, |live| live.rows.len()));
    desk.keys("fforks[3<Enter>");
    assert!(desk.state.visible.len() < 10, "{}", desk.screen());
    assert!(desk.screen().contains("FORKS[3]"), "{}", desk.screen());
    assert!(desk.state.live.as_ref().zip(live.as_ref()).is_some_and(|(now, then)| Arc::ptr_eq(now, then)));
}

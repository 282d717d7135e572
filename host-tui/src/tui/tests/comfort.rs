//! What makes it pleasant: links chosen from a list, jumps to symbols, the clipboard, what looking costs, where a program went.

use flob_image::Link;
use flob_link::{Event, Mark, Memory, Progress};
use flob_session::{HubEvent, names};

use super::{
    screens::select_field,
    world::{Desk, SPACE, fork, info, philosopher, snapshot},
};
use crate::tui::{
    edit::Edit,
    message::{Ask, Message},
    state::{Mode, Tab},
};

fn edited(desk: &Desk) -> Vec<(&str, &str)> {
    fn field(edit: &Edit) -> Option<(&str, &str)> {
        match edit {
            Edit::Field { name, new, .. } => Some((name, new)),
            Edit::Memory { .. } => None,
        }
    }
    desk.state.pending.iter().filter_map(field).collect()
}

#[test]
fn a_link_can_be_chosen_or_found_by_typing_a_part_of_its_name() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    select_field(&mut desk, "owner");
    desk.keys("e");
    let screen = desk.screen();
    assert!(screen.contains("PHILOSOPHERS[4]") && !screen.contains("HUNGRY"), "only threads own: {screen}");
    desk.keys("^u[3]<Down><Enter>");
    let target = Link::Flob(philosopher(3)).to_string();
    assert_eq!(edited(&desk), [("owner", target.as_str())]);
    desk.keys("e<Down><Enter>");
    assert_eq!(edited(&desk), [("owner", "null")], "nothing at all is the first choice");
    desk.keys("e<Up><Esc>");
    assert_eq!((edited(&desk), &desk.state.mode), (vec![("owner", "null")], &Mode::Normal));
}

#[test]
fn fields_that_are_no_links_offer_nothing() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":show FORKS[2]<Enter>");
    select_field(&mut desk, "locked");
    desk.keys("e<Down>");
    assert!(!desk.screen().contains("Up Down choose"), "{}", desk.screen());
}

#[test]
fn symbols_numbers_registers_and_flobs_are_jumped_to_from_everywhere() {
    for (key, place, memory, address) in [
        ("1", "FORKS", Memory::Space(SPACE), 0x42_0000),
        ("2", "0x401000", Memory::Space(SPACE), 0x40_1000),
        ("3", "0x1000", Memory::Space(SPACE), 0x1000),
        ("3S", "0x1000", Memory::Environment, 0x1000),
        ("2<Down>", "rsp", Memory::Space(SPACE), 0x60_1ff0),
        ("2<Down><Enter>", "rip", Memory::Space(SPACE), 0x40_1234),
        ("4", "HUNGRY", Memory::Environment, 0x1a00),
    ] {
        let mut desk = Desk::new(80, 24);
        desk.keys(key).keys("g").keys(place).keys("<Enter>");
        assert_eq!(desk.state.tab, Tab::Memory);
        assert_eq!((desk.state.memory.memory, desk.state.memory.cursor), (memory, address), "{place}");
    }
}

/// The command line found the first two and the interface did not, and where several flobs fit it said that none does.
#[test]
fn what_the_command_line_finds_by_a_name_the_interface_finds_too() {
    for (name, found) in [
        ("mutex:FORKS[1]", "mutex:philosophers/FORKS[1]"),
        (&*names::id(fork(1)), "mutex:philosophers/FORKS[1]"),
        ("osopher-3", "thread:philosophers/PHILOSOPHERS[3]"),
    ] {
        let mut desk = Desk::new(80, 24);
        desk.keys(&format!(":show {name}<Enter>"));
        let snapshot = desk.state.shown().expect("a look");
        assert_eq!(snapshot.name(desk.state.detail.place.expect("a flob")), found, "{name}");
    }
    let mut desk = Desk::new(120, 40);
    desk.keys(":goto FORKS[<Enter>");
    assert!(
        desk.screen().contains("'FORKS[' could be any of mutex:philosophers/FORKS[0], "),
        "{}",
        desk.screen()
    );
    desk.keys(":space FORKS[0]<Enter>");
    assert!(desk.screen().contains("there is no flob 'FORKS[0]'"), "{}", desk.screen());
}

#[test]
fn bytes_are_written_into_the_memory_that_their_address_belongs_to() {
    let mut desk = Desk::new(80, 24);
    desk.keys(":goto 0x1a00<Enter>");
    let (memory, address) = (Memory::Space(SPACE), desk.state.memory.top);
    desk.tell(Message::Memory { memory, address, result: Ok(vec![7; 256]) });
    for (place, known) in [("0x1a00", &[7, 7][..]), ("HUNGRY", &[])] {
        desk.keys(&format!(":poke {place} 0102<Enter>"));
        let Some(Edit::Memory { poke, old }) = desk.state.pending.last() else {
            panic!("nothing is pending")
        };
        let expected = if known.is_empty() { Memory::Environment } else { memory };
        assert_eq!((poke.memory, &old[..]), (expected, known), "{place}");
        desk.keys("<Esc>");
    }
}

#[test]
fn what_is_selected_is_copied() {
    for (keys, text) in [
        ("2<Down>", "thread:philosophers/PHILOSOPHERS[1]"),
        (":show FORKS[2]<Enter>", "thread:philosophers/PHILOSOPHERS[2]"),
        (":goto FORKS<Enter>", "0x420000"),
        ("5", "5ca1ab1e"),
        ("p7", "flob pause"),
        ("6", "philosopher 3 eats"),
    ] {
        let mut desk = Desk::new(80, 24);
        desk.keys(keys);
        desk.done();
        desk.keys("y");
        assert_eq!(desk.done(), [Ask::Copy(text.into())], "{keys}");
        assert!(desk.screen().contains(&format!("copied: {text}")), "{}", desk.screen());
    }
    let mut desk = Desk::new(80, 24);
    desk.keys("9y");
    assert!(desk.screen().contains("nothing is selected"), "{}", desk.screen());
}

#[test]
fn what_looking_costs_stands_beside_the_program() {
    let mut desk = Desk::new(80, 24);
    for (seconds, looks, milliseconds) in [(10, 100, 50), (14, 112, 74)] {
        let mut told = info(&[]);
        let (time, looking) = (seconds * 1_000_000_000, milliseconds * 1_000_000);
        told.progress = Progress { time, looks, looking, ..Progress::default() };
        desk.tell(Message::Info(told));
    }
    assert!(desk.screen().contains("4 MiB  3.0 looks/s cost 0.6 %"), "{}", desk.screen());
}

#[test]
fn a_checkpoint_without_a_session_leads_back_to_none() {
    let mut desk = Desk::new(80, 24);
    desk.state.has_session = false;
    let opened = snapshot(super::world::environment(true), None);
    desk.tell(Message::Opened(Ok(("5ca1ab1e".into(), opened))));
    let screen = desk.screen();
    assert!(!screen.contains("goes back to the session"), "{screen}");
    assert!(
        screen.contains("9 Stops ") && screen.contains(" 5ca1ab1e\n"),
        "all tabs have their titles: {screen}"
    );
}

#[test]
fn where_a_program_has_moved_to_is_told_when_its_session_ends() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::Hub(HubEvent::Moved("there".into())));
    desk.tell(Message::HubGone);
    assert!(desk.screen().contains("'flob attach there' shows it"), "{}", desk.screen());
    assert!(!desk.state.log.iter().any(|line| line.text == crate::tui::text::HUB_GONE));
}

/// Whoever had asked for it has been told that the guest does not answer.
#[test]
fn a_checkpoint_that_is_in_place_after_all_is_told() {
    let mut desk = Desk::new(120, 24);
    desk.tell(Message::Hub(HubEvent::Arrived(Some("5ca1ab1e".into()))));
    assert!(desk.screen().contains("checkpoint 5ca1ab1e is in place after all"), "{}", desk.screen());
}

#[test]
fn what_a_guest_said_last_is_in_the_log_too() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::Hub(HubEvent::GuestEnded("the guest has died\n  | === kernel panic ===".into())));
    desk.keys("<Esc>7");
    assert!(desk.screen().contains("! === kernel panic ==="), "{}", desk.screen());
}

#[test]
fn a_program_that_was_begun_anew_is_called_restarted() {
    let mut desk = Desk::new(120, 40);
    desk.tell(Message::Hub(HubEvent::Guest(Event::Restarted(Mark::default()))));
    let screen = desk.screen();
    assert!(screen.contains("restarted: the program stands at its beginning"), "{screen}");
    assert!(!screen.contains("restored"), "{screen}");
}

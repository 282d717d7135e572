//! The Breakpoints tab: what it shows, and what its keys ask for.

use flob_abi::Call;
use flob_link::{Access, Watch};
use flob_session::{Condition, Owner, Point, PointChange, Spot};

use super::world::{Desk, SPACE};
use crate::tui::{
    message::{Ask, Job, Message},
    state::{LogKind, Mode, Tab},
};

fn point(id: u32, owner: &str, spot: Spot, condition: Option<&str>) -> Point {
    let owner = if owner.is_empty() { Owner::User } else { Owner::Client(owner.into()) };
    let condition = condition.map(|text| Condition { text: text.into(), code: vec![3] });
    Point { id, owner, spot, is_enabled: true, condition, hits: u64::from(id) * 7, has_failed: false }
}

fn some() -> Vec<(Point, String)> {
    let code = |address| Spot::Code { space: SPACE, address };
    let watch = Watch { space: SPACE, address: 0x42_0000, bytes: 8, access: Access::Write };
    let calls = Spot::Calls { space: SPACE, calls: vec![Call::MutexLock as u64] };
    let mut disabled = point(2, "gdb-1", code(0x40_1300), None);
    disabled.is_enabled = false;
    let mut failed = point(5, "", code(0x40_1400), Some("*$rdi == 1"));
    failed.has_failed = true;
    vec![
        (point(1, "", code(0x40_1230), Some("$thread == 'philosopher-1'")), "take at table.rs:37".into()),
        (disabled, "main at main.rs:12".into()),
        (point(3, "gdb-1", Spot::Memory(watch), None), "8 bytes at FORKS".into()),
        (point(4, "", calls, None), "mutex_lock".into()),
        (failed, "put_back at table.rs:42".into()),
    ]
}

fn desk(width: u16, height: u16) -> Desk {
    let mut desk = Desk::new(width, height);
    desk.tell(Message::Points(some()));
    desk.keys("9");
    desk.done();
    desk
}

#[test]
fn breakpoints_of_every_client_are_listed_with_hits_and_conditions() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("points_{width}x{height}"), desk(width, height).screen());
    }
}

#[test]
fn b_asks_where_and_the_command_is_logged() {
    let mut desk = desk(120, 40);
    desk.keys("b");
    assert!(matches!(&desk.state.mode, Mode::Command(line) if line.text() == "break "));
    desk.keys("main.rs:7 if $rdi == 2<Enter>");
    assert!(desk.done().contains(&Ask::Do(Job::Break("main.rs:7 if $rdi == 2".into()))));
    let logged = desk.state.log.iter().rfind(|line| line.kind == LogKind::Command);
    assert_eq!(logged.map(|line| line.text.as_str()), Some("flob break main.rs:7 if '$rdi == 2'"));
}

#[test]
fn space_switches_and_d_deletes_the_selected_one() {
    let mut desk = desk(80, 24);
    desk.keys(" ");
    assert_eq!(desk.done(), [Ask::Do(Job::Point { id: 1, change: PointChange::Disable })]);
    desk.keys("<Down> ");
    assert_eq!(desk.done(), [Ask::Do(Job::Point { id: 2, change: PointChange::Enable })]);
    desk.keys("<Down>d");
    assert_eq!(desk.done(), [Ask::Do(Job::Point { id: 3, change: PointChange::Delete })]);
}

#[test]
fn enter_shows_the_memory_there() {
    let mut desk = desk(80, 24);
    desk.keys("<Down><Enter>");
    assert_eq!(desk.state.tab, Tab::Memory);
    assert_eq!(desk.state.memory.cursor, 0x40_1300);
}

#[test]
fn without_breakpoints_the_screen_says_which_key_sets_one() {
    let mut desk = Desk::new(80, 24);
    desk.keys("9");
    assert!(desk.screen().contains("there are no breakpoints: b sets one"), "{}", desk.screen());
}

#[test]
fn where_titles_have_no_room_tabs_are_numbers_and_the_state_is_whole() {
    let mut desk = desk(60, 24);
    let screen = desk.screen();
    let first = screen.lines().next().unwrap_or_default();
    assert!(first.starts_with("1  2  3  4  5  6  7  8  9 Stops") && first.ends_with("deadlock"), "{first}");
    desk.keys("1");
    assert!(desk.screen().starts_with("1 Flobs 2"), "{}", desk.screen());
}

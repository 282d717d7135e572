//! What the mouse does, at the places where the view draws.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::world::{Desk, fork, philosopher};
use crate::tui::{
    message::Message,
    state::{Focus, Tab},
};

fn mouse(desk: &mut Desk, kind: MouseEventKind, (column, row): (u16, u16)) {
    desk.tell(Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

/// Clicks where this text is on screen.
fn click(desk: &mut Desk, text: &str) {
    let screen = desk.screen();
    let found = screen.lines().zip(0..).find_map(|(line, row)| {
        let before = line.split_once(text)?.0;
        Some((before.chars().count() as u16, row))
    });
    let at = found.unwrap_or_else(|| panic!("no {text} on\n{screen}"));
    mouse(desk, MouseEventKind::Down(MouseButton::Left), at);
}

#[test]
fn a_click_on_a_title_chooses_its_tab() {
    for size in [(80, 24), (200, 60)] {
        let mut desk = Desk::new(size.0, size.1);
        for (title, tab) in
            [("Graph", Tab::Graph), ("Log", Tab::Log), ("Flobs", Tab::Flobs), ("Threads", Tab::Threads)]
        {
            click(&mut desk, title);
            assert_eq!(desk.state.tab, tab);
        }
    }
}

#[test]
fn a_click_on_a_row_selects_it_and_one_more_opens_it() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2");
    click(&mut desk, "philosopher-3 ");
    assert_eq!(desk.state.detail.place, Some(philosopher(3)));
    assert_eq!(desk.state.focus, Focus::List);
    click(&mut desk, "philosopher-3 ");
    assert_eq!(desk.state.focus, Focus::Detail);
    click(&mut desk, "waiting_for");
    click(&mut desk, "waiting_for");
    assert_eq!(desk.state.detail.place, Some(fork(4)), "{}", desk.screen());
}

#[test]
fn clicks_beside_the_rows_and_while_something_is_asked_do_nothing() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2");
    let before = desk.state.threads.clone();
    for at in [(0, 0), (79, 23), (5, 22), (5, 15), (200, 200)] {
        mouse(&mut desk, MouseEventKind::Down(MouseButton::Left), at);
    }
    desk.keys("2q");
    click(&mut desk, "Threads");
    assert_eq!((desk.state.threads, desk.state.tab), (before, Tab::Threads));
}

#[test]
fn the_wheel_moves_the_pane_under_it() {
    let mut desk = Desk::new(200, 60);
    desk.keys("1");
    let start = desk.state.tree.selected;
    mouse(&mut desk, MouseEventKind::ScrollDown, (5, 5));
    assert_eq!(desk.state.tree.selected, start + 3);
    mouse(&mut desk, MouseEventKind::ScrollDown, (150, 5));
    assert_eq!((desk.state.tree.selected, desk.state.focus), (start + 3, Focus::Detail));
    mouse(&mut desk, MouseEventKind::ScrollUp, (5, 5));
    assert_eq!((desk.state.tree.selected, desk.state.focus), (start, Focus::List));
}

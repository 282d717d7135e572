//! What the screen shows, in both sizes. Snapshots carry no colours: those are asserted on the buffer.

use std::time::Duration;

use flob_image::State as FlobState;
use flob_link::{Event, Memory};
use flob_session::{HubEvent, LinkState, Owner};
use ratatui::style::Modifier;

use super::world::{Desk, SPACE, environment, fork, info, philosopher, snapshot};
use crate::tui::{memory::ROW, message::Message, theme::Theme, view::rows::MADE};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A snapshot of each size after these keys.
fn both(name: &str, prepare: impl Fn(&mut Desk)) {
    for (width, height) in SIZES {
        let mut desk = Desk::new(width, height);
        prepare(&mut desk);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
    }
}

#[test]
fn the_tree_shows_every_flob_with_its_state() {
    both("flobs", |desk| {
        desk.keys("<Down><Down><Down>");
    });
}

#[test]
fn the_detail_shows_links_fields_and_who_leads_here() {
    both("detail", |desk| {
        desk.keys(":show FORKS[2]<Enter><Up>");
    });
}

#[test]
fn the_threads_say_what_they_wait_for_and_name_the_deadlock() {
    both("threads", |desk| {
        desk.keys("2<Down>");
    });
}

#[test]
fn the_graph_draws_who_waits_for_whom_and_a_deadlock_as_a_ring() {
    both("graph", |desk| {
        desk.keys("4<Down>");
    });
}

#[test]
fn the_graph_in_ascii_says_the_same() {
    let mut desk = Desk::new(80, 24);
    desk.state.theme.unicode = false;
    desk.keys("4");
    assert!(
        desk.screen().contains("`- X philosopher-4 -> FORKS[0], held by philosopher-0"),
        "{}",
        desk.screen()
    );
    assert!(desk.screen().is_ascii(), "{}", desk.screen());
}

#[test]
fn memory_shows_bytes_and_where_registers_point() {
    both("memory", |desk| {
        desk.keys("2m");
        let (address, memory) = (desk.state.memory.top, desk.state.memory.memory);
        let bytes: Vec<u8> = (0..=255).cycle().take(1024).collect();
        desk.tell(Message::Memory { memory, address, result: Ok(bytes) });
    });
}

#[test]
fn the_console_shows_output_and_the_input_line() {
    both("console", |desk| {
        desk.keys("ihello");
    });
}

#[test]
fn checkpoints_are_a_tree() {
    both("checkpoints", |desk| {
        desk.keys("5<Down>");
    });
}

#[test]
fn a_save_shows_its_progress_with_rate_and_time_left() {
    both("saving", |desk| {
        desk.keys("c");
        desk.tell(Message::Progress { phase: "pages".into(), done: 0, total: 1000 });
        desk.state.now = Duration::from_secs(2);
        desk.tell(Message::Progress { phase: "pages".into(), done: 400, total: 1000 });
    });
}

#[test]
fn pending_edits_are_summed_up_before_they_are_applied() {
    both("apply", |desk| {
        desk.keys(":show FORKS[2]<Enter>");
        edit(desk, "locked", "false");
        edit(desk, "owner", "null");
        desk.keys("a");
    });
}

#[test]
fn a_link_is_chosen_from_the_flobs_that_fit() {
    both("choices", |desk| {
        desk.keys(":show FORKS[2]<Enter>");
        select_field(desk, "owner");
        desk.keys("e<Down><Down><Down>");
    });
}

#[test]
fn a_kernel_panic_is_read_in_full() {
    both("panic", |desk| {
        let record = "\n  | === kernel panic ===\n  | index out of bounds\n  | at kernel/src/port.rs:12:5\n  | rip 0xffff8000";
        let text = format!("the guest has died; its logs are beside /logs{record}");
        desk.tell(Message::Hub(HubEvent::GuestEnded(text)));
        desk.tell(Message::Hub(HubEvent::Link(LinkState::Dead)));
    });
}

#[test]
fn leaving_asks_how() {
    both("quit", |desk| {
        desk.keys("q");
    });
}

#[test]
fn the_help_lists_the_whole_table() {
    both("help", |desk| {
        desk.keys("?");
    });
}

#[test]
fn the_palette_shows_what_fits_with_its_keys() {
    both("palette", |desk| {
        desk.keys("^pcheck");
    });
}

#[test]
fn a_lost_link_says_reconnecting_and_how_old_everything_is() {
    both("lost", |desk| {
        desk.tell(Message::Hub(HubEvent::Link(LinkState::Lost)));
        desk.state.now = Duration::from_secs(12);
    });
}

#[test]
fn a_death_is_shown() {
    both("died", |desk| {
        let event = Event::Died { thread: philosopher(3), code: 7, detail: 0, address: 0x40_1234 };
        desk.tell(Message::Hub(HubEvent::Guest(event)));
    });
}

#[test]
fn the_log_has_each_action_as_the_command_that_does_the_same() {
    both("log", |desk| {
        desk.keys("pr:why PHILOSOPHERS[1]<Enter>:show FORKS[2]<Enter>7");
    });
}

#[test]
fn a_value_is_checked_while_it_is_typed() {
    both("edit", |desk| {
        desk.keys(":show FORKS[2]<Enter>");
        select_field(desk, "locked");
        desk.keys("e<Back><Back>");
    });
}

#[test]
fn a_checkpoint_stands_there_without_a_guest() {
    for (tab, key) in [("flobs", "1"), ("threads", "2"), ("graph", "4"), ("calls", "8")] {
        both(&format!("opened_{tab}"), |desk| {
            desk.tell(Message::Opened(Ok(("5ca1ab1e".into(), snapshot(environment(true), None)))));
            desk.keys(key);
        });
    }
}

#[test]
fn what_differs_between_two_checkpoints_is_read_over_everything() {
    both("differences", |desk| {
        let lines = ["mutex:philosophers/FORKS[2]", "  locked: true → false", "1 flob differs, no page"];
        let lines = lines.map(str::to_owned).to_vec();
        desk.tell(Message::Compared("5ca1ab1e and 0ddba11".into(), Ok(lines)));
    });
}

#[test]
fn a_filtered_list_says_what_it_is_filtered_by() {
    both("filtered", |desk| {
        desk.keys("2fphilosopher-<Enter>o");
    });
}

/// Selects a field of the detail pane and types a new value for it.
pub fn edit(desk: &mut Desk, field: &str, value: &str) {
    select_field(desk, field);
    desk.keys("e");
    let old = match &desk.state.mode {
        crate::tui::state::Mode::Edit(editor) => editor.line.text().chars().count(),
        other => panic!("not editing but {other:?}"),
    };
    desk.keys(&"<Back>".repeat(old)).keys(value).keys("<Enter>");
}

pub fn select_field(desk: &mut Desk, field: &str) {
    let rows = crate::tui::commands::navigate::detail_rows(&desk.state);
    let index = rows.iter().position(|row| row.editable() == Some(field)).expect("the field is there");
    desk.state.detail.list.selected = index;
}

fn styled_line(desk: &Desk, text: &str) -> (String, Vec<ratatui::style::Style>) {
    let buffer = desk.buffer();
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width);
    let mut found = lines.filter_map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.contains(text).then(|| (line, cells.iter().map(|cell| cell.style()).collect()))
    });
    found.next().unwrap_or_else(|| panic!("no line has {text}:\n{}", desk.screen()))
}

fn after_a_step(theme: Theme) -> Desk {
    let mut desk = Desk::new(80, 24);
    desk.state.theme = theme;
    let mut next = environment(true);
    if let FlobState::Thread(state) = &mut next.flob_mut(philosopher(0)).expect("a thread").state {
        state.registers.rip += 3;
    }
    desk.look(next);
    desk.keys(":show PHILOSOPHERS[0]<Enter>");
    select_field(&mut desk, "registers.rip");
    desk.tell(Message::Tick);
    desk
}

#[test]
fn a_changed_value_has_a_mark_and_a_colour() {
    let theme = Theme { colour: true, unicode: true };
    let desk = after_a_step(theme);
    let (line, styles) = styled_line(&desk, "registers.rip");
    assert!(line.contains("* registers.rip"), "{line}");
    let column = line.chars().position(|letter| letter == '*').expect("a mark");
    assert_eq!(styles[column].fg, theme.changed().fg);
    let (other, _) = styled_line(&desk, "registers.rsp ");
    assert!(!other.contains('*'), "{other}");
}

#[test]
fn without_colour_nothing_is_coloured_and_the_mark_stays() {
    let desk = after_a_step(Theme { colour: false, unicode: false });
    let buffer = desk.buffer();
    let coloured = |cell: &ratatui::buffer::Cell| {
        cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
    };
    assert!(!buffer.content.iter().any(coloured));
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()), "{}", desk.screen());
    assert!(styled_line(&desk, "registers.rip").0.contains("* registers.rip"));
}

#[test]
fn the_selected_row_is_reversed() {
    let mut desk = Desk::new(80, 24);
    desk.keys("2<Down>");
    let (_, styles) = styled_line(&desk, "philosopher-1  ");
    assert!(styles[2].add_modifier.contains(Modifier::REVERSED));
}

#[test]
fn a_deadlock_is_red_and_has_a_sign() {
    let desk = Desk::new(80, 24);
    let (line, styles) = styled_line(&desk, "DEADLOCK of 5");
    let column = line.chars().position(|letter| letter == 'D').expect("the word");
    assert_eq!(styles[column].fg, desk.state.theme.trouble().fg);
    assert!(line.contains('✖'));
    assert!(desk.screen().matches("philosopher-0").count() > 2, "the whole ring is named");
}

#[test]
fn held_threads_are_said_to_be_held() {
    let mut desk = Desk::new(80, 24);
    desk.tell(Message::Info(info(&[Owner::User])));
    assert!(desk.screen().contains("partly held"), "the threads still run");
    assert!(desk.screen().contains("resume") && desk.screen().contains("pause"));
    let mut held = environment(true);
    for flob in &mut held.flobs {
        if let FlobState::Thread(thread) = &mut flob.state {
            thread.flags = flob_abi::thread_flag::STOPPED;
        }
    }
    desk.look(held);
    assert!(desk.screen().contains("■ held"), "{}", desk.screen());
    assert!(desk.screen().contains("resume") && !desk.screen().contains("pause"));
}

#[test]
fn every_size_can_be_drawn() {
    for width in 1..130 {
        let mut desk = Desk::new(width, width % 31 + 1);
        for keys in [
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "8f<Enter>",
            "^psave<Esc>",
            "9",
            "?<Esc>",
            "q<Esc>",
            "1<Enter>e",
            "<Esc>c",
        ] {
            desk.keys(keys);
            desk.screen();
        }
    }
}

#[test]
fn drawing_a_hundred_thousand_flobs_makes_only_the_visible_rows() {
    let mut many = environment(true);
    let mutex = many.flob(fork(0)).expect("a fork").clone();
    many.flobs.extend((0..100_000u64).map(|number| {
        let mut copy = mutex.clone();
        copy.place = 0x100_0000 + number * 0x200;
        copy
    }));
    let mut desk = Desk::new(200, 60);
    desk.look(many);
    for keys in ["1", "<End>", "<Up><Up>", "2", "1<Enter>", "<Back>"] {
        desk.keys(keys);
        MADE.with(|made| made.set(0));
        desk.screen();
        let made = MADE.with(std::cell::Cell::get);
        assert!(made <= 3 * 60, "{made} rows made for a screen of 60 lines");
    }
    assert!(desk.state.visible.len() > 100_000);
    assert!(desk.state.tree.selected > 100_000, "the end was reached");
}

#[test]
fn memory_asks_only_for_what_is_visible() {
    let mut desk = Desk::new(80, 24);
    desk.done();
    desk.keys("3");
    let asked = desk.done();
    let rows = crate::tui::layout::list_height(&desk.state) as u64;
    let expected = crate::tui::message::Ask::Read {
        checkpoint: None,
        memory: Memory::Space(SPACE),
        address: desk.state.memory.top,
        count: (rows * ROW) as u32,
    };
    assert_eq!(asked, [expected]);
}

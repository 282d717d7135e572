//! The Memory tab as code: what it shows, how one moves in it; the heat of recent changes.

use std::time::Duration;

use flob_link::Memory;

use super::world::{Desk, SPACE, fork};
use crate::tui::{
    message::{Ask, Message},
    state::Tab,
};

/// Where the first philosopher stands, in its function.
const RIP: u64 = 0x40_1230;

/// As many instructions of one, three and five bytes as are asked for: `push rbp`, `mov rbp,rsp`, `call take`.
fn code(address: u64, count: u32) -> Vec<u8> {
    let call = |at: u64| {
        let distance = (0x40_1200 - (at as i64 + 5)) as i32;
        let mut bytes = vec![0xe8];
        bytes.extend(distance.to_le_bytes());
        bytes
    };
    let mut bytes = Vec::new();
    let mut at = 0x40_0000 + (address - 0x40_0000) / 9 * 9;
    while bytes.len() < count as usize + 9 {
        bytes.extend([0x55, 0x48, 0x89, 0xe5]);
        bytes.extend(call(at + 4));
        at += 9;
    }
    let skip = ((address - 0x40_0000) % 9) as usize;
    bytes[skip..skip + count as usize].to_vec()
}

/// Answers what was asked of memory last.
fn answer(desk: &mut Desk) {
    let asked = desk.done().into_iter().rev().find_map(|ask| match ask {
        Ask::Read { memory, address, count, .. } => Some((memory, address, count)),
        _ => None,
    });
    if let Some((memory, address, count)) = asked {
        desk.tell(Message::Memory { memory, address, result: Ok(code(address, count)) });
    }
}

fn desk(width: u16, height: u16) -> Desk {
    let mut desk = Desk::new(width, height);
    desk.keys("3:goto 0x401231<Enter>D");
    answer(&mut desk);
    desk
}

#[test]
fn memory_is_shown_as_instructions_with_names_and_who_stands_there() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("code_{width}x{height}"), desk(width, height).screen());
    }
}

#[test]
fn one_moves_from_instruction_to_instruction_beyond_the_edges_of_the_screen() {
    let mut desk = desk(80, 24);
    assert_eq!((desk.state.memory.memory, desk.state.memory.cursor), (Memory::Space(SPACE), 0x40_1231));
    let starts = |address: u64| [0, 1, 4].contains(&((address - 0x40_0000) % 9));
    assert!(starts(0x40_1231));
    let mut seen = vec![0x40_1231];
    // As far as the function begins.
    for _ in 0..17 {
        desk.keys("<Up>");
        answer(&mut desk);
        seen.push(desk.state.memory.cursor);
    }
    assert!(seen.iter().all(|address| starts(*address)), "{seen:x?}");
    assert!(seen.windows(2).all(|pair| pair[1] < pair[0]), "{seen:x?}");
    for _ in 0..17 {
        desk.keys("<Down>");
        answer(&mut desk);
    }
    assert_eq!(desk.state.memory.cursor, 0x40_1231, "the same way back");
    for _ in 0..30 {
        desk.keys("<Down>");
        answer(&mut desk);
        let (cursor, screen) = (desk.state.memory.cursor, desk.screen());
        assert!(
            starts(cursor) && screen.contains(&format!(" {cursor:x}")),
            "{cursor:x} is visible: {screen}"
        );
    }
}

#[test]
fn where_memory_begins_nothing_is_read_before_it() {
    let mut desk = Desk::new(80, 24);
    desk.keys("3:goto 0x401000<Enter>D");
    desk.done();
    let (memory, address) = (desk.state.memory.memory, 0x40_0f00);
    desk.tell(Message::Memory { memory, address, result: Err("there is no memory at this address".into()) });
    let asked = desk.done();
    assert!(
        asked.iter().any(|ask| matches!(ask, Ask::Read { address: 0x40_1000, .. })),
        "what is wanted itself is asked for: {asked:?}"
    );
    desk.tell(Message::Memory { memory, address: 0x40_1000, result: Ok(code(0x40_1000, 400)) });
    assert!(!desk.screen().contains("no memory"), "{}", desk.screen());
    assert_eq!(desk.state.memory.visible_code().first().map(|one| one.address), Some(0x40_1000));
    let repeated = desk.done();
    assert!(repeated.is_empty(), "it is asked for once: {repeated:?}");
}

#[test]
fn registers_and_flobs_are_marked_in_the_memory_of_a_space() {
    let desk = desk(120, 40);
    let line = desk.screen().lines().find(|line| line.contains(&format!("{RIP:x} "))).map(str::to_owned);
    assert!(line.is_none_or(|line| line.contains("rip philosopher-0")));
    assert!(desk.screen().contains("< "), "{}", desk.screen());
    // Flobs of the environment's memory that the space sees: none lie in its code, the forks at their places do in theirs.
    let snapshot = desk.state.shown().expect("a look has come");
    let marks = snapshot.marks(SPACE, 0x40_0000, 0x10_0000);
    let forks = marks.iter().filter(|(_, name)| name.contains("FORKS")).count();
    assert_eq!(forks, if (0x4000..0x10_4000).contains(&fork(0)) { 5 } else { 0 }, "{marks:?}");
}

#[test]
fn what_has_changed_is_hot_and_cools_down() {
    let mut desk = Desk::new(120, 40);
    desk.keys("3");
    let (memory, address) = (desk.state.memory.memory, desk.state.memory.top);
    let tell = |desk: &mut Desk, byte: u8| {
        let result = Ok(vec![byte; 256]);
        desk.tell(Message::Memory { memory, address, result });
    };
    tell(&mut desk, 1);
    let style = |desk: &Desk| {
        let buffer = desk.buffer();
        let cell = buffer.content.iter().zip(buffer.content.iter().skip(1));
        // The second byte: the first is under the cursor.
        let mut pairs = cell.filter(|(one, next)| one.symbol() == "0" && ["1", "2"].contains(&next.symbol()));
        pairs.nth(1).map(|(one, _)| one.style())
    };
    tell(&mut desk, 2);
    let theme = desk.state.theme;
    assert_eq!(style(&desk).and_then(|style| style.fg), theme.changed().fg);
    tell(&mut desk, 2);
    desk.state.now = Duration::from_secs(20);
    let warm = theme.heat(Duration::from_secs(20));
    assert_eq!(style(&desk).map(|style| (style.fg, style.add_modifier)), Some((warm.fg, warm.add_modifier)));
    desk.state.now = Duration::from_secs(40);
    tell(&mut desk, 2);
    assert!(style(&desk).is_some_and(|style| style.fg != theme.changed().fg), "it is cold");
    assert_eq!(desk.state.tab, Tab::Memory);
}

#[test]
fn the_code_of_a_thread_is_a_key_away() {
    for keys in ["2<Down>D", "2<Down><Enter>D", "2<Down>mD:goto rip<Enter>"] {
        let mut desk = Desk::new(80, 24);
        desk.keys(keys);
        answer(&mut desk);
        let memory = &desk.state.memory;
        assert_eq!((memory.memory, memory.cursor, memory.is_code), (Memory::Space(SPACE), RIP + 4, true));
        assert!(desk.screen().contains("rip philosopher-1"), "{}", desk.screen());
    }
}

#[test]
fn memory_begins_at_a_threads_stack_and_stays_where_it_was_left() {
    let mut desk = Desk::new(80, 24);
    desk.keys("3");
    assert_eq!((desk.state.memory.memory, desk.state.memory.cursor), (Memory::Space(SPACE), 0x60_0ff0));
    let mut desk = Desk::new(80, 24);
    desk.keys("2<Down>3");
    assert_eq!(desk.state.memory.cursor, 0x60_1ff0, "of the thread that is selected");
    desk.keys(":goto 0x401000<Enter>2<Down>3");
    assert_eq!(desk.state.memory.cursor, 0x40_1000);
}

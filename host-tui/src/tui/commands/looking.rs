//! Looking: search, show, why, memory, help.

use flob_abi::FlobKind;
use flob_image::{Place, State as FlobState};
use flob_link::Memory;

use super::super::{
    detail::Row,
    layout::{has_detail, list_height},
    line::Line,
    memory::MemoryView,
    message::Ask,
    palette::Palette,
    state::{LogKind, Mode, State, Tab},
    text,
};
use super::{control, log_command, navigate, trouble};

/// Begins a search, or searches for what is given.
pub fn search(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.mode = Mode::Search(Line::default());
        return Vec::new();
    }
    state.search = arguments.to_owned();
    next(state, "")
}

/// To the next match.
pub fn next(state: &mut State, _: &str) -> Vec<Ask> {
    find(state, true)
}

/// To the match before.
pub fn previous(state: &mut State, _: &str) -> Vec<Ask> {
    find(state, false)
}

/// Searches the names in the order of the tree, from the selected flob on and around the end.
fn find(state: &mut State, forward: bool) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return trouble(state, text::NOTHING_YET) };
    let needle = state.search.to_lowercase();
    let threads_only = matches!(state.tab, Tab::Threads | Tab::Graph);
    let start = navigate::selected_flob(state).and_then(|place| snapshot.index_of(place));
    let start = start.and_then(|index| snapshot.row_of.get(index)).map_or(0, |row| *row as usize);
    let count = snapshot.rows.len();
    let matching = |row: usize| -> Option<Place> {
        let super::super::tree::Node::Flob(index) = snapshot.rows.get(row)?.node else { return None };
        let flob = snapshot.environment.flobs.get(index as usize)?;
        let fits = !threads_only || flob.state.kind() == FlobKind::Thread;
        let name = snapshot.names.get(index as usize)?;
        (fits && name.to_lowercase().contains(&needle)).then_some(flob.place)
    };
    let step = |by: usize| if forward { start + by } else { start + count - by };
    let found = (1..=count).map(|by| step(by) % count.max(1)).find_map(matching);
    match found {
        Some(place) => {
            if !has_detail(state.tab) {
                state.tab = Tab::Flobs;
            }
            state.focus = super::super::state::Focus::List;
            navigate::select(state, place);
        }
        None => state.notice = Some((LogKind::Trouble, text::NOT_FOUND.into())),
    }
    Vec::new()
}

/// `show FLOB`.
pub fn show(state: &mut State, arguments: &str) -> Vec<Ask> {
    let Some(snapshot) = state.shown() else { return trouble(state, text::NOTHING_YET) };
    match snapshot.find(arguments) {
        Ok(place) => {
            let name = state.name(place);
            log_command(state, &["show", &name]);
            navigate::select(state, place);
            navigate::visit(state, place);
            Vec::new()
        }
        Err(error) => trouble(state, error),
    }
}

/// `why THREAD`.
pub fn why(state: &mut State, arguments: &str) -> Vec<Ask> {
    match control::thread(state, arguments) {
        Ok(place) => {
            let name = state.name(place);
            let sentence =
                state.shown().and_then(|snapshot| snapshot.facts_of(place)).map(|facts| facts.why.clone());
            log_command(state, &["why", &name]);
            state.tell(LogKind::Note, sentence.unwrap_or_default());
            Vec::new()
        }
        Err(error) => trouble(state, error),
    }
}

/// Shows memory where the selected flob is, or where it points: a thread's stack, a mapping's start.
pub fn memory(state: &mut State, _: &str) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return trouble(state, text::NOTHING_YET) };
    let Some(place) = navigate::current_flob(state) else {
        return navigate::bytes(state, "");
    };
    let space = snapshot.home(place).map_or(Memory::Environment, Memory::Space);
    let (memory, address) = match snapshot.environment.flob(place).map(|flob| &flob.state) {
        Some(FlobState::Thread(thread)) => (space, thread.registers.rsp),
        Some(FlobState::Mapping(mapping)) => (space, mapping.start),
        Some(FlobState::Region(region)) => (space, region.start),
        _ => (Memory::Environment, place),
    };
    state.tab = Tab::Memory;
    show_memory(state, memory, address)
}

/// Shows this memory from this address on.
pub fn show_memory(state: &mut State, memory: Memory, address: u64) -> Vec<Ask> {
    let height = list_height(state);
    state.memory.go(memory, address, height);
    read_memory(state)
}

/// Asks for the visible bytes, unless they were asked for and have not come.
pub fn read_memory(state: &mut State) -> Vec<Ask> {
    let rows = list_height(state).max(1) as u64;
    let (address, count) = state.memory.wanted(rows);
    let count = u32::try_from(count).unwrap_or(u32::MAX).min(1 << 16);
    if state.memory.asked == Some((address, count)) || state.opened.is_none() && !state.has_hub() {
        return Vec::new();
    }
    state.memory.asked = Some((address, count));
    let checkpoint = state.opened.as_ref().map(|(id, _)| id.clone());
    vec![Ask::Read { checkpoint, memory: state.memory.memory, address, count }]
}

/// Rows are instructions, or bytes again.
pub fn disassemble(state: &mut State, _: &str) -> Vec<Ask> {
    state.memory.is_code = !state.memory.is_code;
    state.memory.top = state.memory.cursor;
    state.memory.code.clear();
    state.memory.asked = None;
    let height = list_height(state);
    state.memory.settle(height);
    read_memory(state)
}

/// Bytes have come: their instructions get the names that are known now.
pub fn name_code(state: &mut State) {
    let snapshot = state.shown().cloned();
    state.memory.disassemble(&|address| snapshot.as_ref()?.covering(address));
}

/// The bytes on screen belong to something else now.
pub fn forget_memory(state: &mut State) {
    let MemoryView { memory, top, cursor, is_code, .. } = state.memory;
    state.memory = MemoryView { memory, top, cursor, is_code, ..MemoryView::default() };
}

/// The address that a text means: a number, a register's or symbol's name, or a flob.
pub fn address(state: &State, text: &str) -> Result<u64, String> {
    let text = text.trim();
    let number = flob_image::fields::value::parse_number(text);
    let symbol = || state.shown().and_then(|snapshot| snapshot.symbol(text));
    let flob = || state.shown().and_then(|snapshot| snapshot.find(text).ok());
    number.or_else(symbol).or_else(flob).ok_or_else(|| text::no_such_address(text))
}

/// `goto ADDRESS`; without one it is asked for.
pub fn goto(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.mode = Mode::Command(Line::new("goto "));
        return Vec::new();
    }
    match address(state, arguments) {
        Ok(address) => {
            let memory = memory_of(state, arguments);
            state.tab = Tab::Memory;
            show_memory(state, memory, address)
        }
        Err(error) => trouble(state, error),
    }
}

/// The memory in which a place lies that was named: a flob's is the environment's, a symbol's a space's; a number is of what is
/// shown, or of the space of the flob that has the attention.
fn memory_of(state: &State, text: &str) -> Memory {
    let present = state.memory.memory;
    let Some(snapshot) = state.shown() else { return present };
    let is_number = flob_image::fields::value::parse_number(text.trim()).is_some();
    let is_symbol = !is_number && snapshot.symbol(text).is_some();
    let of_attention = || navigate::current_flob(state).and_then(|place| snapshot.home(place));
    let first = || {
        let is_space = |flob: &&flob_image::Flob| flob.state.kind() == FlobKind::Space;
        snapshot.environment.flobs.iter().find(is_space).map(|space| space.place)
    };
    match present {
        _ if !is_number && !is_symbol => Memory::Environment,
        Memory::Space(_) => present,
        Memory::Environment if is_number && state.tab == Tab::Memory => present,
        Memory::Environment => of_attention().or_else(first).map_or(present, Memory::Space),
    }
}

/// Puts what is selected into the clipboard.
pub fn copy(state: &mut State, arguments: &str) -> Vec<Ask> {
    let named = Some(arguments.to_owned()).filter(|text| !text.is_empty());
    match named.or_else(|| selected_text(state)) {
        Some(text) => {
            state.notice = Some((LogKind::Note, text::copied(&text)));
            vec![Ask::Copy(text)]
        }
        None => trouble(state, text::NOTHING_TO_COPY),
    }
}

/// What is selected, as one would type it: a name, a value, an address, an id, a command.
fn selected_text(state: &State) -> Option<String> {
    match state.tab {
        tab if has_detail(tab) && state.focus == super::super::state::Focus::Detail => {
            let rows = navigate::detail_rows(state);
            match rows.get(state.detail.list.selected)? {
                Row::Field { value, .. } | Row::Link { value, .. } => Some(value.clone()),
                Row::Incoming { source, .. } => Some(state.name(*source)),
                Row::Sentence(text) => Some(text.clone()),
                Row::Heading(_) => None,
            }
        }
        Tab::Flobs | Tab::Threads | Tab::Graph => {
            navigate::selected_flob(state).map(|place| state.name(place))
        }
        Tab::Memory => Some(format!("{:#x}", state.memory.cursor)),
        Tab::Checkpoints => state.selected_checkpoint().map(|saved| saved.id.clone()),
        Tab::Calls => state.calls.selected().map(|row| row.described.asked()),
        Tab::Breakpoints => state.points.address().map(|(_, address)| format!("{address:#x}")),
        Tab::Console => state.console.visible(list_height(state)).last().map(|line| line.text.clone()),
        Tab::Log => {
            let mut above = state.shown_log().rev().skip(state.log_back);
            above.find(|line| line.kind == LogKind::Command).map(|line| line.text.clone())
        }
    }
}

/// `peek ADDRESS`.
pub fn peek(state: &mut State, arguments: &str) -> Vec<Ask> {
    log_command(state, &["peek", arguments]);
    state.tab = Tab::Memory;
    goto(state, arguments)
}

/// The memory of the space that is named, or of the next one; behind the last comes the environment itself.
pub fn space(state: &mut State, arguments: &str) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return trouble(state, text::NOTHING_YET) };
    if !arguments.is_empty() {
        return match snapshot.find(arguments) {
            Ok(place) => {
                let address = first_address(&snapshot, place);
                show_memory(state, Memory::Space(place), address)
            }
            Err(error) => trouble(state, error),
        };
    }
    let spaces = snapshot.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Space);
    let mut places = spaces.map(|flob| flob.place);
    let next = match state.memory.memory {
        Memory::Environment => places.next(),
        Memory::Space(current) => places.find(|place| *place > current),
    };
    match next {
        Some(place) => show_memory(state, Memory::Space(place), first_address(&snapshot, place)),
        None => show_memory(state, Memory::Environment, 0),
    }
}

/// Where the lowest mapping of a space begins.
fn first_address(snapshot: &super::super::snapshot::Snapshot, space: Place) -> u64 {
    let starts = snapshot.environment.flobs.iter().filter_map(|flob| match &flob.state {
        FlobState::Mapping(mapping) if snapshot.home(flob.place) == Some(space) => Some(mapping.start),
        _ => None,
    });
    starts.min().unwrap_or(0)
}

/// The help.
pub fn help(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Help(0);
    Vec::new()
}

/// The palette.
pub fn palette(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Palette(Palette::new(state));
    Vec::new()
}

/// The command line.
pub fn command(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Command(Line::default());
    Vec::new()
}

/// Looks again at once.
pub fn look_again(_: &mut State, _: &str) -> Vec<Ask> {
    vec![Ask::Look]
}

/// Draws everything anew.
pub fn redraw(_: &mut State, _: &str) -> Vec<Ask> {
    vec![Ask::Redraw]
}

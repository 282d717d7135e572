//! Looking at memory: where, of what, as bytes or as instructions.

use flob_abi::FlobKind;
use flob_image::{Flob, Place, State as FlobState};
use flob_link::Memory;
use flob_session::address::{self, Address};

use super::super::{
    layout::list_height,
    line::Line,
    memory::MemoryView,
    message::Ask,
    snapshot::Snapshot,
    state::{Mode, State, Tab},
    text,
};
use super::{log_command, navigate, trouble};

/// The tab, as it was left; at first the stack of the thread that has the attention, or of the first one.
pub fn open(state: &mut State) -> Vec<Ask> {
    state.tab = Tab::Memory;
    let first = || state.shown()?.threads.first().map(|facts| facts.place);
    match attentive_thread(state).map(|thread| thread.place).or_else(first) {
        Some(place) if !state.memory.was_chosen => show_flob(state, place),
        _ => read_memory(state),
    }
}

/// Shows memory where the selected flob is, or where it points: a thread's stack, a mapping's start.
pub fn memory(state: &mut State, _: &str) -> Vec<Ask> {
    if state.shown().is_none() {
        return trouble(state, text::NOTHING_YET);
    }
    match navigate::current_flob(state) {
        Some(place) => show_flob(state, place),
        None => navigate::bytes(state, ""),
    }
}

fn show_flob(state: &mut State, place: Place) -> Vec<Ask> {
    let Some(snapshot) = state.shown() else { return trouble(state, text::NOTHING_YET) };
    let space = home(snapshot, place);
    let (memory, address) = match snapshot.environment.flob(place).map(|flob| &flob.state) {
        Some(FlobState::Thread(thread)) => (space, thread.registers.rsp),
        Some(FlobState::Mapping(mapping)) => (space, mapping.start),
        Some(FlobState::Region(region)) => (space, region.start),
        _ => (Memory::Environment, place),
    };
    state.tab = Tab::Memory;
    show_memory(state, memory, address)
}

/// The memory of the space that a flob lies in.
fn home(snapshot: &Snapshot, place: Place) -> Memory {
    snapshot.home(place).map_or(Memory::Environment, Memory::Space)
}

/// The flob that has the attention, if it is a thread.
pub fn attentive_thread(state: &State) -> Option<&Flob> {
    let flob = state.shown()?.environment.flob(navigate::current_flob(state)?)?;
    (flob.state.kind() == FlobKind::Thread).then_some(flob)
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

/// Rows are instructions, or bytes again; from elsewhere the instructions at which the thread stands that has the attention.
pub fn disassemble(state: &mut State, _: &str) -> Vec<Ask> {
    let thread = attentive_thread(state).filter(|_| state.tab != Tab::Memory);
    let stands =
        |thread: &Flob| Some((home(state.shown()?, thread.place), address::register(thread, "rip")?));
    if let Some((memory, address)) = thread.and_then(stands) {
        state.tab = Tab::Memory;
        state.memory.show_rows(true);
        return show_memory(state, memory, address);
    }
    state.memory.show_rows(!state.memory.is_code);
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
    let MemoryView { memory, top, cursor, is_code, was_chosen, .. } = state.memory;
    state.memory = MemoryView { memory, top, cursor, is_code, was_chosen, ..MemoryView::default() };
}

/// `goto ADDRESS`; without one it is asked for.
pub fn goto(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.mode = Mode::Command(Line::new("goto "));
        return Vec::new();
    }
    match find(state, arguments) {
        Ok((memory, address)) => {
            state.tab = Tab::Memory;
            show_memory(state, memory, address)
        }
        Err(error) => trouble(state, error),
    }
}

/// The memory and the address that a text means: a number, what is in a register of the thread that has the attention, the place of a
/// symbol or of a line of the source (`FILE:LINE`), or a flob in the environment's memory.
pub fn find(state: &State, text: &str) -> Result<(Memory, u64), String> {
    let snapshot = state.shown().ok_or(text::NOTHING_YET)?;
    let symbol = |name: &str| snapshot.symbol(name);
    Ok(match address::find(text, &snapshot.names, attentive_thread(state), symbol)? {
        Address::Number(address) => (memory_of_number(state, snapshot), address),
        Address::Register(thread, address) => (home(snapshot, thread), address),
        Address::Symbol(address) => (memory_of_symbol(state, snapshot), address),
        Address::Flob(place) => (Memory::Environment, place),
    })
}

/// A number is an address in what is shown; from elsewhere in the space of the flob that has the attention.
fn memory_of_number(state: &State, snapshot: &Snapshot) -> Memory {
    match state.memory.memory {
        Memory::Environment if state.tab == Tab::Memory => Memory::Environment,
        _ => memory_of_symbol(state, snapshot),
    }
}

/// A symbol is one of the space that is shown, or else of the one that has the attention, or of the first.
fn memory_of_symbol(state: &State, snapshot: &Snapshot) -> Memory {
    let of_attention = || navigate::current_flob(state).and_then(|place| snapshot.home(place));
    let first = || {
        let is_space = |flob: &&Flob| flob.state.kind() == FlobKind::Space;
        snapshot.environment.flobs.iter().find(is_space).map(|space| space.place)
    };
    match state.memory.memory {
        Memory::Environment => of_attention().or_else(first).map_or(Memory::Environment, Memory::Space),
        space => space,
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
        return match snapshot.names.find_kind(arguments, FlobKind::Space) {
            Ok(place) => {
                let address = first_address(&snapshot, place);
                show_memory(state, Memory::Space(place), address)
            }
            Err(unclear) => trouble(state, unclear),
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
fn first_address(snapshot: &Snapshot, space: Place) -> u64 {
    let starts = snapshot.environment.flobs.iter().filter_map(|flob| match &flob.state {
        FlobState::Mapping(mapping) if snapshot.home(flob.place) == Some(space) => Some(mapping.start),
        _ => None,
    });
    starts.min().unwrap_or(0)
}

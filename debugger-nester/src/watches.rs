//! Watched memory and hardware breakpoints: what each space's threads have in their debug registers for them, and what
//! is meant when one of these fires. A range that no single register covers takes several.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use flob_abi::DebugRegisters;
use flob_image::Place;
use flob_link::{Access, Hit, Watch};

/// Debug registers that hold an address.
pub const REGISTERS: usize = 4;
/// The bits of DR7 that arm them.
const ARMED: u64 = 0xff;
/// The bit of DR7 that is always 1.
const ALWAYS: u64 = 0x400;

/// What one register can watch: 1, 2, 4 or 8 bytes, aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    address: u64,
    bytes: u64,
    access: Access,
}

/// All that is watched, by spaces.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    spaces: BTreeMap<Place, Watched>,
    /// Registers that threads have been given: by these they are known for ours.
    given: Vec<DebugRegisters>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    watches: BTreeSet<Watch>,
    registers: [Option<Piece>; REGISTERS],
}

impl Watches {
    /// Adds one. How many registers the watches of its space would take, if that is too many.
    pub fn set(&mut self, watch: Watch) -> Result<(), usize> {
        let space = self.spaces.entry(watch.space).or_default();
        let mut wanted = space.pieces();
        wanted.extend(pieces(&watch).filter(|piece| !space.registers.contains(&Some(*piece))));
        if wanted.len() > REGISTERS {
            return Err(wanted.len());
        }
        space.watches.insert(watch);
        space.assign(&wanted);
        self.note(watch.space);
        Ok(())
    }

    /// Takes one away; whether it was there.
    pub fn clear(&mut self, watch: Watch) -> bool {
        let Some(space) = self.spaces.get_mut(&watch.space) else { return false };
        let was_there = space.watches.remove(&watch);
        let mut wanted: Vec<Piece> = Vec::new();
        for piece in space.watches.iter().flat_map(pieces) {
            if !wanted.contains(&piece) {
                wanted.push(piece);
            }
        }
        space.assign(&wanted);
        if space.watches.is_empty() {
            self.spaces.remove(&watch.space);
        }
        self.note(watch.space);
        was_there
    }

    fn note(&mut self, space: Place) {
        if let Some(registers) = self.registers(space).filter(|registers| !self.given.contains(registers)) {
            self.given.push(registers);
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Watch> {
        self.spaces.values().flat_map(|space| &space.watches).copied().collect()
    }

    /// The spaces in which anything is watched.
    pub fn spaces(&self) -> Vec<Place> {
        self.spaces.keys().copied().collect()
    }

    /// What the debug registers of this space's threads are to hold, if anything is watched there.
    pub fn registers(&self, space: Place) -> Option<DebugRegisters> {
        let mut registers = nothing();
        for ((index, piece), address) in
            self.spaces.get(&space)?.registers.iter().enumerate().zip(&mut registers.address)
        {
            let Some(piece) = piece else { continue };
            *address = piece.address;
            let kind = match piece.access {
                Access::Execute => 0,
                Access::Write => 1,
                Access::ReadWrite | Access::Read => 3,
            };
            let length = match piece.bytes {
                8 => 2,
                bytes => bytes - 1,
            };
            registers.dr7 |= 1 << (2 * index) | (kind | length << 2) << (16 + 4 * index);
        }
        Some(registers)
    }

    /// Whether these debug registers come from here, and not from the program.
    pub fn is_ours(&self, registers: &DebugRegisters) -> bool {
        let same = |given: &DebugRegisters| given.address == registers.address && given.dr7 == registers.dr7;
        self.given.iter().any(same)
    }

    /// What a debug exception of a thread of this space is about, by the bits of DR6: where, and what access.
    pub fn hits(&self, space: Place, status: u32) -> Vec<Hit> {
        let registers =
            self.spaces.get(&space).into_iter().flat_map(|space| space.registers.iter().enumerate());
        let pieces = registers.filter(|(index, _)| status & 1 << index != 0).filter_map(|(_, piece)| *piece);
        pieces.map(|Piece { address, access, .. }| Hit { address, access }).collect()
    }

    /// Whether there are hardware breakpoints.
    pub fn has_breakpoints(&self) -> bool {
        self.spaces.values().flat_map(|space| &space.watches).any(|watch| watch.access == Access::Execute)
    }

    /// Whether there is a hardware breakpoint at this address of any space.
    pub fn is_breakpoint(&self, address: u64) -> bool {
        let mut watches = self.spaces.values().flat_map(|space| &space.watches);
        watches.any(|watch| watch.access == Access::Execute && watch.address == address)
    }
}

impl Watched {
    fn pieces(&self) -> Vec<Piece> {
        self.registers.iter().flatten().copied().collect()
    }

    /// A piece that stays keeps its register: threads may have an exception by its number already.
    fn assign(&mut self, wanted: &[Piece]) {
        for register in &mut self.registers {
            *register = register.filter(|piece| wanted.contains(piece));
        }
        for piece in wanted {
            if !self.registers.contains(&Some(*piece))
                && let Some(free) = self.registers.iter_mut().find(|register| register.is_none())
            {
                *free = Some(*piece);
            }
        }
    }
}

/// Debug registers that watch nothing, and to which nothing has happened.
pub fn nothing() -> DebugRegisters {
    DebugRegisters { address: [0; REGISTERS], dr6: 0xffff_0ff0, dr7: ALWAYS }
}

/// Whether they watch anything.
pub fn is_armed(registers: &DebugRegisters) -> bool {
    registers.dr7 & ARMED != 0
}

/// A range as aligned pieces, the largest that fit first.
fn pieces(watch: &Watch) -> impl Iterator<Item = Piece> + use<> {
    let Watch { address, access, .. } = *watch;
    // An instruction is watched by its first byte.
    let end = address.saturating_add(if access == Access::Execute { 1 } else { watch.bytes.into() });
    let mut next = address;
    core::iter::from_fn(move || {
        let fits = |bytes: &u64| next.is_multiple_of(*bytes) && end - next >= *bytes;
        let bytes = [8, 4, 2, 1].into_iter().find(fits)?;
        next += bytes;
        Some(Piece { address: next - bytes, bytes, access })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(address: u64, bytes: u32, access: Access) -> Watch {
        Watch { space: 7, address, bytes, access }
    }

    #[test]
    fn ranges_are_split_into_what_a_register_can_watch() {
        let split = |address, bytes| {
            pieces(&watch(address, bytes, Access::Write))
                .map(|piece| (piece.address, piece.bytes))
                .collect::<Vec<_>>()
        };
        assert_eq!(split(0x1000, 8), [(0x1000, 8)]);
        assert_eq!(split(0x1003, 4), [(0x1003, 1), (0x1004, 2), (0x1006, 1)]);
        assert_eq!(split(0x1004, 8), [(0x1004, 4), (0x1008, 4)]);
        assert_eq!(split(0x1001, 0), []);
        assert_eq!(split(u64::MAX - 1, 8), [(u64::MAX - 1, 1)], "the last byte of all is nobody's");
    }

    #[test]
    fn the_registers_say_what_the_processor_is_to_do() {
        let mut watches = Watches::default();
        watches.set(watch(0x1000, 4, Access::Write)).expect("room");
        watches.set(watch(0x2000, 8, Access::ReadWrite)).expect("room");
        watches.set(watch(0x3000, 1, Access::Execute)).expect("room");
        let registers = watches.registers(7).expect("watched");
        assert_eq!(registers.address, [0x1000, 0x2000, 0x3000, 0]);
        // Length and access, four bits a register: 4 bytes write, 8 bytes read and write, execute.
        assert_eq!(registers.dr7, 0x00bd_0415);
        let hit = |address, access| Hit { address, access };
        let second = hit(0x2000, Access::ReadWrite);
        assert_eq!(watches.hits(7, 0b10), [second]);
        assert_eq!(watches.hits(7, 0b11), [hit(0x1000, Access::Write), second], "both at once");
        assert_eq!(watches.hits(7, 0b1000), []);
        assert_eq!(watches.hits(8, 0b1), []);
        assert!(watches.is_ours(&registers) && !watches.is_ours(&nothing()));
        assert!(watches.is_breakpoint(0x3000) && !watches.is_breakpoint(0x1000));
    }

    #[test]
    fn beyond_four_registers_nothing_is_changed() {
        let mut watches = Watches::default();
        watches.set(watch(0x1003, 4, Access::Write)).expect("three registers");
        let before = watches.registers(7);
        assert_eq!(watches.set(watch(0x2004, 8, Access::Write)), Err(5));
        assert_eq!(watches.registers(7), before);
        watches.set(watch(0x1004, 2, Access::Write)).expect("shares a register");
        watches.set(watch(0x1003, 4, Access::Write)).expect("is there already");
    }

    #[test]
    fn a_watch_that_stays_keeps_its_register() {
        let mut watches = Watches::default();
        watches.set(watch(0x1000, 8, Access::Write)).expect("room");
        watches.set(watch(0x2000, 8, Access::Write)).expect("room");
        assert!(watches.clear(watch(0x1000, 8, Access::Write)));
        assert!(!watches.clear(watch(0x1000, 8, Access::Write)));
        assert_eq!(watches.hits(7, 0b10), [Hit { address: 0x2000, access: Access::Write }]);
        assert!(watches.clear(watch(0x2000, 8, Access::Write)));
        assert_eq!(watches.registers(7), None);
    }
}

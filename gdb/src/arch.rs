//! The registers as gdb and lldb know them: one [`table`] gives the target description, the layout of the `g` packet and
//! where each register lies in a thread's exported state. Here they are read from such a state, and put into it.

mod table;

use std::num::NonZeroUsize;

use flob_abi::ThreadState;
use flob_image::State;
use gdbstub::arch;

use crate::tag;
use table::{Register, Source, VECTORS, all};

pub use table::{REGISTER_BYTES, target_xml};

/// The number of a register in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterNumber(pub usize);

impl RegisterNumber {
    /// Its size in bytes and where it begins in a `g` packet.
    fn extent(self) -> Option<(usize, usize)> {
        let register = all().nth(self.0)?;
        Some((register.bytes, all().take(self.0).map(|before| before.bytes).sum()))
    }

    /// Whether it lies outside the vector state, so that it can be told without asking for that.
    pub fn is_general(self) -> bool {
        all().nth(self.0).is_some_and(is_general)
    }
}

fn is_general(register: &Register) -> bool {
    match register.source {
        Source::State { offset, .. } => offset < VECTORS,
        Source::Fixed(_) | Source::Call => true,
        Source::Tags => false,
    }
}

/// The general registers that a stop tells by itself: number and bytes.
pub fn expedited(state: &ThreadState) -> Vec<(RegisterNumber, Vec<u8>)> {
    let wanted =
        |register: &Register| matches!(register.source, Source::State { offset, .. } if offset < VECTORS);
    let numbered = all().enumerate().filter(|(_, register)| wanted(register));
    numbered.map(|(number, register)| (RegisterNumber(number), value(register, state, NO_CALL))).collect()
}

/// What `flob_call` reads where a thread waits in none.
pub const NO_CALL: u64 = u64::MAX;

impl arch::RegId for RegisterNumber {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        let (bytes, _) = Self(id).extent()?;
        Some((Self(id), NonZeroUsize::new(bytes)))
    }

    fn to_raw_id(&self) -> Option<usize> {
        Some(self.0)
    }
}

/// All registers of a thread, as they stand in a `g` packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    bytes: Vec<u8>,
}

impl Default for Registers {
    fn default() -> Self {
        Self { bytes: vec![0; REGISTER_BYTES] }
    }
}

impl Registers {
    /// Those of a thread with this state that waits in this call (or [`NO_CALL`]).
    pub fn load(state: &ThreadState, call: u64) -> Self {
        Self { bytes: all().flat_map(|register| value(register, state, call)).collect() }
    }

    /// Puts them into a thread's state.
    pub fn store(&self, state: &mut ThreadState) {
        let mut rest = self.bytes.as_slice();
        for register in all() {
            let (bytes, tail) = rest.split_at_checked(register.bytes).unwrap_or((rest, &[]));
            set_value(register, bytes, state);
            rest = tail;
        }
    }

    /// One of them.
    pub fn get(&self, number: RegisterNumber) -> Option<&[u8]> {
        let (bytes, start) = number.extent()?;
        self.bytes.get(start..start + bytes)
    }

    /// Changes one; `None` if the value has not its size.
    pub fn set(&mut self, number: RegisterNumber, value: &[u8]) -> Option<()> {
        let (bytes, start) = number.extent()?;
        let room = self.bytes.get_mut(start..start + bytes).filter(|_| value.len() == bytes)?;
        room.copy_from_slice(value);
        Some(())
    }
}

impl arch::Registers for Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        let rip = all().position(|register| register.name == "rip");
        let bytes = rip.and_then(|number| self.get(RegisterNumber(number))).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        self.bytes.iter().for_each(|byte| write_byte(Some(*byte)));
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if bytes.len() != REGISTER_BYTES {
            return Err(());
        }
        self.bytes = bytes.to_vec();
        Ok(())
    }
}

fn value(register: &Register, state: &ThreadState, call: u64) -> Vec<u8> {
    let whole = State::Thread(*state);
    let mut bytes = match register.source {
        Source::State { offset, size } => {
            whole.as_bytes().get(offset..offset + size).unwrap_or_default().to_vec()
        }
        Source::Fixed(value) => value.to_le_bytes().to_vec(),
        Source::Tags => tag::full(&state.vectors).to_le_bytes().to_vec(),
        Source::Call => call.to_le_bytes().to_vec(),
    };
    bytes.resize(register.bytes, 0);
    bytes
}

fn set_value(register: &Register, value: &[u8], state: &mut ThreadState) {
    match register.source {
        Source::State { offset, size } => {
            let mut whole = State::Thread(*state);
            if let (Some(room), Some(value)) =
                (whole.as_mut_bytes().get_mut(offset..offset + size), value.get(..size))
            {
                room.copy_from_slice(value);
            }
            if let State::Thread(changed) = whole {
                *state = changed;
            }
        }
        Source::Tags => {
            if let Some(word) = value.first_chunk() {
                tag::set(&mut state.vectors, u16::from_le_bytes(*word));
            }
        }
        Source::Fixed(_) | Source::Call => {}
    }
}

/// x86-64 as flob's threads have it.
pub enum FlobX86 {}

impl arch::Arch for FlobX86 {
    type Usize = u64;
    type Registers = Registers;
    type BreakpointKind = usize;
    type RegId = RegisterNumber;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_state() -> ThreadState {
        let mut state = ThreadState::default();
        state.registers.rax = 0x1122_3344_5566_7788;
        state.registers.rip = 0x40_1000;
        state.registers.rflags = 0x246;
        state.registers.gs_base = 7;
        for (index, byte) in state.vectors.iter_mut().enumerate().take(416) {
            *byte = index as u8;
        }
        state
    }

    #[test]
    fn a_thread_that_is_read_and_written_back_is_the_same() {
        let state = some_state();
        let mut copy = state;
        Registers::load(&state, NO_CALL).store(&mut copy);
        assert_eq!(copy, state);
    }

    #[test]
    fn one_register_is_changed_and_no_other() {
        let state = some_state();
        let mut registers = Registers::load(&state, NO_CALL);
        let mut copy = state;
        assert_eq!(registers.set(RegisterNumber(0), &5u64.to_le_bytes()), Some(()));
        assert_eq!(registers.set(RegisterNumber(0), &[1]), None);
        registers.store(&mut copy);
        assert_eq!(copy.registers.rax, 5);
        copy.registers.rax = state.registers.rax;
        assert_eq!(copy, state);
    }

    #[test]
    fn the_instruction_pointer_is_where_gdb_looks_for_it() {
        use gdbstub::arch::Registers as _;
        let registers = Registers::load(&some_state(), NO_CALL);
        assert_eq!(registers.pc(), 0x40_1000);
        assert_eq!(registers.get(RegisterNumber(16)), Some(0x40_1000u64.to_le_bytes().as_slice()));
    }

    #[test]
    fn the_description_lists_every_register_once() {
        let xml = target_xml();
        assert_eq!(xml.matches("<reg ").count(), all().count());
        assert_eq!(all().map(|register| register.bytes).sum::<usize>(), REGISTER_BYTES);
    }

    #[test]
    fn a_stop_tells_the_general_registers() {
        let told = expedited(&some_state());
        assert!(told.iter().any(|(number, bytes)| number.0 == 16 && *bytes == 0x40_1000u64.to_le_bytes()));
        assert!(told.iter().all(|(number, _)| number.is_general()));
    }
}

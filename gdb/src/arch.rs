//! The registers as gdb and lldb know them: one table gives the target description, the layout of the `g` packet and
//! where each register lies in a thread's exported state.

use std::{fmt::Write, num::NonZeroUsize};

use flob_abi::ThreadState;
use flob_image::State;
use gdbstub::arch;

use crate::tag;

/// Where a register's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// These bytes of the state (the rest of a wider register reads 0).
    State { offset: usize, size: usize },
    /// Always this; writing it does nothing.
    Fixed(u64),
    /// The x87 tag word, which FXSAVE keeps in a shorter form.
    Tags,
    /// The number of the call in which the thread waits; -1 if it does not.
    Call,
}

/// One register.
#[derive(Clone, Copy, Debug)]
struct Register {
    name: &'static str,
    bytes: usize,
    /// Its type in the target description.
    kind: &'static str,
    /// The group it is shown in by the debugger; empty: by its type.
    group: &'static str,
    source: Source,
}

const VECTORS: usize = std::mem::offset_of!(ThreadState, vectors);

const fn general(name: &'static str, offset: usize, kind: &'static str) -> Register {
    Register { name, bytes: 8, kind, group: "", source: Source::State { offset, size: 8 } }
}

const fn fixed(name: &'static str, value: u64) -> Register {
    Register { name, bytes: 4, kind: "int32", group: "", source: Source::Fixed(value) }
}

const fn x87_control(name: &'static str, offset: usize, size: usize) -> Register {
    let source = Source::State { offset: VECTORS + offset, size };
    Register { name, bytes: 4, kind: "int", group: "float", source }
}

const fn x87(name: &'static str, index: usize) -> Register {
    let source = Source::State { offset: VECTORS + 32 + 16 * index, size: 10 };
    Register { name, bytes: 10, kind: "i387_ext", group: "", source }
}

const fn sse(name: &'static str, index: usize) -> Register {
    let source = Source::State { offset: VECTORS + 160 + 16 * index, size: 16 };
    Register { name, bytes: 16, kind: "vec128", group: "", source }
}

macro_rules! general {
    ($field:ident, $kind:literal) => {
        general(stringify!($field), std::mem::offset_of!(ThreadState, registers.$field), $kind)
    };
}

/// Selectors of user code and data: constants of the kernel that no program can change.
const CODE_SELECTOR: u64 = 0x2b;
const DATA_SELECTOR: u64 = 0x23;

const CORE: &[Register] = &[
    general!(rax, "int64"),
    general!(rbx, "int64"),
    general!(rcx, "int64"),
    general!(rdx, "int64"),
    general!(rsi, "int64"),
    general!(rdi, "int64"),
    general!(rbp, "data_ptr"),
    general!(rsp, "data_ptr"),
    general!(r8, "int64"),
    general!(r9, "int64"),
    general!(r10, "int64"),
    general!(r11, "int64"),
    general!(r12, "int64"),
    general!(r13, "int64"),
    general!(r14, "int64"),
    general!(r15, "int64"),
    general!(rip, "code_ptr"),
    Register {
        name: "eflags",
        bytes: 4,
        kind: "i386_eflags",
        group: "",
        source: Source::State { offset: std::mem::offset_of!(ThreadState, registers.rflags), size: 4 },
    },
    fixed("cs", CODE_SELECTOR),
    fixed("ss", DATA_SELECTOR),
    fixed("ds", 0),
    fixed("es", 0),
    fixed("fs", 0),
    fixed("gs", 0),
    x87("st0", 0),
    x87("st1", 1),
    x87("st2", 2),
    x87("st3", 3),
    x87("st4", 4),
    x87("st5", 5),
    x87("st6", 6),
    x87("st7", 7),
    x87_control("fctrl", 0, 2),
    x87_control("fstat", 2, 2),
    Register { name: "ftag", bytes: 4, kind: "int", group: "float", source: Source::Tags },
    x87_control("fiseg", 12, 2),
    x87_control("fioff", 8, 4),
    x87_control("foseg", 20, 2),
    x87_control("fooff", 16, 4),
    x87_control("fop", 6, 2),
];

const SSE: &[Register] = &[
    sse("xmm0", 0),
    sse("xmm1", 1),
    sse("xmm2", 2),
    sse("xmm3", 3),
    sse("xmm4", 4),
    sse("xmm5", 5),
    sse("xmm6", 6),
    sse("xmm7", 7),
    sse("xmm8", 8),
    sse("xmm9", 9),
    sse("xmm10", 10),
    sse("xmm11", 11),
    sse("xmm12", 12),
    sse("xmm13", 13),
    sse("xmm14", 14),
    sse("xmm15", 15),
    Register {
        name: "mxcsr",
        bytes: 4,
        kind: "i386_mxcsr",
        group: "vector",
        source: Source::State { offset: VECTORS + 24, size: 4 },
    },
];

const SEGMENTS: &[Register] = &[general!(fs_base, "int64"), general!(gs_base, "int64")];

const CALL: &[Register] =
    &[Register { name: "flob_call", bytes: 8, kind: "int64", group: "system", source: Source::Call }];

/// The features of the target description, in order: register numbers count through them.
const FEATURES: &[(&str, &str, &[Register])] = &[
    ("org.gnu.gdb.i386.core", CORE_TYPES, CORE),
    ("org.gnu.gdb.i386.sse", SSE_TYPES, SSE),
    ("org.gnu.gdb.i386.segments", "", SEGMENTS),
    ("org.flob.call", "", CALL),
];

const CORE_TYPES: &str = r#"<flags id="i386_eflags" size="4">
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/><field name="PF" start="2" end="2"/>
<field name="AF" start="4" end="4"/><field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/>
<field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/><field name="DF" start="10" end="10"/>
<field name="OF" start="11" end="11"/><field name="RF" start="16" end="16"/><field name="AC" start="18" end="18"/>
</flags>
"#;

const SSE_TYPES: &str = r#"<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/>
<field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>
<flags id="i386_mxcsr" size="4">
<field name="IE" start="0" end="0"/><field name="DE" start="1" end="1"/><field name="ZE" start="2" end="2"/>
<field name="OE" start="3" end="3"/><field name="UE" start="4" end="4"/><field name="PE" start="5" end="5"/>
<field name="DAZ" start="6" end="6"/><field name="IM" start="7" end="7"/><field name="DM" start="8" end="8"/>
<field name="ZM" start="9" end="9"/><field name="OM" start="10" end="10"/><field name="UM" start="11" end="11"/>
<field name="PM" start="12" end="12"/><field name="FZ" start="15" end="15"/></flags>
"#;

const fn total(registers: &[Register]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < registers.len() {
        sum += registers[index].bytes;
        index += 1;
    }
    sum
}

/// Bytes of the `g` packet.
pub const REGISTER_BYTES: usize = total(CORE) + total(SSE) + total(SEGMENTS) + total(CALL);

/// The description that gdb and lldb ask for: `target.xml`.
pub fn target_xml() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n\
         <architecture>i386:x86-64</architecture>\n<osabi>none</osabi>\n",
    );
    let mut number = 0;
    for (feature, types, registers) in FEATURES {
        let _ = writeln!(xml, "<feature name=\"{feature}\">\n{types}");
        for register in *registers {
            let _ = writeln!(xml, "{}", describe(register, number));
            number += 1;
        }
        xml.push_str("</feature>\n");
    }
    xml.push_str("</target>\n");
    xml
}

fn describe(register: &Register, number: usize) -> String {
    let Register { name, bytes, kind, group, .. } = register;
    let group = if group.is_empty() { String::new() } else { format!(" group=\"{group}\"") };
    let bits = bytes * 8;
    format!("<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\" regnum=\"{number}\"{group}/>")
}

fn all() -> impl Iterator<Item = &'static Register> {
    FEATURES.iter().flat_map(|(_, _, registers)| registers.iter())
}

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

//! The table. A test checks that it covers every byte of every struct exactly once.

use core::mem::offset_of;

use flob_abi::state::{group, space_flag, thread_flag};
use flob_abi::{
    ConditionState, MappingState, MutexState, PortRange, PortSetState, PortState, ReferenceState,
    RegionState, SpaceState, ThreadState,
};

use super::{Field, Flag, Format};
use Format::{Bool, Bytes, Decimal, ExceptionCode, Flags, Hex, Protection};

const fn field(
    name: &'static str,
    offset: usize,
    width: usize,
    group: u64,
    format: Format,
    doc: &'static str,
) -> Field {
    Field { name, offset, width, group, format, settable: true, doc }
}

const fn fixed(name: &'static str, offset: usize, width: usize, group: u64, doc: &'static str) -> Field {
    let format = if width > 8 { Bytes } else { Hex };
    Field { name, offset, width, group, format, settable: false, doc }
}

const fn flag(bit: u32, name: &'static str, group: u64, doc: &'static str) -> Flag {
    Flag { bit: bit as u64, name, group, doc }
}

const HASH: Field =
    fixed("hash", 0, 8, group::PLAIN, "Hint for tables; tells a re-created flob from the old one");

/// A field of a struct, its offset found by its name.
macro_rules! at {
    ($state:ident, $name:ident, $($rest:expr),+) => {
        field(stringify!($name), offset_of!($state, $name), $($rest),+)
    };
    ($state:ident, $outer:ident . $inner:ident, $($rest:expr),+) => {
        field(
            concat!(stringify!($outer), ".", stringify!($inner)),
            offset_of!($state, $outer.$inner),
            $($rest),+
        )
    };
}

macro_rules! port_range {
    ($index:literal) => {
        field(
            concat!("ports[", $index, "].first"),
            offset_of!(SpaceState, ports) + $index * size_of::<PortRange>() + offset_of!(PortRange, first),
            2,
            group::PLAIN,
            Hex,
            "First I/O port of a range that is granted",
        )
    };
    ($index:literal, count) => {
        field(
            concat!("ports[", $index, "].count"),
            offset_of!(SpaceState, ports) + $index * size_of::<PortRange>() + offset_of!(PortRange, count),
            2,
            group::PLAIN,
            Decimal,
            "How many I/O ports; 0 for an unused range",
        )
    };
}

const SPACE_FLAGS: &[Flag] = &[
    flag(
        space_flag::REFLECT_CALLS,
        "reflect_calls",
        group::PLAIN,
        "Its syscall instructions become exceptions",
    ),
    flag(space_flag::TRAP_TIME, "trap_time", group::PLAIN, "Its rdtsc instructions become exceptions"),
];

pub(super) const SPACE: &[Field] = &[
    HASH,
    at!(SpaceState, flags, 4, group::PLAIN, Flags(SPACE_FLAGS), "reflect_calls, trap_time"),
    at!(
        SpaceState,
        ceiling,
        4,
        group::PLAIN,
        Decimal,
        "No thread of the space runs above this priority (0 to 31)"
    ),
    at!(SpaceState, interrupts, 8, group::PLAIN, Hex, "Interrupt lines it may wait for, a bit each"),
    port_range!(0),
    port_range!(0, count),
    port_range!(1),
    port_range!(1, count),
    port_range!(2),
    port_range!(2, count),
    port_range!(3),
    port_range!(3, count),
];

pub(super) const REGION: &[Field] = &[
    HASH,
    at!(RegionState, start, 8, group::PLAIN, Hex, "First address in its space; page-aligned"),
    at!(RegionState, size, 8, group::PLAIN, Hex, "In bytes; page-aligned"),
    at!(RegionState, protection, 4, group::PLAIN, Protection, "What importers may do at most"),
    fixed("reserved", offset_of!(RegionState, reserved), 4, group::PLAIN, "Always 0"),
];

pub(super) const MAPPING: &[Field] = &[
    HASH,
    at!(MappingState, offset, 8, group::PLAIN, Hex, "Where in the region it begins; page-aligned"),
    at!(MappingState, start, 8, group::PLAIN, Hex, "First address in its space; page-aligned"),
    at!(MappingState, size, 8, group::PLAIN, Hex, "In bytes; page-aligned"),
    at!(MappingState, protection, 4, group::PLAIN, Protection, "What is allowed through it"),
    fixed("reserved", offset_of!(MappingState, reserved), 4, group::PLAIN, "Always 0"),
];

pub(super) const PORT: &[Field] =
    &[HASH, at!(PortState, alias, 8, group::PLAIN, Hex, "Handed to the server with each request")];

pub(super) const PORT_SET: &[Field] =
    &[HASH, at!(PortSetState, flags, 8, group::PLAIN, Flags(&[]), "None defined")];

pub(super) const MUTEX: &[Field] = &[
    HASH,
    at!(MutexState, flags, 4, group::PLAIN, Flags(&[]), "None defined"),
    at!(MutexState, locked, 4, group::PLAIN, Bool, "Whether somebody holds it; `owner` says who"),
];

pub(super) const CONDITION: &[Field] =
    &[HASH, at!(ConditionState, flags, 8, group::PLAIN, Flags(&[]), "None defined")];

pub(super) const REFERENCE: &[Field] =
    &[fixed("hash", offset_of!(ReferenceState, hash), 8, group::PLAIN, HASH.doc)];

const THREAD_FLAGS: &[Flag] = &[
    flag(thread_flag::STOPPED, "stopped", group::CONTROL, "Does not run until this is cleared"),
    flag(
        thread_flag::EXCEPTIONS_ENABLED,
        "exceptions_enabled",
        group::CONTROL,
        "Its own handlers are asked before the keeper of its space",
    ),
    flag(
        thread_flag::CLIENT_SENDS,
        "client_sends",
        group::DIRECTION,
        "It is the sender of its client connection",
    ),
];

/// A field of the registers: a general one unless said otherwise.
macro_rules! register {
    ($name:ident) => {
        register!($name, "General register")
    };
    ($name:ident, $doc:literal) => {
        at!(ThreadState, registers.$name, 8, group::REGISTERS, Hex, $doc)
    };
}

macro_rules! debug_address {
    ($index:literal) => {
        field(
            concat!("debug.address[", $index, "]"),
            offset_of!(ThreadState, debug.address) + 8 * $index,
            8,
            group::DEBUG,
            Hex,
            "Hardware breakpoint address",
        )
    };
}

macro_rules! saved {
    ($name:ident) => {
        saved!($name, "Register that entering a handler has saved")
    };
    ($name:ident, $doc:literal) => {
        at!(ThreadState, saved.$name, 8, group::SAVED, Hex, $doc)
    };
}

/// A part of the FXSAVE image (Intel SDM volume 1, table 10-2, 64-bit form).
macro_rules! vector {
    ($name:literal, $offset:expr, $width:literal, $format:expr, $doc:literal) => {
        field(
            concat!("vectors.", $name),
            offset_of!(ThreadState, vectors) + $offset,
            $width,
            group::VECTORS,
            $format,
            $doc,
        )
    };
}

pub(super) const THREAD: &[Field] = &[
    fixed("hash", 0, 8, 0, HASH.doc),
    at!(
        ThreadState,
        flags,
        4,
        group::CONTROL | group::DIRECTION,
        Flags(THREAD_FLAGS),
        "stopped, exceptions_enabled, client_sends"
    ),
    at!(
        ThreadState,
        priority,
        4,
        group::SCHEDULING,
        Decimal,
        "0 (lowest) to 31; the ceiling of its space limits it"
    ),
    at!(ThreadState, own_address, 8, group::OWN_ADDRESS, Hex, "Where the program itself sees the thread"),
    at!(
        ThreadState,
        rank,
        8,
        group::SCHEDULING,
        Decimal,
        "Place among those who wait for the same: lower goes first"
    ),
    register!(rax, "Call number before a call, status after it"),
    register!(rbx),
    register!(rcx),
    register!(rdx),
    register!(rsi),
    register!(rdi),
    register!(rbp),
    register!(rsp, "Stack pointer"),
    register!(r8),
    register!(r9),
    register!(r10),
    register!(r11),
    register!(r12),
    register!(r13),
    register!(r14),
    register!(r15),
    register!(rip, "Next instruction; a thread in a call stands at its syscall instruction"),
    register!(rflags, "Arithmetic bits, DF, TF, RF and AC can be set"),
    register!(fs_base, "Base of FS; canonical"),
    register!(gs_base, "Base of GS; canonical"),
    debug_address!(0),
    debug_address!(1),
    debug_address!(2),
    debug_address!(3),
    at!(ThreadState, debug.dr6, 8, group::DEBUG, Hex, "What happened last"),
    at!(ThreadState, debug.dr7, 8, group::DEBUG, Hex, "Which addresses count, for what access and length"),
    at!(
        ThreadState,
        handlers.trap,
        8,
        group::HANDLERS,
        Hex,
        "Where synchronous exceptions go; 0 for nowhere"
    ),
    at!(
        ThreadState,
        handlers.interrupt,
        8,
        group::HANDLERS,
        Hex,
        "Where thread_interrupt goes; 0 for nowhere"
    ),
    at!(ThreadState, handlers.client_alert, 8, group::HANDLERS, Hex, "Where an alert from the server goes"),
    at!(ThreadState, handlers.server_alert, 8, group::HANDLERS, Hex, "Where an alert from the client goes"),
    saved!(rax),
    saved!(rcx),
    saved!(rdx),
    saved!(rsi),
    saved!(rdi),
    saved!(r11),
    saved!(rip, "Where to go on after the handler"),
    saved!(rflags),
    at!(ThreadState, exception.number, 8, group::EXCEPTION, Decimal, "Counts this thread's exceptions"),
    at!(ThreadState, exception.code, 4, group::EXCEPTION, ExceptionCode, "Why it cannot run; none if it can"),
    at!(ThreadState, exception.detail, 4, group::EXCEPTION, Hex, "Depends on the code"),
    at!(ThreadState, exception.address, 8, group::EXCEPTION, Hex, "Faulting address or argument"),
    at!(ThreadState, exception.offset, 8, group::EXCEPTION, Hex, "In the region whose keeper is asked"),
    at!(ThreadState, exception.access, 4, group::EXCEPTION, Protection, "The access that failed"),
    at!(ThreadState, exception.deferred, 4, group::EXCEPTION, Hex, "Exceptions that wait: bit n for code n"),
    at!(
        ThreadState,
        parked_client_ends,
        4,
        group::DIRECTION,
        Decimal,
        "Client ends of connections that it parked"
    ),
    at!(
        ThreadState,
        parked_server_ends,
        4,
        group::DIRECTION,
        Decimal,
        "Server ends of connections that it parked"
    ),
    vector!("fcw", 0, 2, Hex, "x87 control word"),
    vector!("fsw", 2, 2, Hex, "x87 status word"),
    vector!("ftw", 4, 1, Hex, "x87 registers in use, a bit each"),
    vector!("filler", 5, 1, Hex, "Unused byte of the FXSAVE image"),
    vector!("fop", 6, 2, Hex, "x87 last opcode"),
    vector!("fip", 8, 8, Hex, "x87 last instruction"),
    vector!("fdp", 16, 8, Hex, "x87 last data"),
    vector!("mxcsr", 24, 4, Hex, "SSE control and status"),
    vector!("mxcsr_mask", 28, 4, Hex, "Bits of mxcsr that the processor has"),
    vector!("st0", 32, 16, Bytes, "x87 register: 10 bytes and 6 of filler"),
    vector!("st1", 48, 16, Bytes, "x87 register"),
    vector!("st2", 64, 16, Bytes, "x87 register"),
    vector!("st3", 80, 16, Bytes, "x87 register"),
    vector!("st4", 96, 16, Bytes, "x87 register"),
    vector!("st5", 112, 16, Bytes, "x87 register"),
    vector!("st6", 128, 16, Bytes, "x87 register"),
    vector!("st7", 144, 16, Bytes, "x87 register"),
    vector!("xmm0", 160, 16, Bytes, "SSE register"),
    vector!("xmm1", 176, 16, Bytes, "SSE register"),
    vector!("xmm2", 192, 16, Bytes, "SSE register"),
    vector!("xmm3", 208, 16, Bytes, "SSE register"),
    vector!("xmm4", 224, 16, Bytes, "SSE register"),
    vector!("xmm5", 240, 16, Bytes, "SSE register"),
    vector!("xmm6", 256, 16, Bytes, "SSE register"),
    vector!("xmm7", 272, 16, Bytes, "SSE register"),
    vector!("xmm8", 288, 16, Bytes, "SSE register"),
    vector!("xmm9", 304, 16, Bytes, "SSE register"),
    vector!("xmm10", 320, 16, Bytes, "SSE register"),
    vector!("xmm11", 336, 16, Bytes, "SSE register"),
    vector!("xmm12", 352, 16, Bytes, "SSE register"),
    vector!("xmm13", 368, 16, Bytes, "SSE register"),
    vector!("xmm14", 384, 16, Bytes, "SSE register"),
    vector!("xmm15", 400, 16, Bytes, "SSE register"),
    vector!("rest", 416, 96, Bytes, "Rest of the FXSAVE image"),
];

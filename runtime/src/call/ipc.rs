//! IPC: the stub with all registers, and what a call of it sends and receives, in buffers or in the short form.

use core::arch::naked_asm;
use core::marker::PhantomData;

use flob_abi::Status;
use flob_abi::ipc::{self as steps, Buffer, SHORT_WORDS};

/// The registers of an IPC call, in the order in which the stub loads and stores them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct IpcRegisters {
    rax: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    r10: u64,
    r8: u64,
    r9: u64,
    rbx: u64,
    r12: u64,
    r13: u64,
    rbp: u64,
    r14: u64,
    r15: u64,
}

/// Loads all registers of an IPC call, enters the kernel, stores them back. Naked because neither rbx nor rbp can be
/// an operand of `asm!`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn flob_ipc_stub(registers: *mut IpcRegisters) {
    naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r12, 0",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r13, 0",
        "push r14",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r14, 0",
        "push r15",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r15, 0",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "mov rax, [rdi]",
        "mov rsi, [rdi + 16]",
        "mov rdx, [rdi + 24]",
        "mov r10, [rdi + 32]",
        "mov r8, [rdi + 40]",
        "mov r9, [rdi + 48]",
        "mov rbx, [rdi + 56]",
        "mov r12, [rdi + 64]",
        "mov r13, [rdi + 72]",
        "mov rbp, [rdi + 80]",
        "mov r14, [rdi + 88]",
        "mov r15, [rdi + 96]",
        "mov rdi, [rdi + 8]",
        "syscall",
        "pop rcx",
        ".cfi_adjust_cfa_offset -8",
        "mov [rcx], rax",
        "mov [rcx + 8], rdi",
        "mov [rcx + 16], rsi",
        "mov [rcx + 24], rdx",
        "mov [rcx + 32], r10",
        "mov [rcx + 40], r8",
        "mov [rcx + 48], r9",
        "mov [rcx + 56], rbx",
        "mov [rcx + 64], r12",
        "mov [rcx + 72], r13",
        "mov [rcx + 80], rbp",
        "mov [rcx + 88], r14",
        "mov [rcx + 96], r15",
        "pop r15",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r15",
        "pop r14",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r14",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r13",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r12",
        "pop rbp",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbp",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
    )
}

/// A further buffer to send, for the table of an IPC call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Piece<'a>(Buffer, PhantomData<&'a [u8]>);

impl<'a> Piece<'a> {
    /// These bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        let address = bytes.as_ptr().expose_provenance() as u64;
        Self(Buffer { address, bytes: bytes.len() as u64 }, PhantomData)
    }
}

/// A further buffer to receive into, for the table of an IPC call.
#[derive(Debug)]
#[repr(transparent)]
pub struct Room<'a>(Buffer, PhantomData<&'a mut [u8]>);

impl<'a> Room<'a> {
    /// Room in these bytes.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        let address = bytes.as_mut_ptr().expose_provenance() as u64;
        Self(Buffer { address, bytes: bytes.len() as u64 }, PhantomData)
    }
}

/// What an IPC call sends and where it receives. References are addresses of reference flobs.
#[derive(Debug, Default)]
pub struct Transfer<'a> {
    /// Bytes to send.
    pub send: &'a [u8],
    /// Further bytes to send, from these pieces in order (at most 65535).
    pub send_pieces: &'a [Piece<'a>],
    /// References to send.
    pub send_references: &'a [u64],
    /// Room to receive bytes in.
    pub receive: &'a mut [u8],
    /// Further room, used in order (at most 65535).
    pub receive_rooms: &'a mut [Room<'a>],
    /// Reference flobs to receive into.
    pub receive_references: &'a [u64],
}

/// How an IPC call ended.
#[derive(Clone, Copy, Debug)]
pub struct IpcOutcome {
    /// How it ended.
    pub status: Status,
    /// rdi: after WAIT the port's alias.
    pub alias: u64,
    /// rbp: after WAIT the flavour as a number.
    pub flavour: u64,
    /// Bytes that were not sent.
    pub unsent: usize,
    /// Bytes received.
    pub received: usize,
    /// References received.
    pub received_references: usize,
}

/// A table as the kernel takes it.
fn table<T>(buffers: &[T]) -> u64 {
    let entries = u16::try_from(buffers.len()).unwrap_or(u16::MAX);
    steps::table(buffers.as_ptr().expose_provenance() as u64, entries)
}

/// Bytes in the last buffers of a table, those that the kernel has not come to.
fn bytes_left<'b>(table: u64, buffers: impl DoubleEndedIterator<Item = &'b Buffer>) -> u64 {
    let count = usize::try_from(steps::table_entries(table)).unwrap_or(usize::MAX);
    buffers.rev().take(count).map(|buffer| buffer.bytes).sum()
}

/// An IPC call: `call` is a set of steps as in [`flob_abi::ipc`]; `target` is the port reference or the port set, if a step needs it.
#[inline(never)]
pub fn ipc(call: u64, target: u64, transfer: Transfer<'_>) -> IpcOutcome {
    let Transfer { send, send_pieces, send_references, receive, receive_rooms, receive_references } =
        transfer;
    let mut registers = IpcRegisters {
        rax: call,
        rdi: target,
        rsi: send.as_ptr().expose_provenance() as u64,
        rdx: send.len() as u64,
        r10: send_references.as_ptr().expose_provenance() as u64,
        r8: send_references.len() as u64,
        r9: receive.as_mut_ptr().expose_provenance() as u64,
        rbx: receive.len() as u64,
        r12: receive_references.as_ptr().expose_provenance() as u64,
        r13: receive_references.len() as u64,
        rbp: 0,
        r14: table(send_pieces),
        r15: table(receive_rooms),
    };
    // SAFETY: the stub keeps what the C interface wants kept; the kernel writes only into `receive` and the rooms, which
    // are borrowed for writing.
    unsafe { flob_ipc_stub(&raw mut registers) };
    let rooms = || receive_rooms.iter().map(|room| &room.0);
    let room = receive.len() as u64 + rooms().map(|room| room.bytes).sum::<u64>();
    let room_left = registers.rbx.saturating_add(bytes_left(registers.r15, rooms()));
    let unsent = bytes_left(registers.r14, send_pieces.iter().map(|piece| &piece.0));
    IpcOutcome {
        status: Status::from_number(registers.rax).unwrap_or(Status::InvalidState),
        alias: registers.rdi,
        flavour: registers.rbp,
        unsent: registers.rdx.saturating_add(unsent) as usize,
        received: room.saturating_sub(room_left) as usize,
        received_references: receive_references.len().saturating_sub(registers.r13 as usize),
    }
}

/// A message in the short form.
pub type Words = [u64; SHORT_WORDS];

/// How an IPC call in the short form ended.
#[derive(Clone, Copy, Debug)]
pub struct ShortOutcome {
    /// How it ended.
    pub status: Status,
    /// rdi: after WAIT the port's alias.
    pub alias: u64,
    /// rbp: after WAIT the flavour as a number.
    pub flavour: u64,
    /// What was received; without a message, what was to be sent.
    pub words: Words,
    /// Bytes received.
    pub received: usize,
}

/// An IPC call in the short form: sends the words and receives words, whichever of the two its steps contain.
#[inline(never)]
pub fn ipc_short(call: u64, target: u64, words: Words) -> ShortOutcome {
    let [rsi, rdx, r10, r8, r9, rbx, r12, r13] = words;
    let rax = call | steps::SHORT;
    let mut registers =
        IpcRegisters { rax, rdi: target, rsi, rdx, r10, r8, r9, rbx, r12, r13, rbp: 0, r14: 0, r15: 0 };
    // SAFETY: the stub keeps what the C interface wants kept; the short form writes no memory of the caller.
    unsafe { flob_ipc_stub(&raw mut registers) };
    let IpcRegisters { rsi, rdx, r10, r8, r9, rbx, r12, r13, .. } = registers;
    ShortOutcome {
        status: Status::from_number(registers.rax).unwrap_or(Status::InvalidState),
        alias: registers.rdi,
        flavour: registers.rbp,
        words: [rsi, rdx, r10, r8, r9, rbx, r12, r13],
        received: registers.r14 as usize,
    }
}

//! The record of a panic as it lies in memory: the symbol `panic_record`, on a page of its own. `docs/kernel/panic-record.md`
//! describes it; both change together, with [`VERSION`].

use core::fmt::{self, Write};
use core::mem::offset_of;

use flob_abi::Registers;

/// First bytes of a record that was written.
const MAGIC: [u8; 8] = *b"FLOBPANC";
/// Of the layout.
pub const VERSION: u32 = 1;
/// [`Record::vector`] where no exception of the processor is to blame.
pub const NO_VECTOR: u64 = u64::MAX;
/// Calls kept.
pub const CALLS: usize = 8;
/// Return addresses kept.
pub const STACK: usize = 24;

/// What a defect of the kernel leaves behind.
#[repr(C, align(4096))]
pub struct Record {
    /// [`MAGIC`]; written first.
    magic: [u8; 8],
    version: u32,
    /// In bytes, without what fills the page.
    size: u32,
    /// The exception of the processor, or [`NO_VECTOR`].
    pub vector: u64,
    /// Its error code.
    pub error: u64,
    /// The address of the last page fault.
    pub address: u64,
    /// The kernel's registers; where there was no exception, only `rsp`.
    pub kernel: Registers,
    /// Where the Context of the thread that ran last lies; 0 for none.
    pub thread_at: u64,
    /// That thread's registers when it entered the kernel or as the call has changed them.
    pub thread: Registers,
    /// The last calls, newest first; unused ones are 0.
    pub calls: [LastCall; CALLS],
    /// Words on the kernel's stack that point into its code, newest first; unused ones are 0.
    pub stack: [u64; STACK],
    /// What went wrong; padded with 0.
    pub message: Text<256>,
    /// `file:line:column`; padded with 0.
    pub location: Text<128>,
    end: [u8; 0],
}

/// A call as it entered the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct LastCall {
    /// `rax`.
    pub number: u64,
    /// Where its `syscall` is.
    pub rip: u64,
    /// `rdi`.
    pub argument: u64,
    /// Where the Context of its thread lies.
    pub thread: u64,
}

/// Text of at most N bytes; what is too long is cut off.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text<const N: usize>([u8; N]);

const NO_REGISTERS: Registers = zerocopy::transmute!([0_u64; 20]);

impl LastCall {
    /// No call.
    pub const NONE: Self = Self { number: 0, rip: 0, argument: 0, thread: 0 };
}

impl Record {
    /// As it lies in memory before a panic: all zero.
    pub const EMPTY: Self = Self {
        magic: [0; 8],
        version: 0,
        size: 0,
        vector: 0,
        error: 0,
        address: 0,
        kernel: NO_REGISTERS,
        thread_at: 0,
        thread: NO_REGISTERS,
        calls: [LastCall::NONE; CALLS],
        stack: [0; STACK],
        message: Text::EMPTY,
        location: Text::EMPTY,
        end: [],
    };

    /// Bytes of it that mean something.
    pub const SIZE: usize = offset_of!(Self, end);

    /// Begins to write it.
    pub fn begin(&mut self, vector: u64) {
        (self.magic, self.version, self.size) = (MAGIC, VERSION, Self::SIZE as u32);
        self.vector = vector;
    }
}

impl<const N: usize> Text<N> {
    const EMPTY: Self = Self([0; N]);

    /// Sets it to what is formatted.
    pub fn set(&mut self, text: fmt::Arguments<'_>) {
        let mut room = Room(&mut self.0);
        // Fails when the room is used up: the rest is cut off.
        let _ = room.write_fmt(text);
    }

    /// The text without its padding.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// What is left of a text's bytes.
struct Room<'a>(&'a mut [u8]);

impl Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let len = text.len().min(self.0.len());
        let (now, later) = core::mem::take(&mut self.0).split_at_mut(len);
        now.copy_from_slice(text.as_bytes().get(..len).unwrap_or_default());
        self.0 = later;
        if len == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

// What the page says.
const _: () = {
    assert!(offset_of!(Record, version) == 8 && offset_of!(Record, size) == 12);
    assert!(offset_of!(Record, vector) == 16 && offset_of!(Record, error) == 24);
    assert!(offset_of!(Record, address) == 32 && offset_of!(Record, kernel) == 40);
    assert!(offset_of!(Record, thread_at) == 200 && offset_of!(Record, thread) == 208);
    assert!(offset_of!(Record, calls) == 368 && size_of::<LastCall>() == 32);
    assert!(offset_of!(Record, stack) == 624 && offset_of!(Record, message) == 816);
    assert!(offset_of!(Record, location) == 1072 && Record::SIZE == 1200);
};

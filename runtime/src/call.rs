//! The call stubs: the one place where a program enters the kernel, and, with start-up and heap, the only unsafe code
//! that it links. Everything here is safe to use: buffers are slices, flobs are addresses that the kernel checks.
//!
//! A blocked thread stands in one of the two stubs, so gdb's backtraces pass through them: [`enter`] is compiled code
//! and `flob_ipc_stub` has its frame described by hand.

mod ipc;

use core::arch::asm;
use core::mem::MaybeUninit;

use flob_abi::call::{Dirty, Found};
use flob_abi::{Call, FlobKind, Status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use ipc::{IpcOutcome, Piece, Room, ShortOutcome, Transfer, Words, ipc, ipc_short};

/// What a call left in the registers.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// rax: a [`Status`] as a number.
    pub raw_status: u64,
    /// rdi, rsi, rdx, r10, r8, r9.
    pub values: [u64; 6],
}

impl Outcome {
    /// The status; a number that no kernel of this interface returns reads as `InvalidState`.
    pub fn status(self) -> Status {
        Status::from_number(self.raw_status).unwrap_or(Status::InvalidState)
    }

    /// `Ok` for `Success`, which nearly all calls come to: nothing is looked up for that.
    #[inline]
    pub fn result(self) -> Result<(), Status> {
        if self.raw_status == Status::Success as u64 {
            return Ok(());
        }
        Err(self.status())
    }
}

/// Any call that is no IPC, with raw registers (rdi, rsi, rdx, r10, r8, r9).
///
/// # Safety
/// The kernel writes where the arguments say: they must not point at memory that Rust code owns otherwise.
#[inline(never)]
pub unsafe fn enter(number: u64, arguments: [u64; 6]) -> Outcome {
    let [mut rdi, mut rsi, mut rdx, mut r10, mut r8, mut r9] = arguments;
    let mut rax = number;
    // SAFETY: the kernel preserves all registers but those named; the caller vouches for the memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax,
            inlateout("rdi") rdi,
            inlateout("rsi") rsi,
            inlateout("rdx") rdx,
            inlateout("r10") r10,
            inlateout("r8") r8,
            inlateout("r9") r9,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    Outcome { raw_status: rax, values: [rdi, rsi, rdx, r10, r8, r9] }
}

/// A call whose arguments are flobs and numbers: it touches no memory of ours.
pub fn plain(number: u64, first: u64, second: u64) -> Outcome {
    // SAFETY: the calls with two plain arguments read and write no memory; others get 0 for their buffers.
    unsafe { enter(number, [first, second, 0, 0, 0, 0]) }
}

/// Runs `call` with up to two plain arguments and returns its status as a result.
pub fn run(call: Call, first: u64, second: u64) -> Result<(), Status> {
    plain(u64::from(call as u32), first, second).result()
}

/// `null`: enters the kernel and does nothing there.
pub fn null() {
    let _ = run(Call::Null, 0, 0);
}

/// `X_get_state`: `number` is the call; `links` has an address or 0 for each link.
pub fn get_state<S: FromBytes + IntoBytes + ?Sized>(
    number: u64,
    flob: u64,
    state: &mut S,
    links: &[u64],
    mask: u64,
) -> Outcome {
    let buffer = state.as_mut_bytes().as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the state is a buffer of the kind's size, given whole; the links are only read.
    unsafe { enter(number, [flob, buffer, links_address(links), mask, 0, 0]) }
}

/// The same into a struct that need not be zeroed first.
///
/// # Safety
/// The kernel must write all of an `S` for this call and mask, and no more.
pub(crate) unsafe fn read_state<S: FromBytes>(
    number: u64,
    flob: u64,
    links: &[u64],
    mask: u64,
) -> Result<S, Status> {
    let mut state = MaybeUninit::<S>::uninit();
    let buffer = state.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the state is a buffer of the size that is written, given whole; the links are only read.
    unsafe { enter(number, [flob, buffer, links_address(links), mask, 0, 0]) }.result()?;
    // SAFETY: a call that has succeeded has written all of it, and any bytes are an `S`.
    Ok(unsafe { state.assume_init() })
}

/// `X_get_state` of the links alone: the references at these addresses are set to them.
pub fn get_links(number: u64, flob: u64, links: &[u64]) -> Outcome {
    // SAFETY: the links are only read.
    unsafe { enter(number, [flob, 0, links_address(links), 0, 0, 0]) }
}

/// `X_set_state`: without a state only the links are set.
pub fn set_state<S: IntoBytes + Immutable + ?Sized>(
    number: u64,
    flob: u64,
    state: Option<&S>,
    links: &[u64],
    mask: u64,
) -> Outcome {
    let buffer = state.map_or(0, |state| state.as_bytes().as_ptr().expose_provenance() as u64);
    // SAFETY: both buffers are only read.
    unsafe { enter(number, [flob, buffer, links_address(links), mask, 0, 0]) }
}

fn links_address(links: &[u64]) -> u64 {
    if links.is_empty() { 0 } else { links.as_ptr().expose_provenance() as u64 }
}

/// A call that fills a struct of the caller's own: get_handlers, get_saved_state.
pub fn get_own<S: FromBytes + IntoBytes>(call: Call) -> Result<S, Status> {
    let mut value = S::new_zeroed();
    let buffer = value.as_mut_bytes().as_mut_ptr().expose_provenance() as u64;
    // SAFETY: these calls write one struct of the type that the caller asks for, into a buffer of ours.
    unsafe { enter(u64::from(call as u32), [buffer, 0, 0, 0, 0, 0]) }.result()?;
    Ok(value)
}

/// A call that reads a struct of the caller's own: set_handlers, set_saved_state.
pub fn set_own<S: IntoBytes + Immutable>(call: Call, value: &S) -> Result<(), Status> {
    plain(u64::from(call as u32), value.as_bytes().as_ptr().expose_provenance() as u64, 0).result()
}

/// `region_search` for the flobs of this kind, or all, from `offset` over `size` bytes. Returns how many entries were filled and the range that is left.
pub fn region_search(
    region: u64,
    offset: u64,
    size: u64,
    found: &mut [Found],
    kind: Option<FlobKind>,
) -> Result<(usize, u64, u64), Status> {
    let room = found.len();
    report(Call::RegionSearch, [region, offset, size], (found, room), kind.map_or(0, |kind| kind as u64))
}

/// `region_dirty` from `offset` over `size` bytes. Returns how many entries were filled and the range that is left.
pub fn region_dirty(
    region: u64,
    offset: u64,
    size: u64,
    found: &mut [Dirty],
    since: u64,
) -> Result<(usize, u64, u64), Status> {
    let room = found.len();
    report(Call::RegionDirty, [region, offset, size], (found, room), since)
}

/// `region_export` from `offset` over `size` bytes. Returns how many bytes of `buffer` were filled, and the range that is left.
pub fn region_export(
    region: u64,
    offset: u64,
    size: u64,
    buffer: &mut [u64],
) -> Result<(usize, u64, u64), Status> {
    let room = size_of_val(buffer);
    report(Call::RegionExport, [region, offset, size], (buffer, room), 0)
}

/// A call that reports what is in a range of a region; the room is in the call's own unit. Returns how much of that was filled and
/// the range that is left.
fn report<T>(
    call: Call,
    [region, offset, size]: [u64; 3],
    (buffer, room): (&mut [T], usize),
    since: u64,
) -> Result<(usize, u64, u64), Status> {
    let address = buffer.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the buffer is ours and its room is given.
    let outcome =
        unsafe { enter(u64::from(call as u32), [region, offset, size, address, room as u64, since]) };
    outcome.result()?;
    let [_, offset_left, size_left, _, room_left, _] = outcome.values;
    Ok((room.saturating_sub(room_left as usize), offset_left, size_left))
}

/// `epoch_begin`: every write from now on is at least of the epoch that is returned, for [`region_dirty`].
pub fn epoch_begin() -> Result<u64, Status> {
    let outcome = plain(u64::from(Call::EpochBegin as u32), 0, 0);
    let [epoch, ..] = outcome.values;
    outcome.result().map(|()| epoch)
}

/// Most bytes that `kernel_log` takes at once.
const LOG_MAX: usize = 256;

/// `kernel_log`: writes to the early console.
pub fn kernel_log(text: &[u8]) {
    for piece in text.chunks(LOG_MAX) {
        let address = piece.as_ptr().expose_provenance() as u64;
        // SAFETY: the text is only read.
        unsafe { enter(u64::from(Call::KernelLog as u32), [address, piece.len() as u64, 0, 0, 0, 0]) };
    }
}

/// `timer_wait`: until `deadline` (nanoseconds since boot); returns the time. First space only; all others ask the clock
/// service.
pub fn timer_wait(deadline: u64) -> Result<u64, Status> {
    let outcome = plain(u64::from(Call::TimerWait as u32), deadline, 0);
    let [now, ..] = outcome.values;
    outcome.result().map(|()| now)
}

/// `interrupt_wait`: unmasks the line and waits for it.
pub fn interrupt_wait(line: u8) -> Result<(), Status> {
    run(Call::InterruptWait, u64::from(line), 0)
}

/// `machine_exit`: ends the machine; returns only where that cannot be done.
pub fn machine_exit(status: u8) {
    let _ = run(Call::MachineExit, u64::from(status), 0);
}

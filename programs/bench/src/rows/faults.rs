//! Page faults: soft ones, by the number of levels, and hard ones that a keeper in another space lifts.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::naked_asm;

use flob_runtime::abi::exception::reply_action;
use flob_runtime::abi::state::RegionState;
use flob_runtime::abi::{ExceptionReply, Protection, Status, ipc};
use flob_runtime::flob::{FlobAt, Links, Mapping, Port, PortSet, Reference, Region};
use flob_runtime::{heap, start};

use crate::report::row;
use crate::timed::touch;
use crate::world::{NORMAL, address, leak, refer, space, thread};

const PAGE: u64 = 4096;
const PAGES: u64 = 64;
/// Where the pages are mapped, each row's at its own.
const WINDOW: u64 = 0x2000_0000_0000;

/// The rows.
pub fn measure() -> Result<(), Status> {
    soft("soft-fault", 1, WINDOW)?;
    soft("soft-fault-2-levels", 2, WINDOW + (1 << 30))?;
    soft("soft-fault-8-levels", 8, WINDOW + (2 << 30))?;
    hard(WINDOW + (3 << 30))
}

/// Pages that nobody has touched, mapped at `at` through so many mappings.
fn soft(name: &str, levels: usize, at: u64) -> Result<(), Status> {
    let (mut outer, mut from) = (start::space(), pages()?);
    for _ in 1..levels {
        let inner = leak(flob_runtime::flob::Space::new());
        inner.at().create()?;
        let inner = refer(inner.at())?;
        map(region(outer, from)?, inner, at)?;
        (outer, from) = (inner, at);
    }
    map(region(outer, from)?, start::space(), at)?;
    let mut next = at;
    row(name, || {
        let time = touch(next);
        next += PAGE;
        Ok(time)
    })
}

fn pages() -> Result<u64, Status> {
    heap::take_untouched((PAGES * PAGE) as usize).map(|range| range.start as u64).ok_or(Status::NoMemory)
}

fn region(space: FlobAt<Reference>, from: u64) -> Result<&'static Region, Status> {
    let region = leak(Region::new());
    region.at().export(space, from, PAGES * PAGE, Protection::READ_WRITE)?;
    Ok(region)
}

fn map(region: &Region, space: FlobAt<Reference>, at: u64) -> Result<(), Status> {
    let mapping = leak(Mapping::new());
    mapping.at().map((refer(region.at())?, 0), (space, at), PAGES * PAGE, Protection::READ_WRITE)
}

/// What a keeper needs; the stub knows the offsets.
#[repr(C)]
struct Keeper {
    set: u64,
    reply: u64,
    message: u64,
}

/// Lifts every denial, with as few instructions of its own as can be.
#[unsafe(naked)]
extern "C" fn keep(keeper: u64) -> ! {
    naked_asm!(
        "push rdi",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "mov eax, {wait}",
        "2:",
        "mov rcx, [rsp]",
        "mov rdi, [rcx]",
        "mov rsi, [rcx + 8]",
        "mov edx, {reply_size}",
        "mov r9, [rcx + 16]",
        "mov ebx, 40",
        "syscall",
        // The number of the exception goes into the reply.
        "mov rcx, [rsp]",
        "mov rdx, [rcx + 16]",
        "mov rdx, [rdx]",
        "mov rsi, [rcx + 8]",
        "mov [rsi], rdx",
        "mov eax, {answer}",
        "jmp 2b",
        reply_size = const size_of::<ExceptionReply>(),
        wait = const ipc::SERVER_WAIT,
        answer = const ipc::SERVER_REPLY,
    )
}

fn hard(at: u64) -> Result<(), Status> {
    let set = leak(PortSet::new());
    set.at().create()?;
    let port = leak(Port::new());
    port.at().open_in(set.at(), 1)?;
    let reply =
        leak(ExceptionReply { number: 0, action: reply_action::LIFT, access: Protection::READ_WRITE.0 });
    let message = Box::leak(vec![0_u64; 8].into_boxed_slice());
    let keeper = leak(Keeper { set: set.at().address(), reply: address(reply), message: address(&*message) });
    thread(space(1)?, NORMAL, keep, address(keeper))?;
    let region = region(start::space(), pages()?)?;
    let state = RegionState { protection: Protection::READ.0, ..region.at().get_state(&Links::NONE)? };
    let links = Links::NONE.with(1, refer(port.at())?);
    region.at().set_state(&state, &links)?;
    map(region, start::space(), at)?;
    let mut next = at;
    row("keeper-fault", || {
        let time = touch(next);
        next += PAGE;
        Ok(time)
    })
}

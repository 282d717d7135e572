//! Round trips to a server in another space: connect-send-over-receive against acknowledge-send-wait-receive.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::naked_asm;

use flob_runtime::abi::{Status, ipc};
use flob_runtime::flob::{Port, PortSet};

use crate::report::row;
use crate::timed::Block;
use crate::world::{NORMAL, address, leak, refer, space, thread};

/// Bytes there and back.
const SIZES: [(usize, &str); 6] =
    [(0, "rpc-0"), (8, "rpc-8"), (64, "rpc-64"), (512, "rpc-512"), (4096, "rpc-4096"), (65536, "rpc-65536")];

/// What a server needs; the stub knows the offsets.
#[repr(C)]
struct Server {
    set: u64,
    reply: u64,
    reply_size: u64,
    request: u64,
    room: u64,
}

/// Answers for ever, with as few instructions of its own as can be.
#[unsafe(naked)]
extern "C" fn serve(server: u64) -> ! {
    naked_asm!(
        "push rdi",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "mov eax, {wait}",
        "2:",
        "mov rcx, [rsp]",
        "mov rdi, [rcx]",
        "mov rsi, [rcx + 8]",
        "mov rdx, [rcx + 16]",
        "mov r9, [rcx + 24]",
        "mov rbx, [rcx + 32]",
        "xor r8d, r8d",
        "xor r13d, r13d",
        "syscall",
        "mov eax, {answer}",
        "jmp 2b",
        wait = const ipc::SERVER_WAIT,
        answer = const ipc::SERVER_ANSWER,
    )
}

/// The same in the short form: words in registers both ways.
#[unsafe(naked)]
extern "C" fn serve_words(server: u64) -> ! {
    naked_asm!(
        "push [rdi]",
        "mov eax, {wait}",
        "2:",
        "mov rdi, [rsp]",
        "xor r14d, r14d",
        "syscall",
        "mov eax, {answer}",
        "jmp 2b",
        wait = const ipc::SERVER_WAIT | ipc::SHORT,
        answer = const ipc::SERVER_ANSWER | ipc::SHORT,
    )
}

/// A client's call in the short form, ready to run: eight words each way, in registers.
fn words() -> Result<Block, Status> {
    let (port, set) = port()?;
    thread(space(1)?, NORMAL, serve_words, address(leak(set)))?;
    Ok(Block { rax: ipc::CLIENT_CALL | ipc::SHORT, rdi: port, ..Block::default() })
}

/// A port in a set of its own: the address of a reference to it, and that of the set.
fn port() -> Result<(u64, u64), Status> {
    let set = leak(PortSet::new());
    set.at().create()?;
    let port = leak(Port::new());
    port.at().open_in(set.at(), 1)?;
    Ok((refer(port.at())?.address(), set.at().address()))
}

/// A client's call with so many bytes each way, ready to run.
pub fn client(size: usize) -> Result<Block, Status> {
    let buffer = |size: usize| -> u64 { address(&*Box::leak(vec![0_u64; size / 8 + 1].into_boxed_slice())) };
    let (port, set) = port()?;
    let size = size as u64;
    // Room for a byte more, so that a full message is not taken for a cut one.
    let server = leak(Server {
        set,
        reply: buffer(size as usize),
        reply_size: size,
        request: buffer(size as usize),
        room: size + 1,
    });
    thread(space(1)?, NORMAL, serve, address(server))?;
    let (send, receive) = (buffer(size as usize), buffer(size as usize));
    Ok(Block {
        rax: ipc::CLIENT_CALL,
        rdi: port,
        rsi: send,
        rdx: size,
        r9: receive,
        rbx: size + 1,
        ..Block::default()
    })
}

/// The rows.
pub fn measure() -> Result<(), Status> {
    let call = words()?;
    row("rpc-words", || {
        let mut call = call;
        call.run_counted();
        let ended = call.rax == Status::ReceiveDisconnected as u64;
        if ended { Ok(crate::timed::between(call.begin, call.end)) } else { Err(Status::InvalidState) }
    })?;
    for (size, name) in SIZES {
        let call = client(size)?;
        row(name, || round_trip(call, size))?;
    }
    Ok(())
}

/// One of them. The server ends the connection when it waits for the next request.
pub fn round_trip(mut call: Block, size: usize) -> Result<u64, Status> {
    call.run_counted();
    let came = call.rax == Status::ReceiveDisconnected as u64 && call.rbx == 1 && call.rdx == 0;
    if !came {
        crate::report::line(&alloc::format!("a round trip of {size} bytes ended in {call:x?}"));
        return Err(Status::InvalidState);
    }
    Ok(crate::timed::between(call.begin, call.end))
}

//! Asynchronous exceptions.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use flob_program_shared::{Desk, expect};
use flob_runtime::abi::{Call, Handlers, Status};
use flob_runtime::call::Transfer;
use flob_runtime::service::clock;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::{exception, named, thread};

use crate::Outcome;

/// How often the handler ran.
static HITS: AtomicU64 = AtomicU64::new(0);

/// Counts, and goes back. It uses no stack, and only what the saved area holds.
#[unsafe(naked)]
unsafe extern "C" fn handler() {
    naked_asm!(
        "lea rax, [rip + {hits}]",
        "inc qword ptr [rax]",
        "mov eax, {leave}",
        "syscall",
        "ud2",
        hits = sym HITS,
        leave = const Call::ReturnFromException as u32,
    )
}

/// Makes the calling thread listen to everything that is asynchronous.
fn listen() -> Result<(), Status> {
    let address = (handler as *const ()).expose_provenance() as u64;
    let handlers = Handlers { trap: 0, interrupt: address, client_alert: address, server_alert: address };
    // SAFETY: the handler is one.
    unsafe { exception::set_handlers(&handlers) }?;
    expect_same(exception::handlers()?, handlers)
}

fn expect_same(is: Handlers, wanted: Handlers) -> Result<(), Status> {
    if is == wanted { Ok(()) } else { Err(Status::InvalidState) }
}

fn hits() -> u64 {
    HITS.load(Ordering::SeqCst)
}

/// A thread that computes in its red zone while it is interrupted many times comes to the right result.
pub fn interrupt() -> Outcome {
    const ROUNDS: u64 = 50;
    static STOP: AtomicU64 = AtomicU64::new(0);
    static READY: (Lock<bool>, Condition) = (Lock::new(false), Condition::new());
    HITS.store(0, Ordering::SeqCst);
    let busy = thread::spawn(|| {
        let listening = listen().and_then(|()| exception::enable());
        *READY.0.lock() = true;
        READY.1.signal();
        let (mut sum, mut count) = (0_u64, 0_u64);
        while STOP.load(Ordering::Relaxed) == 0 {
            count += 1;
            sum = sum.wrapping_add(core::hint::black_box(count));
        }
        (listening, sum, count)
    })?;
    drop(READY.1.wait_until(READY.0.lock(), |ready| *ready));
    for round in 1..=ROUNDS {
        busy.flob().interrupt()?;
        while hits() < round {
            // Lets the other run.
            let _ = clock::sleep(Duration::from_millis(1));
        }
    }
    STOP.store(1, Ordering::SeqCst);
    let (listening, sum, count) = busy.join()?;
    listening?;
    expect("hits", hits(), ROUNDS)?;
    expect("sum", sum, (count.wrapping_mul(count + 1)) / 2)
}

/// What comes while exceptions are disabled comes when they are enabled; a thread that waits is interrupted there.
pub fn deferred() -> Outcome {
    static GATE: Lock<()> = Lock::new(());
    HITS.store(0, Ordering::SeqCst);
    let gate = GATE.lock();
    let waiter = thread::spawn(|| {
        let listening = listen().and_then(|()| exception::disable());
        drop(GATE.lock());
        let before = hits();
        let enabled = exception::enable();
        (listening.and(enabled), before, hits())
    })?;
    waiter.flob().interrupt()?;
    waiter.flob().interrupt()?;
    drop(gate);
    let (listening, before, after) = waiter.join()?;
    listening?;
    expect("before", before, 0)?;
    expect("after", after, 1)
}

/// A server that waits for its client hears its alert.
pub fn alert() -> Outcome {
    HITS.store(0, Ordering::SeqCst);
    let Desk { set, port } = Desk::new(1)?;
    let server = thread::spawn(move || {
        let listening = listen().and_then(|()| exception::enable());
        let heard = named::wait_receive_words(set, [0; 8]);
        (listening, heard.words[0], hits())
    })?;
    let connect = flob_runtime::abi::ipc::IPC | flob_runtime::abi::ipc::CONNECT;
    flob_runtime::call::ipc(connect, port.address(), Transfer::default());
    let alerted = named::client_alert(Transfer::default());
    named::client_send_words([17; 8]);
    named::client_disconnect(Transfer::default());
    let (listening, word, hits) = server.join()?;
    listening?;
    expect("status", alerted.status as u64, 0)?;
    expect("word", word, 17)?;
    expect("hits", hits, 1)
}

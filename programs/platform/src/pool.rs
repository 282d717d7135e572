//! Server threads. A request may take long (a sleep, a wait for the host): its thread just blocks in it, and there is
//! always another one that waits for the next request.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicUsize, Ordering};

use flob_runtime::abi::Status;
use flob_runtime::eprintln;
use flob_runtime::ipc::{Answer, Server};
use flob_runtime::nester::Desk;
use flob_runtime::sync::Lock;
use flob_runtime::thread::Builder;

use crate::service::{self, Outcome};

/// Stack of a server thread.
const STACK: usize = 64 * 1024;
/// Most server threads.
const MOST: usize = 64;

/// How many server threads there are: under its lock another one is made.
static ALL: Lock<usize> = Lock::new(0);
/// How many of them wait for a request.
static IDLE: AtomicUsize = AtomicUsize::new(0);

/// Starts the first server thread.
pub fn start(desk: &'static Desk) -> Result<(), String> {
    ensure_one_is_idle(desk).map_err(|status| format!("no server thread: {}", status.text()))
}

/// Starts another server thread if none waits.
fn ensure_one_is_idle(desk: &'static Desk) -> Result<(), Status> {
    if IDLE.load(Ordering::Acquire) > 0 {
        return Ok(());
    }
    let mut all = ALL.lock();
    if IDLE.load(Ordering::Acquire) > 0 || *all >= MOST {
        return Ok(());
    }
    let server = Server::new(desk.set())?;
    // Before it can take a request and count itself out.
    IDLE.fetch_add(1, Ordering::AcqRel);
    match Builder::new().stack(STACK).spawn(move || serve(desk, server)) {
        Ok(thread) => thread.detach(),
        Err(status) => {
            IDLE.fetch_sub(1, Ordering::AcqRel);
            return Err(status);
        }
    }
    *all += 1;
    Ok(())
}

/// Serves for good.
fn serve(desk: &'static Desk, mut server: Server) {
    let mut outcome = Outcome::nothing();
    loop {
        let references = outcome.reference.as_slice();
        let answer = match outcome.bytes.as_slice() {
            [] => Answer::None,
            bytes => Answer::Reply { bytes, references },
        };
        let (request, _) = server.next(answer);
        IDLE.fetch_sub(1, Ordering::AcqRel);
        if let Err(status) = ensure_one_is_idle(desk) {
            eprintln!("platform: no further server thread: {}", status.text());
        }
        outcome = service::serve(desk, &request);
        IDLE.fetch_add(1, Ordering::AcqRel);
    }
}

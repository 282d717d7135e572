//! Server threads. A request may take long (a sleep, a wait for the host): its thread just blocks in it, and there is
//! always another one that waits for the next request.

use alloc::format;
use alloc::string::String;

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

/// How many server threads there are, and how many of them wait for a request.
struct Count {
    all: usize,
    idle: usize,
}

static COUNT: Lock<Count> = Lock::new(Count { all: 0, idle: 0 });

/// Starts the first server thread.
pub fn start(desk: &'static Desk) -> Result<(), String> {
    ensure_one_is_idle(desk).map_err(|status| format!("no server thread: {}", status.text()))
}

/// Starts another server thread if none waits.
fn ensure_one_is_idle(desk: &'static Desk) -> Result<(), Status> {
    let mut count = COUNT.lock();
    if count.idle > 0 || count.all >= MOST {
        return Ok(());
    }
    let server = Server::new(desk.set())?;
    Builder::new().stack(STACK).spawn(move || serve(desk, server))?.detach();
    count.all += 1;
    count.idle += 1;
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
        COUNT.lock().idle -= 1;
        if let Err(status) = ensure_one_is_idle(desk) {
            eprintln!("platform: no further server thread: {}", status.text());
        }
        outcome = service::serve(desk, &request);
        COUNT.lock().idle += 1;
    }
}

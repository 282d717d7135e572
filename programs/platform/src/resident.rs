//! The debugger's nester in the platform's own space: what it would ask its parent for it has at once, and nothing changes address
//! spaces between the line and the nester. Any nester elsewhere, the debugger's too, is a child ([`crate::child`]).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use flob_debugger_nester::guest::{self, CHANNEL, Receiver, Surroundings};
use flob_runtime::abi::{Status, start::FIRST_SPACE};
use flob_runtime::eprintln;
use flob_runtime::flob::{FlobAt, Links, Space};
use flob_runtime::nester::{Desk, ProgramFile};
use flob_runtime::service::messages::BulkRequest;
use flob_runtime::service::{ServiceError, host};
use flob_runtime::thread::Builder;

use crate::channels::{self, Datagram};
use crate::child::{CEILING, OWN_MEMORY};
use crate::lent::Lent;
use crate::{end, files, line, service};

/// Its name, as the first of a stack.
pub const NAME: &str = "debugger-nester";
/// Stack of the thread that starts it.
const STACK: usize = 512 * 1024;

/// There is a nester in this space.
static IS_HERE: AtomicBool = AtomicBool::new(false);

/// Whether there is a nester in this space: then nobody else has the line.
pub fn is_here() -> bool {
    IS_HERE.load(Ordering::Relaxed)
}

/// What the nester stands on: this program, with its services.
struct Platform(&'static Desk);

impl Surroundings for Platform {
    fn ceiling(&self) -> Result<u32, Status> {
        Ok(CEILING)
    }

    fn reserved(&self) -> usize {
        OWN_MEMORY
    }

    fn capacity(&self) -> host::Capacity {
        let line::Capacity { is_lossless, to_host, to_guest } = line::capacity();
        host::Capacity { is_lossless, to_host: to_host as u32, to_guest: to_guest as u32 }
    }

    fn send(&self, datagram: &[u8]) -> Result<(), ServiceError> {
        channels::send(CHANNEL, datagram).or_else(|refusal| host::sent(&refusal))
    }

    fn send_bulk(&self, datagram: &[u8], sum: u64, pieces: &[(u64, u64)]) -> Result<(), ServiceError> {
        let asked = BulkRequest { channel: CHANNEL, message: datagram, sum, pieces: pieces.to_vec() };
        // SAFETY: the nester's own memory or its child's, which the nester leaves alone until this returns.
        let sent = channels::send_bulk(&asked, |address, bytes| unsafe { Lent::of_own(address, bytes) });
        sent.or_else(|refusal| host::sent(&refusal))
    }

    fn receiver(&self) -> Box<dyn Receiver> {
        Box::new(Last(Datagram::default()))
    }

    fn program<'a>(&self, name: &'a str) -> Result<Option<Box<dyn ProgramFile + 'a>>, ServiceError> {
        Ok(files::find(name).map(|file| Box::new(file) as _))
    }

    fn pass_on(&self, service: &str, request: &[u8]) -> Option<Vec<u8>> {
        service::answer(self.0, service, request).map(|outcome| outcome.bytes)
    }

    fn end(&self, code: i32) -> ! {
        end::end_machine(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

/// The datagram that was received last.
struct Last(Datagram);

impl Receiver for Last {
    fn exchange(&mut self, datagram: &[u8], is_soon: bool) -> Result<(&[u8], &[u8]), ServiceError> {
        let refused = |refusal| host::sent(&refusal).err().unwrap_or(ServiceError::Garbled);
        let channel = channels::send_along(CHANNEL, datagram).map_err(refused)?;
        if is_soon {
            line::await_briefly();
        }
        self.0 = channel.next();
        Ok((&self.0.message, &self.0.bulk))
    }
}

/// Starts it with these arguments, its name first. What it dies of comes to the keeper at this desk.
pub fn start(desk: &'static Desk, arguments: Vec<String>) -> Result<(), String> {
    let kernel = |status: Status| format!("'{NAME}' cannot be started: {}", status.text());
    let keeper = desk.reference(service::KEEPER).ok_or("the keeper's port is missing")?;
    let space = FlobAt::<Space>::new(FIRST_SPACE);
    let state = space.get_state(&Links::NONE).map_err(kernel)?;
    space.set_state(&state, &Links::NONE.with(0, keeper)).map_err(kernel)?;
    IS_HERE.store(true, Ordering::Relaxed);
    let platform: &Platform = Box::leak(Box::new(Platform(desk)));
    let run = move || {
        if let Err(message) = guest::run(platform, arguments) {
            eprintln!("{NAME}: {message}");
            end::end_machine(1)
        }
    };
    Builder::new().stack(STACK).priority(CEILING).spawn(run).map_err(kernel)?.detach();
    Ok(())
}

//! What the nester stands on: somebody carries its datagrams to the host, keeps programs, and hears of its end. Where it is a
//! child that is its [`Parent`], by IPC; the platform, which has the nester in its own space, does it at once.

use alloc::boxed::Box;
use alloc::vec::Vec;

use flob_abi::Status;
use flob_runtime::flob::Links;
use flob_runtime::nester::{ProgramFile, inherited};
use flob_runtime::service::{Service, ServiceError, host, pass_on, programs};
use flob_runtime::start;

use flob_image::tags::{LOG, PROGRAMS};

/// Name of the nester's channel to the host.
pub const CHANNEL: &str = "debugger";

/// Whoever the nester stands on.
pub trait Surroundings: Sync {
    /// The highest priority that its threads, and so the child's, may have.
    fn ceiling(&self) -> Result<u32, Status>;

    /// Bytes of the heap that are not the nester's.
    fn reserved(&self) -> usize;

    /// What the line carries with a datagram. Where there is no host it does not matter.
    fn capacity(&self) -> host::Capacity;

    /// Sends a datagram.
    fn send(&self, datagram: &[u8]) -> Result<(), ServiceError>;

    /// Sends a datagram with bulk that has this sum and is read, until this returns, where it lies: address and bytes of each piece.
    fn send_bulk(&self, datagram: &[u8], sum: u64, pieces: &[(u64, u64)]) -> Result<(), ServiceError>;

    /// For the thread that receives.
    fn receiver(&self) -> Box<dyn Receiver>;

    /// The program of this name, if there is one.
    fn program<'a>(&self, name: &'a str) -> Result<Option<Box<dyn ProgramFile + 'a>>, ServiceError>;

    /// Puts a request of the child's to a service that its nester has from elsewhere. `None` if it was not answered.
    fn pass_on(&self, service: &str, request: &[u8]) -> Option<Vec<u8>>;

    /// The end, behind everything that was sent.
    fn end(&self, code: i32) -> !;
}

/// Receives the nester's datagrams.
pub trait Receiver {
    /// Sends a datagram, unless it is empty, and waits for the next, which may be expected soon; it, and its bulk. After an error what
    /// was to be sent may have been.
    fn exchange(&mut self, datagram: &[u8], is_soon: bool) -> Result<(&[u8], &[u8]), ServiceError>;
}

/// The parent, whoever that is.
pub struct Parent;

impl Surroundings for Parent {
    fn ceiling(&self) -> Result<u32, Status> {
        inherited(&Links::NONE).map(|space| space.ceiling)
    }

    fn reserved(&self) -> usize {
        0
    }

    fn capacity(&self) -> host::Capacity {
        host::capacity().unwrap_or_default()
    }

    fn send(&self, datagram: &[u8]) -> Result<(), ServiceError> {
        host::send(CHANNEL, datagram)
    }

    fn send_bulk(&self, datagram: &[u8], sum: u64, pieces: &[(u64, u64)]) -> Result<(), ServiceError> {
        host::send_bulk(CHANNEL, datagram, sum, pieces)
    }

    fn receiver(&self) -> Box<dyn Receiver> {
        Box::new(host::Receiver::new(CHANNEL))
    }

    fn program<'a>(&self, name: &'a str) -> Result<Option<Box<dyn ProgramFile + 'a>>, ServiceError> {
        Ok(programs::File::open(name)?.map(|file| Box::new(file) as _))
    }

    fn pass_on(&self, service: &str, request: &[u8]) -> Option<Vec<u8>> {
        static UP: [Service; 2] = [Service::new(PROGRAMS), Service::new(LOG)];
        let up = UP.iter().find(|known| known.name() == service)?;
        pass_on(up.port().ok()?, request)
    }

    fn end(&self, code: i32) -> ! {
        start::exit(code)
    }
}

impl Receiver for host::Receiver<'_> {
    fn exchange(&mut self, datagram: &[u8], _: bool) -> Result<(&[u8], &[u8]), ServiceError> {
        self.receive(datagram)
    }
}

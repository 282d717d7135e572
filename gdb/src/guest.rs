//! What the gdb server needs of a session, as a trait: tests put a made-up guest in its place.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use flob_image::{Environment, Place, store::Store};
use flob_link::{Change, Memory, Scope, Tracing, Watch};
use flob_session::{
    Client, Error, Hears, HubReply, HubRequest, LongRequest, Owner, Source, TracePart, Update,
};

/// A session, seen by one debugger connection. Its holds and breakpoints belong to that connection alone.
pub trait Guest: Send {
    /// What happens from now on is told to this.
    fn tell(&mut self, hears: Hears) -> Result<(), Error>;

    /// The code with which the program has ended, if it has.
    fn exit(&mut self) -> Result<Option<i32>, Error>;

    /// The environment as it is now.
    fn environment(&mut self, vectors: bool) -> Result<Environment, Error>;

    /// `count` bytes as this space sees them.
    fn read(&mut self, space: Place, address: u64, count: u32) -> Result<Vec<u8>, Error>;

    /// Writes memory as this space sees it.
    fn write(&mut self, space: Place, address: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Changes a flob.
    fn set(&mut self, place: Place, hash: u64, change: Change) -> Result<(), Error>;

    /// Holds threads back.
    fn hold(&mut self, scope: Scope) -> Result<(), Error>;

    /// Lets them go; answers who else still holds some of them.
    fn release(&mut self, scope: Scope) -> Result<Vec<Owner>, Error>;

    /// Lets a space go until a thread of it stops (a step is none such). Who else still holds some of it, and whether the whole space is
    /// held again when a stop is told.
    fn go_on(&mut self, space: Place) -> Result<(Vec<Owner>, bool), Error> {
        Ok((self.release(Scope::Space(space))?, false))
    }

    /// Starts one instruction of a held thread, or more as long as it is between these addresses; `HubEvent::Guest(Stopped)` tells the
    /// end.
    fn step(&mut self, thread: Place, within: Option<(u64, u64)>) -> Result<(), Error>;

    /// Puts a breakpoint in, or takes it out.
    fn set_breakpoint(&mut self, space: Place, address: u64, wanted: bool) -> Result<(), Error>;

    /// Watches memory, or has a hardware breakpoint; or no more.
    fn set_watch(&mut self, watch: Watch, wanted: bool) -> Result<(), Error> {
        let _ = (watch, wanted);
        Err(Error::Refused("this guest has no debug registers".into()))
    }

    /// Has the threads of a space stopped before these kernel calls, and before no others.
    fn catch_calls(&mut self, space: Place, calls: &[u64]) -> Result<(), Error> {
        let _ = (space, calls);
        Err(Error::Refused("this guest's calls cannot be caught".into()))
    }

    /// Traces this for this debugger, and nothing else.
    fn set_trace(&mut self, tracing: Tracing) -> Result<(), Error> {
        let _ = tracing;
        Err(Error::Refused("this guest traces nothing".into()))
    }

    /// Records of the trace from this number on.
    fn trace(&mut self, from: u64) -> Result<TracePart, Error> {
        let _ = from;
        Ok(TracePart::default())
    }

    /// The program's ELF on this machine.
    fn elf(&mut self) -> Option<PathBuf>;

    /// Has the state kept for `flob undo`, before something is done to it.
    fn remember(&mut self, what: &str) -> Result<(), Error> {
        let _ = what;
        Ok(())
    }

    /// Saves a checkpoint: its id.
    fn save(&mut self, name: Option<String>) -> Result<String, Error> {
        let _ = name;
        Err(no_checkpoints())
    }

    /// The id of the checkpoint that is called so.
    fn checkpoint(&mut self, name: &str) -> Result<String, Error> {
        let _ = name;
        Err(no_checkpoints())
    }

    /// Puts a checkpoint in the place of the environment: its id. Afterwards the user holds everything.
    fn restore(&mut self, id: &str) -> Result<String, Error> {
        let _ = id;
        Err(no_checkpoints())
    }

    /// Begins the program anew, with other arguments if any are given. Afterwards the user holds everything.
    fn restart(&mut self, arguments: Option<Vec<String>>) -> Result<(), Error> {
        let _ = arguments;
        Err(Error::Refused("this guest has only one life".into()))
    }

    /// Lets go what the user holds.
    fn release_user(&mut self) -> Result<(), Error> {
        Err(no_checkpoints())
    }

    /// Looks and reads that are not answered by then fail (`None`: they may take their time).
    fn hurry(&mut self, by: Option<Instant>) {
        let _ = by;
    }
}

fn no_checkpoints() -> Error {
    Error::Refused("this guest has no checkpoints".into())
}

/// The guest behind a connection to the hub.
#[derive(Debug)]
pub struct SessionGuest {
    client: Client,
    owner: Owner,
    answer_by: Option<Instant>,
}

impl SessionGuest {
    /// A guest over this client, which should be used for nothing else: when it goes, the hub takes back what the
    /// debugger held.
    pub fn new(client: Client) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let owner = Owner::Client(format!("gdb-{}-{number}", std::process::id()));
        Self { client, owner, answer_by: None }
    }

    fn ask(&self, request: impl Into<HubRequest>) -> Result<HubReply, Error> {
        self.client.request(request)
    }

    /// Who else holds.
    fn others(&self, reply: HubReply) -> Vec<Owner> {
        let HubReply::Held { holders, .. } = reply else { return Vec::new() };
        holders.into_iter().filter(|holder| *holder != self.owner).collect()
    }

    /// As [`Self::ask`], for what changes nothing: given up when it takes too long.
    fn ask_quickly(&self, request: HubRequest) -> Result<HubReply, Error> {
        let Some(by) = self.answer_by else { return self.ask(request) };
        let pending = self.client.start(request)?;
        loop {
            match pending.updates.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok(Update::Done(result)) => return result,
                Ok(Update::Progress { .. }) => {}
                Err(_) => return Err(Error::Guest("the guest does not answer in time".into())),
            }
        }
    }
}

impl Guest for SessionGuest {
    fn tell(&mut self, hears: Hears) -> Result<(), Error> {
        self.client.tell(hears)
    }

    fn exit(&mut self) -> Result<Option<i32>, Error> {
        Ok(self.client.info()?.progress.exit)
    }

    fn environment(&mut self, vectors: bool) -> Result<Environment, Error> {
        match self.ask_quickly(HubRequest::Look { vectors })? {
            HubReply::Environment(environment) => Ok(environment),
            other => Err(unexpected(&other)),
        }
    }

    fn read(&mut self, space: Place, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        let memory = Memory::Space(space);
        match self.ask_quickly(HubRequest::Read { memory, address, count })? {
            HubReply::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    fn write(&mut self, space: Place, address: u64, bytes: &[u8]) -> Result<(), Error> {
        Source::write(&mut self.client, Memory::Space(space), address, bytes)
    }

    fn set(&mut self, place: Place, hash: u64, change: Change) -> Result<(), Error> {
        Source::set(&mut self.client, place, hash, change)
    }

    fn hold(&mut self, scope: Scope) -> Result<(), Error> {
        self.ask(HubRequest::Hold { owner: self.owner.clone(), scope }).map(drop)
    }

    fn release(&mut self, scope: Scope) -> Result<Vec<Owner>, Error> {
        let reply = self.ask(HubRequest::Release { owner: self.owner.clone(), scope, force: false })?;
        Ok(self.others(reply))
    }

    fn go_on(&mut self, space: Place) -> Result<(Vec<Owner>, bool), Error> {
        let reply = self.ask(HubRequest::Continue { owner: self.owner.clone(), space })?;
        Ok((self.others(reply), true))
    }

    fn step(&mut self, thread: Place, within: Option<(u64, u64)>) -> Result<(), Error> {
        self.ask(HubRequest::Step { owner: self.owner.clone(), thread, within }).map(drop)
    }

    fn set_breakpoint(&mut self, space: Place, address: u64, wanted: bool) -> Result<(), Error> {
        let owner = self.owner.clone();
        self.ask(if wanted {
            HubRequest::SetBreakpoint { owner, space, address }
        } else {
            HubRequest::ClearBreakpoint { owner, space, address }
        })
        .map(drop)
    }

    fn set_watch(&mut self, watch: Watch, wanted: bool) -> Result<(), Error> {
        let owner = self.owner.clone();
        self.ask(if wanted {
            HubRequest::SetWatch { owner, watch }
        } else {
            HubRequest::ClearWatch { owner, watch }
        })
        .map(drop)
    }

    fn catch_calls(&mut self, space: Place, calls: &[u64]) -> Result<(), Error> {
        let (owner, calls) = (self.owner.clone(), calls.to_vec());
        self.ask(HubRequest::CatchCalls { owner, space, calls }).map(drop)
    }

    fn set_trace(&mut self, tracing: Tracing) -> Result<(), Error> {
        let owner = self.owner.clone();
        self.ask(HubRequest::SetTrace { owner, tracing }).map(drop)
    }

    fn trace(&mut self, from: u64) -> Result<TracePart, Error> {
        match self.ask(HubRequest::Trace { from })? {
            HubReply::Trace(part) => Ok(part),
            other => Err(unexpected(&other)),
        }
    }

    fn remember(&mut self, what: &str) -> Result<(), Error> {
        self.ask(LongRequest::Remember { what: what.to_owned() }).map(drop)
    }

    fn save(&mut self, name: Option<String>) -> Result<String, Error> {
        match self.ask(LongRequest::Save { name, when: None, full: false })? {
            HubReply::Checkpoint(id) => Ok(id),
            other => Err(unexpected(&other)),
        }
    }

    fn checkpoint(&mut self, name: &str) -> Result<String, Error> {
        Ok(Store::open_default()?.load(name)?.id())
    }

    fn restore(&mut self, id: &str) -> Result<String, Error> {
        match self.ask(LongRequest::Restore { id: id.to_owned(), force: false, lazy: false })? {
            HubReply::Checkpoint(id) => Ok(id),
            other => Err(unexpected(&other)),
        }
    }

    fn restart(&mut self, arguments: Option<Vec<String>>) -> Result<(), Error> {
        self.ask(LongRequest::Restart { arguments }).map(drop)
    }

    fn release_user(&mut self) -> Result<(), Error> {
        let scope = Scope::Environment;
        self.ask(HubRequest::Release { owner: Owner::User, scope, force: false }).map(drop)
    }

    fn elf(&mut self) -> Option<PathBuf> {
        self.client.info().ok()?.elf
    }

    fn hurry(&mut self, by: Option<Instant>) {
        self.answer_by = by;
    }
}

fn unexpected(reply: &HubReply) -> Error {
    Error::Internal(format!("the hub gave another kind of answer: {reply:?}"))
}

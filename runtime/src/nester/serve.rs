//! Answering a child's parent port and the services it looks up there: a port each, one port set, and what to do with
//! requests that must wait. A request is acted on only when it is whole, so that it can be put again after a restore.

use alloc::{boxed::Box, vec::Vec};

use flob_abi::{
    Status, ThreadState,
    flob::thread_link,
    ipc as steps,
    state::{group, thread_flag},
};

use super::environment::Environment;
use super::memory::{ChildMemory, Peek};
use crate::call::{self, Transfer};
use crate::flob::{
    FlobAt, Links, OwnedReference, Port, PortSet, Reference, Thread, park_connection, take_connection,
};
use crate::ipc::{Answer, MAX_REFERENCES, ROOM, answer_and_wait};

/// A port that the nester serves.
struct Served {
    name: &'static str,
    /// Kept where it is for as long as the desk lives.
    _port: Box<Port>,
    reference: OwnedReference,
}

/// The ports of a nester in one port set. A service's alias is its index.
pub struct Desk {
    set: Box<PortSet>,
    served: Vec<Served>,
}

impl Desk {
    /// A port for each of these names.
    pub fn new(names: &[&'static str]) -> Result<Self, Status> {
        let set = Box::new(PortSet::new());
        set.at().create()?;
        let mut served = Vec::new();
        for (alias, name) in names.iter().copied().enumerate() {
            let port = Box::new(Port::new());
            port.at().open_in(set.at(), alias as u64)?;
            let reference = OwnedReference::new()?;
            port.at().reference(reference.at())?;
            served.push(Served { name, _port: port, reference });
        }
        Ok(Self { set, served })
    }

    /// The port set, to wait at.
    pub fn set(&self) -> FlobAt<PortSet> {
        self.set.at()
    }

    /// The name of the service with this alias.
    pub fn name(&self, alias: u64) -> Option<&'static str> {
        self.served.get(usize::try_from(alias).ok()?).map(|served| served.name)
    }

    /// A reference to the port of this service.
    pub fn reference(&self, name: &str) -> Option<FlobAt<Reference>> {
        self.served.iter().find(|served| served.name == name).map(|served| served.reference.at())
    }

    /// Serves for good, one request after the other, without a [`Clerk`]: those that fit the buffer whole. One that gets no reply
    /// ends its connection.
    pub fn serve_long(&self, mut buffer: Vec<u8>, mut handle: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> ! {
        let mut reply = Vec::new();
        loop {
            let answer = match reply.as_slice() {
                [] => Answer::None,
                bytes => Answer::Reply { bytes, references: &[] },
            };
            let (incoming, _) = answer_and_wait(answer, self.set(), &mut buffer, &[]);
            let is_whole = incoming.flavour == steps::Flavour::Reliable && incoming.status == Status::Success;
            let request = buffer.get(..incoming.bytes).filter(|_| is_whole);
            reply = request.and_then(&mut handle).unwrap_or_default();
        }
    }

    /// All services and references to their ports: what handed-out references mean.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, FlobAt<Reference>)> {
        self.served.iter().map(|served| (served.name, served.reference.at()))
    }
}

/// A whole request of a reliable call.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The service that was asked.
    pub service: &'static str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its references; overwritten by the next request.
    pub references: &'a [OwnedReference],
}

/// What is done about a request.
#[derive(Debug, Default)]
pub enum Reply {
    /// Nothing: it was parked, or deserves no answer: then its connection ends.
    #[default]
    None,
    /// It is answered.
    Bytes {
        /// The reply.
        bytes: Vec<u8>,
        /// A reference to send along.
        reference: Option<FlobAt<Reference>>,
    },
}

impl Reply {
    /// A reply of bytes alone.
    pub const fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes { bytes, reference: None }
    }
}

/// A server thread's buffers.
pub struct Clerk {
    inbox: ChildMemory,
    references: Vec<OwnedReference>,
}

impl Clerk {
    /// Buffers for one thread.
    pub fn new() -> Result<Self, Status> {
        let inbox = ChildMemory::take(ROOM as u64).ok_or(Status::NoMemory)?;
        let references = (0..MAX_REFERENCES).map(|_| OwnedReference::new()).collect::<Result<_, _>>()?;
        Ok(Self { inbox, references })
    }

    /// A look at what the thread receives, for others.
    pub fn inbox(&self) -> Peek {
        self.inbox.peek()
    }

    /// Serves the desk for good: `handle` gets each whole request. Between its return and the wait for the next request
    /// nothing happens, so who keeps `handle` out sees the thread either before or behind it.
    pub fn serve(mut self, desk: &Desk, mut handle: impl FnMut(Request<'_>) -> Reply) -> ! {
        let room: [FlobAt<Reference>; MAX_REFERENCES] = core::array::from_fn(|index| {
            self.references.get(index).map_or(FlobAt::new(0), OwnedReference::at)
        });
        let mut reply = Reply::None;
        loop {
            let sent;
            let answer = match &reply {
                Reply::None => Answer::None,
                Reply::Bytes { bytes, reference: None } => Answer::Reply { bytes, references: &[] },
                Reply::Bytes { bytes, reference: Some(reference) } => {
                    sent = [*reference];
                    Answer::Reply { bytes, references: &sent }
                }
            };
            let buffer = self.inbox.buffer().get_mut(..ROOM).unwrap_or_default();
            let (incoming, _) = answer_and_wait(answer, desk.set(), buffer, &room);
            let is_call = incoming.flavour == steps::Flavour::Reliable && incoming.status == Status::Success;
            reply = match (desk.name(incoming.alias), buffer.get(..incoming.bytes)) {
                (Some(service), Some(bytes)) if is_call => handle(Request {
                    service,
                    bytes,
                    references: self.references.get(..incoming.references).unwrap_or_default(),
                }),
                _ => Reply::None,
            };
        }
    }
}

/// A client that waits for its answer while nobody serves it.
pub struct Parked(OwnedReference);

impl Parked {
    /// Parks the connection that the calling thread is serving.
    pub fn park() -> Result<Self, Status> {
        let reference = OwnedReference::new()?;
        park_connection(reference.at())?;
        Ok(Self(reference))
    }

    /// The connection of a client that names a thread of ours as its peer: for a restore.
    pub fn of(client: FlobAt<Reference>) -> Result<Self, Status> {
        Ok(Self(OwnedReference::copy_of(client)?))
    }

    /// The same connection once more, for another hand.
    pub fn again(&self) -> Result<Self, Status> {
        Self::of(self.client())
    }

    /// The client's thread; null if it is gone.
    pub fn client(&self) -> FlobAt<Reference> {
        self.0.at()
    }

    /// Makes the calling thread, which `server` names, the one that the client waits for. `None` if the client is gone, or
    /// waits for none of the threads in `former` any more: then there is nothing to answer. Else whether the client has
    /// turned to receiving already.
    pub fn rejoin(
        &self,
        environment: &Environment,
        server: FlobAt<Reference>,
        former: &[FlobAt<Reference>],
    ) -> Result<Option<bool>, Status> {
        let Ok(place) = self.client().locate(environment.region()) else { return Ok(None) };
        let client = environment.flob::<Thread>(place);
        let peer = OwnedReference::new()?;
        let links = Links::NONE.with(thread_link::CLIENT_PEER, peer.at());
        let state: ThreadState = client.get_groups(&links, group::CONTROL | group::DIRECTION)?;
        let waits = former.iter().any(|former| former.same_as(peer.at()));
        if waits {
            let links =
                Links::NONE.with(thread_link::CLIENT_PEER, server).with(thread_link::WAITING_FOR, server);
            client.set_links(&links)?;
        }
        if state.flags & thread_flag::STOPPED == 0 {
            client.resume(state.flags & thread_flag::EXCEPTIONS_ENABLED != 0)?;
        }
        Ok(waits.then_some(state.flags & thread_flag::CLIENT_SENDS == 0))
    }

    /// Takes the connection up, answers and ends it. Waits until the client has taken all. `is_begun`: the client has
    /// taken the first part of the reply already, and this is the rest.
    pub fn answer(
        &self,
        bytes: &[u8],
        references: &[FlobAt<Reference>],
        is_begun: bool,
    ) -> Result<(), Status> {
        take_connection(self.0.at())?;
        if !is_begun {
            return crate::ipc::answer(bytes, references);
        }
        let steps = steps::IPC | steps::SERVER | steps::SEND | steps::DISCONNECT;
        let addresses: Vec<u64> = references.iter().map(|reference| reference.address()).collect();
        let transfer = Transfer { send: bytes, send_references: &addresses, ..Transfer::default() };
        match call::ipc(steps, 0, transfer).status {
            Status::Success => Ok(()),
            other => Err(other),
        }
    }

    /// Takes the connection up and receives the rest of a request into `room`; returns how many bytes came. The
    /// connection is parked again.
    pub fn receive_rest(&self, room: &mut [u8]) -> Result<usize, Status> {
        take_connection(self.0.at())?;
        let steps = steps::IPC | steps::SERVER | steps::RECEIVE;
        let outcome = call::ipc(steps, 0, Transfer { receive: room, ..Transfer::default() });
        park_connection(self.0.at())?;
        match outcome.status {
            Status::Success => Ok(outcome.received),
            other => Err(other),
        }
    }
}

/// How far a server thread is with the connection at its hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// There is none, or its request is whole and in the hands of `handle`.
    Nothing,
    /// It is receiving a request for the service with this alias.
    Receiving {
        #[allow(missing_docs)]
        alias: u64,
        /// Bytes that have come.
        bytes: usize,
    },
    /// It is sending its reply.
    Sending {
        /// Bytes that are left.
        unsent: usize,
        /// The client has turned to receiving.
        is_begun: bool,
    },
}

/// Looks at a server thread of this program that is blocked, and whom it serves: `client` is set to that. Nothing else
/// changes.
pub fn at_hand(server: FlobAt<Thread>, client: FlobAt<Reference>) -> Result<AtHand, Status> {
    let links = Links::NONE.with(thread_link::SERVER_PEER, client);
    let state: ThreadState = server.get_groups(&links, group::CONTROL | group::REGISTERS)?;
    if state.flags & thread_flag::STOPPED == 0 {
        server.resume(state.flags & thread_flag::EXCEPTIONS_ENABLED != 0)?;
    }
    let registers = &state.registers;
    let call = registers.rax;
    let is_server = call & steps::IPC != 0 && call & steps::SERVER != 0 && call < steps::IPC << 1;
    Ok(if !is_server || client.is_null() {
        AtHand::Nothing
    } else if call & (steps::ACKNOWLEDGE | steps::SEND) != 0 {
        AtHand::Sending { unsent: registers.rdx as usize, is_begun: call & steps::ACKNOWLEDGE == 0 }
    } else if call & steps::RECEIVE != 0 && call & steps::WAIT == 0 {
        AtHand::Receiving { alias: registers.rdi, bytes: ROOM.saturating_sub(registers.rbx as usize) }
    } else {
        AtHand::Nothing
    })
}

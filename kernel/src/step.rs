//! Steps of IPC calls that concern who talks to whom: connect, wait, disconnect, alert. See [`flob_abi::ipc`].

use flob_abi::{ExceptionCode, FlobKind, Protection, Status, ipc, ipc::Flavour, thread_flag};

use crate::ipc::{Side, StepDone};
use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::Machine;
use crate::outcome::Trap;
use crate::record::{Body, FlobId, Object, Port, Standing, Thread, ThreadId};
use crate::wait::next_step;

/// Ports at which clients wait that are looked at for the one that has waited longest.
const PORTS: usize = 32;

impl Side {
    /// The exception by which this end of a connection is alerted.
    fn alert(self) -> ExceptionCode {
        match self {
            Self::Client => ExceptionCode::ClientAlert,
            Self::Server => ExceptionCode::ServerAlert,
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// CONNECT: where a client looks for a server. `None` if its reference leads to no port.
    #[inline(always)]
    pub(crate) fn meeting_place(&mut self, client: ThreadId) -> Result<Option<Meeting>, Trap> {
        let Some(record) = self.threads.get(client.0) else { return Err(Trap::NoSpace) };
        let reference = record.context.registers.rdi;
        if record.client_peer.is_some() {
            self.disconnect(client, Side::Client);
        }
        let Some(port) = self.find_link(self.callers_space(), reference)? else { return Ok(None) };
        let Some(Object { body: Body::Port(Port { set, alias, .. }), .. }) = self.objects.get(port.0) else {
            return Ok(None);
        };
        let first = match set.and_then(|set| self.objects.get(set.0)) {
            Some(Object { waiters, body: Body::PortSet(_), .. }) => waiters.of(Standing::Going),
            _ => NONE,
        };
        Ok(Some(Meeting { port, set: *set, alias: *alias, first }))
    }

    /// The first server that waits at a set and can run. (Requests do not go to stopped servers: they wait.)
    #[inline(always)]
    pub(crate) fn server_of(&self, set: Option<FlobId>) -> Option<ThreadId> {
        let Object { waiters, body: Body::PortSet(_), .. } = self.objects.get(set?.0)? else { return None };
        self.first_going(*waiters, |kernel: &Self, _, record: &Thread| kernel.can_serve(record))
    }

    #[inline(always)]
    fn can_serve(&self, record: &Thread) -> bool {
        next_step(record.context.registers.rax) == Some(ipc::WAIT)
            && !record.has_exception()
            && record.space.is_some_and(|space| self.space(space).is_some())
    }

    /// Somebody waits at a port: a server of its set, if one waits, looks again.
    pub(crate) fn notify_servers(&mut self, port: FlobId) {
        let set = self.port(port).and_then(|port| port.set);
        if let Some(server) = self.server_of(set) {
            self.wake_to_look(server);
        }
    }

    /// Makes the connection with a client that waits.
    fn connect(&mut self, client: ThreadId, server: ThreadId, port: FlobId) {
        let alias = self.port(port).map_or(0, |port| port.alias);
        self.leave_queue(client);
        let Some((one, other)) = self.threads.get_two(client.0, server.0) else { return };
        let old = one.client_peer;
        link_ends((one, client), (other, server), alias);
        self.list_former_peer(old, client);
        self.rewait(client, server);
    }

    /// Makes the connection with a server that waits, whatever it does next, or waits for one at the port. True if the call of the
    /// client goes on.
    #[inline(never)]
    pub(crate) fn connect_waiting(&mut self, client: ThreadId, meeting: Meeting) -> bool {
        let Some(server) = self.server_of(meeting.set) else {
            self.block(client, meeting.port);
            return false;
        };
        self.leave_queue(server);
        let Some((one, other)) = self.threads.get_two(client.0, server.0) else { return true };
        let former = other.server_peer;
        link_ends((one, client), (other, server), meeting.alias);
        self.list_former_peer(former, server);
        self.rewait(server, client);
        true
    }

    /// A thread that is blocked and has gone on to its next step: it waits for its peer now, or its call is over.
    fn rewait(&mut self, thread: ThreadId, peer: ThreadId) {
        match next_step(self.thread(thread).context.registers.rax) {
            None => self.complete(thread, Status::Success),
            Some(ipc::SEND | ipc::OVER | ipc::RECEIVE) => {
                self.leave_queue(thread);
                self.wait_for_peer(thread, peer);
            }
            Some(_) => self.wake(thread),
        }
    }

    /// WAIT: end what was served; take the first request of the set, or wait for one. True if the call goes on.
    #[inline(always)]
    pub(crate) fn await_request(&mut self, server: ThreadId) -> bool {
        let Some(record) = self.threads.get_mut(server.0) else { return false };
        let set = record.context.registers.rdi;
        record.waiting_for = None;
        let (client, asker) = (record.server_peer.take(), record.idempotent_client.take());
        let served = client.and_then(|client| self.hang_up(server, client, Side::Client));
        if let Some(asker) = asker {
            self.drop_request(asker, server);
        }
        match self.request_at_hand(set) {
            Ok((set, false)) => {
                self.block(server, set);
                self.leave_to(served)
            }
            other => {
                if let Some(served) = served {
                    self.make_ready(served);
                }
                let done = other.and_then(|(set, _)| self.take_request(server, set));
                self.after_step(server, ipc::WAIT, done)
            }
        }
    }

    /// The port set that a server waits at, and whether anybody waits at its ports.
    #[inline(always)]
    fn request_at_hand(&mut self, address: u64) -> Result<(FlobId, bool), Trap> {
        let space = self.callers_space();
        let (set, object) = self.find_object(space, address, FlobKind::PortSet, Protection::WRITE)?;
        Ok((set, !matches!(&object.body, Body::PortSet(record) if record.pending.is_empty())))
    }

    #[inline(never)]
    fn take_request(&mut self, server: ThreadId, set: FlobId) -> Result<StepDone, Trap> {
        let Some((client, port)) = self.first_client(set) else { return Ok(StepDone::Wait(set)) };
        let done = match self.flavour(client) {
            Flavour::Reliable => {
                self.connect(client, server, port);
                Ok(StepDone::Retry)
            }
            flavour => self.deliver(server, client, port, flavour),
        };
        // There may be more requests than wake-ups; and if this server cannot take its request, another one may.
        self.pass_on(Some(set));
        done
    }

    /// Of all clients that wait at a set's ports, the one that has waited longest: of very many ports, those count at which
    /// somebody came first.
    pub(crate) fn first_client(&mut self, set: FlobId) -> Option<(ThreadId, FlobId)> {
        let mut first: Option<(ThreadId, FlobId)> = None;
        let mut index = self.port_set(set)?.pending.head;
        for _ in 0..PORTS {
            if index == NONE {
                break;
            }
            let port = FlobId(self.objects.id_at(index)?);
            let client = self.find_waiter(port, |_, _, client| client.stage_fits(FlobKind::Port));
            if let Some(client) = client
                && first.is_none_or(|(other, _)| self.thread(client).rank < self.thread(other).rank)
            {
                first = Some((client, port));
            }
            index = self.objects.at(index).map_or(NONE, Object::next_in_set);
        }
        first
    }

    /// ALERT: an asynchronous exception for the peer.
    pub(crate) fn step_alert(&mut self, thread: ThreadId, side: Side) -> StepDone {
        match self.peer(thread, side) {
            Some(peer) => {
                self.post(peer, side.other().alert());
                StepDone::Next
            }
            None => StepDone::Finish(Status::AlertDisconnected),
        }
    }

    /// A thread that is destroyed ends its connections, and its peers are alerted.
    pub(crate) fn break_connections(&mut self, thread: ThreadId) {
        for side in [Side::Client, Side::Server] {
            let peer = self.peer(thread, side);
            self.disconnect(thread, side);
            if let Some(peer) = peer {
                self.post(peer, side.other().alert());
            }
        }
    }

    /// DISCONNECT.
    pub(crate) fn step_disconnect(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        self.disconnect(thread, side);
        Ok(StepDone::Next)
    }

    /// Ends a connection, if there is one: both links are cleared; a peer that waits in it is told.
    #[inline]
    pub(crate) fn disconnect(&mut self, thread: ThreadId, side: Side) {
        let Some(peer) = self.peer_link(thread, side).take() else { return };
        if let Some(peer) = self.hang_up(thread, peer, side.other()) {
            self.make_ready(peer);
        }
    }

    /// A thread names its former peer no more, which was the end `side` of the connection. If that waits and can go on it is
    /// returned, in no queue yet.
    #[inline(always)]
    fn hang_up(&mut self, thread: ThreadId, peer: FlobId, side: Side) -> Option<ThreadId> {
        let peer = peer.as_thread()?;
        let record = self.threads.get_mut(peer.0)?;
        let back = record.peer_mut(side);
        if *back != Some(thread.into()) {
            return None;
        }
        *back = None;
        if record.waiting_for != Some(thread.into()) || record.has_exception() {
            return None;
        }
        let status = record.disconnect_status(side)?;
        if record.end_wait(status) {
            return Some(peer);
        }
        self.complete(peer, status);
        None
    }
}

/// Where a client and a server meet: a port, its set and its alias; and the place of whoever waits there, if it is one.
#[derive(Clone, Copy)]
pub(crate) struct Meeting {
    pub port: FlobId,
    pub set: Option<FlobId>,
    pub alias: u64,
    pub first: u32,
}

/// Makes a connection in the records of both ends: the client's connect and the server's wait are done.
#[inline(always)]
pub(crate) fn link_ends(
    (client, client_id): (&mut Thread, ThreadId),
    (server, server_id): (&mut Thread, ThreadId),
    alias: u64,
) {
    client.client_peer = Some(server_id.into());
    client.flags |= thread_flag::CLIENT_SENDS;
    client.context.registers.rax &= !ipc::CONNECT;
    server.server_peer = Some(client_id.into());
    let registers = &mut server.context.registers;
    registers.rax &= !ipc::WAIT;
    registers.rdi = alias;
    registers.rbp = Flavour::Reliable as u64;
}

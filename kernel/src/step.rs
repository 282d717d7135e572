//! Steps of IPC calls that concern who talks to whom: connect, wait, disconnect, alert. See [`flob_abi::ipc`].

use flob_abi::{ExceptionCode, FlobKind, Protection, Status, ipc, ipc::Flavour, thread_flag};

use crate::ipc::{Side, StepDone};
use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::Machine;
use crate::outcome::Trap;
use crate::record::{Body, FlobId, Object, ThreadId};
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
    /// CONNECT: to a server that waits, or wait for one.
    #[inline(always)]
    pub(crate) fn step_connect(&mut self, client: ThreadId) -> Result<StepDone, Trap> {
        if self.thread(client).client_peer.is_some() {
            self.disconnect(client, Side::Client);
        }
        let Some(port) = self.destination(client)? else {
            return Ok(StepDone::Finish(Status::ConnectInvalidDestination));
        };
        let Some(server) = self.waiting_server(port) else { return Ok(StepDone::Wait(port)) };
        self.connect(client, server, port);
        Ok(StepDone::Retry)
    }

    /// The first server that waits at this port's set and can run. (Requests do not go to stopped servers: they wait.)
    #[inline(always)]
    fn waiting_server(&self, port: FlobId) -> Option<ThreadId> {
        let set = self.port(port)?.set?;
        let Object { waiters, body: Body::PortSet(_), .. } = self.objects.get(set.0)? else { return None };
        self.first_going(*waiters, |kernel, record| {
            next_step(record.context.registers.rax) == Some(ipc::WAIT)
                && !record.has_exception()
                && record.space.is_some_and(|space| kernel.space(space).is_some())
        })
    }

    /// Somebody waits at a port: a server of its set, if one waits, looks again.
    pub(crate) fn notify_servers(&mut self, port: FlobId) {
        if let Some(server) = self.waiting_server(port) {
            self.wake_to_look(server);
        }
    }

    /// Makes the connection: the client's connect and the server's wait are done.
    #[inline(always)]
    fn connect(&mut self, client: ThreadId, server: ThreadId, port: FlobId) {
        let alias = self.port(port).map_or(0, |port| port.alias);
        let Some((one, other)) = self.two_threads(client, server) else { return };
        let old = [one.client_peer.replace(server.into()), other.server_peer.replace(client.into())];
        one.flags |= thread_flag::CLIENT_SENDS;
        one.context.registers.rax &= !ipc::CONNECT;
        other.context.registers.rax &= !ipc::WAIT;
        other.context.registers.rdi = alias;
        other.context.registers.rbp = Flavour::Reliable as u64;
        let (client_waits, server_waits) = (one.waiting_for.is_some(), other.waiting_for.is_some());
        // Links that were set while the ends waited for each other.
        if old != [None; 2] {
            self.list_former_peer(old[0], client);
            self.list_former_peer(old[1], server);
        }
        if client_waits {
            self.rewait(client, server);
        }
        if server_waits {
            self.rewait(server, client);
        }
    }

    /// A thread that is blocked and has gone on to its next step: it waits for its peer now, or its call is over.
    #[inline(always)]
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

    /// WAIT: end what was served; take the first request of the set, or wait for one.
    #[inline(always)]
    pub(crate) fn step_wait(&mut self, server: ThreadId) -> Result<StepDone, Trap> {
        self.disconnect(server, Side::Server);
        self.drop_idempotent_client(server);
        let space = self.own_space(server)?;
        let address = self.thread(server).context.registers.rdi;
        let set = self.find(space, address, FlobKind::PortSet, Protection::WRITE)?;
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
            let client = self.find_waiter(port, |kernel, client| kernel.stage_fits(client, port));
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
        if self.thread(thread).peer(side).is_some() {
            self.disconnect_connected(thread, side);
        }
    }

    #[inline(always)]
    fn disconnect_connected(&mut self, thread: ThreadId, side: Side) {
        let peer = self.peer_link(thread, side).take().and_then(FlobId::as_thread);
        let Some((peer, record)) = peer.and_then(|peer| Some((peer, self.threads.get_mut(peer.0)?))) else {
            return;
        };
        let back = record.peer_mut(side.other());
        if *back != Some(thread.into()) {
            return;
        }
        *back = None;
        let waits = record.waiting_for == Some(thread.into()) && !record.has_exception();
        if waits && let Some(status) = record.disconnect_status(side.other()) {
            self.complete(peer, status);
        }
    }
}

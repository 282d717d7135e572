//! Steps of IPC calls that concern who talks to whom: connect, wait, reply, disconnect. See [`flob_abi::ipc`].

use flob_abi::{
    ExceptionMessage, ExceptionReply, FlobKind, Protection, Status, ipc, ipc::Flavour, thread_flag,
};
use zerocopy::IntoBytes;

use crate::ipc::{Side, StepDone};
use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::Machine;
use crate::outcome::Trap;
use crate::record::{FlobId, Object, ThreadId};
use crate::wait::next_step;

impl<M: Machine> Kernel<M> {
    /// CONNECT: to a server that waits, or wait for one.
    pub(crate) fn step_connect(&mut self, client: ThreadId) -> Result<StepDone, Trap> {
        self.disconnect(client, Side::Client);
        let space = self.own_space(client)?;
        let reference = self.thread(client).context.registers.rdi;
        let target = self.find_target(space, reference)?;
        let Some(port) = target.filter(|id| self.kind_of(*id) == Some(FlobKind::Port)) else {
            return Ok(StepDone::Finish(Status::ConnectInvalidDestination));
        };
        let Some(server) = self.waiting_server(port) else { return Ok(StepDone::Wait(port)) };
        self.connect(client, server, port);
        Ok(StepDone::Next)
    }

    /// The first server that waits at this port's set and can run. (Requests do not go to stopped servers: they wait.)
    fn waiting_server(&mut self, port: FlobId) -> Option<ThreadId> {
        let set = self.live(self.port(port)?.set)?;
        self.find_waiter(set, |kernel, server| {
            kernel.stage_fits(server, set)
                && !kernel.thread(server).is_stopped()
                && kernel.space_of(server).is_some()
        })
    }

    /// Somebody waits at a port: a server of its set, if one waits, looks again.
    pub(crate) fn notify_servers(&mut self, port: FlobId) {
        if let Some(server) = self.waiting_server(port) {
            self.wake_to_look(server);
        }
    }

    /// Makes the connection: the client's connect and the server's wait are done.
    fn connect(&mut self, client: ThreadId, server: ThreadId, port: FlobId) {
        let alias = self.port(port).map_or(0, |port| port.alias);
        let record = self.thread_mut(client);
        record.client_peer = Some(server.into());
        record.flags |= thread_flag::CLIENT_SENDS;
        record.context.registers.rax &= !ipc::CONNECT;
        let record = self.thread_mut(server);
        record.server_peer = Some(client.into());
        record.context.registers.rax &= !ipc::WAIT;
        record.context.registers.rdi = alias;
        record.context.registers.rbp = Flavour::Reliable as u64;
        self.rewait(client, server);
        self.rewait(server, client);
    }

    /// A thread that is blocked and has gone on to its next step: it waits for its peer now, or its call is over.
    fn rewait(&mut self, thread: ThreadId, peer: ThreadId) {
        if self.thread(thread).waiting_for.is_none() {
            return;
        }
        match next_step(self.thread(thread).context.registers.rax) {
            None => self.complete(thread, Status::Success),
            Some(ipc::SEND | ipc::OVER | ipc::RECEIVE) => self.wait(thread, peer.into()),
            Some(_) => self.wake(thread),
        }
    }

    /// WAIT: end what was served; take the first request of the set, or wait for one.
    pub(crate) fn step_wait(&mut self, server: ThreadId) -> Result<StepDone, Trap> {
        self.disconnect(server, Side::Server);
        self.drop_idempotent_client(server);
        let space = self.own_space(server)?;
        let address = self.thread(server).context.registers.rdi;
        let set = self.find(space, address, FlobKind::PortSet, Protection::WRITE)?;
        let Some((client, port)) = self.first_client(set) else { return Ok(StepDone::Wait(set)) };
        let done = if self.thread(client).has_exception() {
            self.deliver_exception(server, client, port)
        } else {
            self.connect(client, server, port);
            Ok(StepDone::Next)
        };
        // There may be more requests than wake-ups; and if this server cannot take its request, another one may.
        self.pass_on(Some(set));
        done
    }

    /// Of all clients that wait at a set's ports, the one that has waited longest.
    pub(crate) fn first_client(&mut self, set: FlobId) -> Option<(ThreadId, FlobId)> {
        let mut first: Option<(ThreadId, FlobId)> = None;
        let mut index = self.port_set(set)?.ports.head;
        while index != NONE {
            let port = FlobId(self.objects.id_at(index)?);
            let client = self.find_waiter(port, |kernel, client| {
                let stopped_exception =
                    kernel.thread(client).has_exception() && kernel.thread(client).is_stopped();
                kernel.stage_fits(client, port) && !stopped_exception
            });
            if let Some(client) = client
                && first.is_none_or(|(other, _)| self.thread(client).rank < self.thread(other).rank)
            {
                first = Some((client, port));
            }
            index = self.objects.at(index).map_or(NONE, Object::next_in_set);
        }
        first
    }

    /// The server receives a thread's exception as an idempotent request.
    fn deliver_exception(
        &mut self,
        server: ThreadId,
        client: ThreadId,
        port: FlobId,
    ) -> Result<StepDone, Trap> {
        let exception = self.thread(client).exception;
        let message = ExceptionMessage {
            number: exception.number,
            code: exception.code,
            detail: exception.detail,
            address: exception.address,
            offset: exception.offset,
            access: exception.access,
            reserved: 0,
        };
        let space = self.own_space(server)?;
        let registers = self.thread(server).context.registers;
        let wanted = registers.rax & ipc::RECEIVE != 0;
        let len = if wanted { message.as_bytes().len().min(registers.rbx as usize) } else { 0 };
        let buffer = self.user_buffer(space, registers.r9, len, Protection::WRITE);
        let buffer = if len == 0 { None } else { Some(buffer?) };
        let reference = match wanted && registers.r13 > 0 {
            true => {
                let address = self.read_user(space, registers.r12)?;
                Some(self.find(space, address, FlobKind::Reference, Protection::WRITE)?)
            }
            false => None,
        };
        if let Some(buffer) = buffer {
            self.write_buffer(buffer, message.as_bytes().get(..len).unwrap_or_default());
        }
        if let Some(reference) = reference.and_then(|id| self.reference_mut(id)) {
            reference.target = Some(client.into());
        }
        let alias = self.port(port).map_or(0, |port| port.alias);
        self.leave_queue(client);
        let lift = self.denied_by(client, port);
        let record = self.thread_mut(client);
        record.idempotent_server = Some(server.into());
        record.lift = lift;
        self.wait(client, server.into());
        let record = self.thread_mut(server);
        record.idempotent_client = Some(client.into());
        let registers = &mut record.context.registers;
        registers.r9 = registers.r9.wrapping_add(len as u64);
        registers.rbx = registers.rbx.wrapping_sub(len as u64);
        if reference.is_some() {
            registers.r12 = registers.r12.wrapping_add(8);
            registers.r13 = registers.r13.wrapping_sub(1);
        }
        registers.rdi = alias;
        registers.rbp = Flavour::Idempotent as u64;
        Ok(StepDone::Finish(Status::Success))
    }

    /// A request that is not going to be answered is put again by its client.
    pub(crate) fn drop_idempotent_client(&mut self, server: ThreadId) {
        let client = self.thread(server).idempotent_client;
        self.thread_mut(server).idempotent_client = None;
        let Some(client) = self.live_thread(client) else { return };
        if self.thread(client).idempotent_server != Some(server.into()) {
            return;
        }
        self.ask_again(client, server);
    }

    /// A client whose request this server has dropped puts it again.
    fn ask_again(&mut self, client: ThreadId, server: ThreadId) {
        self.thread_mut(client).idempotent_server = None;
        if self.thread(client).waiting_for == Some(server.into()) {
            self.leave_queue(client);
            self.thread_mut(client).waiting_for = None;
            if self.thread(client).has_exception() && !self.thread(client).is_stopped() {
                self.dispatch_exception(client);
            }
        }
    }

    /// REPLY: answers the idempotent request at hand, if there still is one.
    pub(crate) fn step_reply(&mut self, server: ThreadId) -> Result<StepDone, Trap> {
        let client = self.live_thread(self.thread(server).idempotent_client);
        if let Some(client) = client {
            let space = self.own_space(server)?;
            let registers = self.thread(server).context.registers;
            let mut reply = ExceptionReply::default();
            let len = size_of::<ExceptionReply>().min(registers.rdx as usize);
            if len > 0 {
                let buffer = self.user_buffer(space, registers.rsi, len, Protection::READ)?;
                self.read_buffer(buffer, reply.as_mut_bytes().get_mut(..len).unwrap_or_default());
            }
            self.thread_mut(server).idempotent_client = None;
            if self.thread(client).idempotent_server == Some(server.into()) {
                let answered = self.answer_exception(client, reply);
                if !answered {
                    self.ask_again(client, server);
                }
            }
        }
        Ok(StepDone::Next)
    }

    /// DISCONNECT.
    pub(crate) fn step_disconnect(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        self.disconnect(thread, side);
        Ok(StepDone::Next)
    }

    /// Ends a connection, if there is one: both links are cleared; a peer that waits in it is told.
    pub(crate) fn disconnect(&mut self, thread: ThreadId, side: Side) {
        let peer = self.peer(thread, side);
        *self.peer_link(thread, side) = None;
        let Some(peer) = peer else { return };
        *self.peer_link(peer, side.other()) = None;
        let waits =
            self.thread(peer).waiting_for == Some(thread.into()) && !self.thread(peer).has_exception();
        if waits && let Some(status) = self.disconnect_status(peer, side.other()) {
            self.complete(peer, status);
        }
    }
}

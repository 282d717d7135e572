//! Requests without a connection: one-way messages, idempotent calls, and exceptions, which are idempotent calls that the
//! kernel makes for a thread. The client waits at a port until a server of its set takes the request, whole; an idempotent
//! one then waits for the server's reply. Whatever happens to the server, the request is put again.

use flob_abi::{
    ExceptionCode, ExceptionMessage, ExceptionReply, Protection, Registers, Status, ipc, ipc::Flavour,
};
use zerocopy::IntoBytes;

use crate::ipc::StepDone;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::message::{Payload, is_short};
use crate::outcome::Trap;
use crate::record::{FlobId, ThreadId};
use crate::transfer::Blame;
use crate::wait::next_step;

impl<M: Machine> Kernel<M> {
    /// ONE_WAY and CALL: put the request at the port. A call that runs again puts its request again.
    #[inline(never)]
    pub(crate) fn step_request(&mut self, client: ThreadId) -> Result<StepDone, Trap> {
        self.thread_mut(client).idempotent_server = None;
        let Some(port) = self.destination(client)? else {
            return Ok(StepDone::Finish(Status::ConnectInvalidDestination));
        };
        self.notify_servers(port);
        Ok(StepDone::Wait(port))
    }

    /// The port that a client's call is for.
    #[inline(always)]
    pub(crate) fn destination(&mut self, client: ThreadId) -> Result<Option<FlobId>, Trap> {
        let space = self.callers_space();
        let reference = self.thread(client).context.registers.rdi;
        let target = self.find_link(space, reference)?;
        Ok(target.filter(|id| self.port(*id).is_some()))
    }

    /// How the request with which a client waits at a port comes to a server.
    pub(crate) fn flavour(&self, client: ThreadId) -> Flavour {
        if self.thread(client).has_exception() {
            return Flavour::Idempotent;
        }
        match next_step(self.thread(client).context.registers.rax) {
            Some(ipc::ONE_WAY) => Flavour::OneWay,
            Some(ipc::CALL) => Flavour::Idempotent,
            _ => Flavour::Reliable,
        }
    }

    /// The server takes a request that needs no connection.
    #[inline(never)]
    pub(crate) fn deliver(
        &mut self,
        server: ThreadId,
        client: ThreadId,
        port: FlobId,
        flavour: Flavour,
    ) -> Result<StepDone, Trap> {
        match self.carry_request(client, server) {
            Ok(()) => {}
            Err(Blame { thread, trap }) if thread == server => return Err(trap),
            Err(Blame { trap, .. }) => {
                // The client's own memory: it has the exception, and others their turn.
                self.peer_trap(client, trap);
                return Ok(StepDone::Again);
            }
        }
        self.leave_queue(client);
        self.deliver_carried(server, client, port, flavour);
        Ok(StepDone::Finish(Status::Success))
    }

    /// Puts an exception into the hands of a server that waits, at once. False if that is not as simple: the server looks itself
    /// then.
    #[inline(always)]
    pub(crate) fn hand_in(&mut self, client: ThreadId, port: FlobId) -> bool {
        let set = self.port(port).and_then(|port| port.set);
        let Some(server) = self.server_of(set) else { return false };
        let record = self.thread(server);
        if record.server_peer.is_some() || record.idempotent_client.is_some() {
            return false;
        }
        if self.carry_request(client, server).is_err() {
            return false;
        }
        self.deliver_carried(server, client, port, Flavour::Idempotent);
        self.complete(server, Status::Success);
        true
    }

    /// The server has the whole request of a client, which is in no queue.
    fn deliver_carried(&mut self, server: ThreadId, client: ThreadId, port: FlobId, flavour: Flavour) {
        let alias = self.port(port).map_or(0, |port| port.alias);
        let rank = self.next_ticket();
        let Some((own, other)) = self.threads.get_two(server.0, client.0) else { return };
        own.context.registers.rdi = alias;
        own.context.registers.rbp = flavour as u64;
        if flavour == Flavour::OneWay {
            drop_message(&mut other.context.registers);
            return self.complete(client, Status::Success);
        }
        // Its request is in the server's hands: it waits for the reply.
        own.idempotent_client = Some(client.into());
        other.idempotent_server = Some(server.into());
        other.wait_for_peer(server, rank);
        if let Some(region) = other.lift {
            self.check_lift(client, region, port);
        }
    }

    /// A denial is lifted only by the keeper of the region that denies.
    fn check_lift(&mut self, client: ThreadId, region: FlobId, port: FlobId) {
        if self.region(region).is_none_or(|region| region.keeper != Some(port)) {
            self.thread_mut(client).lift = None;
        }
    }

    fn carry_request(&mut self, client: ThreadId, server: ThreadId) -> Result<(), Blame> {
        if self.thread(server).context.registers.rax & ipc::RECEIVE == 0 {
            return Ok(());
        }
        if !self.thread(client).has_exception() {
            return self.carry(client, &Payload::Own, server);
        }
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
        self.carry(client, &Payload::Exception(message.as_bytes()), server)
    }

    /// A request that is not going to be answered is put again by its client.
    #[inline]
    pub(crate) fn drop_idempotent_client(&mut self, server: ThreadId) {
        if let Some(client) = self.thread_mut(server).idempotent_client.take() {
            self.drop_request(client, server);
        }
    }

    #[inline(never)]
    pub(crate) fn drop_request(&mut self, client: FlobId, server: ThreadId) {
        let Some(client) = self.live_thread(Some(client)) else { return };
        if self.thread(client).idempotent_server == Some(server.into()) {
            self.ask_again(client, server);
        }
    }

    /// A client whose request this server has dropped puts it again.
    fn ask_again(&mut self, client: ThreadId, server: ThreadId) {
        self.thread_mut(client).idempotent_server = None;
        let record = self.thread(client);
        if record.waiting_for == Some(server.into()) {
            if record.has_exception() {
                self.dispatch_again(client);
            } else if self.is_in_call(client) {
                self.wake(client);
            }
        }
    }

    /// Whether a thread stands at an idempotent call.
    pub(crate) fn is_in_call(&self, client: ThreadId) -> bool {
        next_step(self.thread(client).context.registers.rax) == Some(ipc::CALL)
    }

    /// REPLY: answers the idempotent request at hand, if there still is one.
    #[inline(never)]
    pub(crate) fn step_reply(&mut self, server: ThreadId) -> Result<StepDone, Trap> {
        let client = self.live_thread(self.thread(server).idempotent_client);
        let client = client.filter(|client| self.thread(*client).idempotent_server == Some(server.into()));
        if let Some(client) = client {
            self.reply_to(client, server)?;
        }
        self.thread_mut(server).idempotent_client = None;
        drop_message(&mut self.thread_mut(server).context.registers);
        Ok(StepDone::Next)
    }

    fn reply_to(&mut self, client: ThreadId, server: ThreadId) -> Result<(), Trap> {
        if self.thread(client).has_exception() {
            let mut reply = ExceptionReply::default();
            self.read_own(server, reply.as_mut_bytes())?;
            if !self.answer_exception(client, reply) {
                self.ask_again(client, server);
            }
        } else if self.is_in_call(client) && self.thread(client).waiting_for == Some(server.into()) {
            match self.carry(server, &Payload::Own, client) {
                Ok(()) => self.end_call(client),
                Err(Blame { thread, trap }) if thread == server => return Err(trap),
                // The reply is lost; the client asks again when it can.
                Err(Blame { trap, .. }) => self.peer_trap(client, trap),
            }
        }
        Ok(())
    }

    /// An idempotent call has its reply.
    fn end_call(&mut self, client: ThreadId) {
        drop_message(&mut self.thread_mut(client).context.registers);
        self.thread_mut(client).idempotent_server = None;
        self.complete(client, Status::Success);
    }

    /// A blocked thread's buffer is not there, or no buffer: it takes the exception itself.
    #[cold]
    #[inline(never)]
    pub(crate) fn peer_trap(&mut self, peer: ThreadId, trap: Trap) {
        match trap {
            Trap::Fault { address, access } => self.raise(peer, ExceptionCode::PageFault, 0, address, access),
            Trap::Misuse { misuse, address } => {
                self.raise(peer, ExceptionCode::Misuse, misuse as u32, address, Protection::NONE);
            }
            // It looks itself.
            Trap::Unsettled { .. } | Trap::NoSpace => self.wake(peer),
        }
    }
}

/// Nothing is left to send of a message.
pub(crate) fn drop_message(registers: &mut Registers) {
    if is_short(registers) {
        return;
    }
    registers.rsi = registers.rsi.wrapping_add(registers.rdx);
    registers.r10 = registers.r10.wrapping_add(registers.r8.wrapping_mul(8));
    registers.r14 = ipc::table_behind(registers.r14, ipc::table_entries(registers.r14));
    registers.rdx = 0;
    registers.r8 = 0;
}

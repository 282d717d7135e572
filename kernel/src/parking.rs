//! Parking an end of a connection in a reference, and taking it up again. The other end waits meanwhile; a thread can so
//! take part in several connections.

use flob_abi::{FlobKind, Misuse, Protection, thread_flag};

use crate::ipc::Side;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap};
use crate::record::{FlobId, Thread, ThreadId};

/// Servers that one entry tells that their client is not coming back.
const BATCH: usize = 8;

impl<M: Machine> Kernel<M> {
    /// `thread_get_server`: parks the server end of the connection in a reference.
    pub(crate) fn thread_get_server(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, FlobKind::Reference, Protection::WRITE)?;
        let away = |client: &ThreadId| self.thread(*client).parked_client_ends > 0;
        let client = self.live_thread(self.thread(thread).server_peer);
        let link = self.peer(thread, Side::Server).or(client.filter(away)).map(FlobId::from);
        let record = self.thread_mut(thread);
        record.server_peer = None;
        record.parked_server_ends = record.parked_server_ends.saturating_add(u32::from(link.is_some()));
        self.park(thread, link, id)
    }

    /// A thread's end of a connection goes into a reference.
    fn park(&mut self, thread: ThreadId, link: Option<FlobId>, reference: FlobId) -> Outcome {
        self.list_former_peer(link, thread);
        if let Some(reference) = self.reference_mut(reference) {
            reference.target = link;
        }
        SUCCESS
    }

    /// `thread_set_server`: takes a parked connection up; one at hand is broken.
    pub(crate) fn thread_set_server(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let target = self.parked_peer(thread, args.rdi)?;
        if self.thread(thread).server_peer == target {
            return SUCCESS;
        }
        self.set_peer(thread, Side::Server, Some(target));
        if let Some(client) = target.and_then(FlobId::as_thread) {
            let parked_by = self.adopt(client, thread).unwrap_or(thread);
            let record = self.thread_mut(parked_by);
            record.parked_server_ends = record.parked_server_ends.saturating_sub(1);
        }
        SUCCESS
    }

    /// `thread_get_client`: parks the client end of the connection in a reference; `rsi` says who sends.
    pub(crate) fn thread_get_client(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, FlobKind::Reference, Protection::WRITE)?;
        let link = self.live(self.thread(thread).client_peer);
        let record = self.thread_mut(thread);
        record.client_peer = None;
        record.parked_client_ends = record.parked_client_ends.saturating_add(u32::from(link.is_some()));
        record.context.registers.rsi = u64::from(record.flags & thread_flag::CLIENT_SENDS != 0);
        self.park(thread, link, id)
    }

    /// `thread_set_client`: takes a parked client end up, as the sender if `rsi` says so; a connection at hand is broken.
    pub(crate) fn thread_set_client(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let target = self.parked_peer(thread, args.rdi)?;
        if self.thread(thread).client_peer != target {
            self.set_peer(thread, Side::Client, Some(target));
            let record = self.thread_mut(thread);
            let sends = if args.rsi == 0 { 0 } else { thread_flag::CLIENT_SENDS };
            record.flags = record.flags & !thread_flag::CLIENT_SENDS | sends;
            let taken = u32::from(target.is_some());
            record.parked_client_ends = record.parked_client_ends.saturating_sub(taken);
        }
        if let Some(server) = target.and_then(FlobId::as_thread) {
            self.rejoin(thread, server);
        }
        if self.tell_servers(thread) { SUCCESS } else { Ok(Done::Again) }
    }

    /// The thread that a reference to a parked connection names.
    fn parked_peer(&mut self, thread: ThreadId, reference: u64) -> Result<Option<FlobId>, Trap> {
        let space = self.own_space(thread)?;
        let target = self.find_target(space, reference)?;
        if target.is_some_and(|target| target.as_thread().is_none()) {
            return Trap::misuse(Misuse::WrongReference, reference);
        }
        if target == Some(thread.into()) {
            return Trap::misuse(Misuse::CurrentThread, reference);
        }
        Ok(target)
    }

    /// A client whose connection another thread had parked belongs to this server from now on. Returns that thread.
    fn adopt(&mut self, client: ThreadId, server: ThreadId) -> Option<ThreadId> {
        let old = self.live_thread(self.thread(client).client_peer)?;
        if old == server || self.peer(client, Side::Client).is_some() {
            return None;
        }
        *self.peer_link(client, Side::Client) = Some(server.into());
        let waits =
            self.thread(client).waiting_for == Some(old.into()) && !self.thread(client).has_exception();
        if waits && self.thread(client).disconnect_status(Side::Client).is_some() {
            self.wait(client, server.into());
        }
        Some(old)
    }

    /// A client is back at its server, which looks again if it waits. If the server has neither this connection nor one that
    /// it parked, the connection is over.
    fn rejoin(&mut self, client: ThreadId, server: ThreadId) {
        if self.peer(client, Side::Client) == Some(server) {
            if self.thread(server).waits_as_server(client) {
                self.wake(server);
            }
        } else if self.thread(server).parked_server_ends == 0 {
            self.thread_mut(client).client_peer = None;
        }
    }

    /// Once a client has no parked ends left, servers that still wait for one look again, and find out. False if there are
    /// more of them than one entry may tell.
    fn tell_servers(&mut self, client: ThreadId) -> bool {
        if self.thread(client).parked_client_ends != 0 {
            return true;
        }
        let peer = self.peer(client, Side::Client);
        for _ in 0..BATCH {
            let left = |_: &Self, server, record: &Thread| {
                Some(server) != peer && record.waits_as_server(client) && !record.is_stopped()
            };
            let Some(server) = self.find_waiter(client.into(), left) else { return true };
            self.wake(server);
        }
        false
    }
}

impl Thread {
    /// Whether it waits for this client in a step of the server end.
    fn waits_as_server(&self, client: ThreadId) -> bool {
        self.waiting_for == Some(client.into())
            && !self.has_exception()
            && self.disconnect_status(Side::Server).is_some()
    }
}

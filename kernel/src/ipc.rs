//! IPC calls: a set of steps, done one by one; each that is done takes its bit out of `rax`. Here: the loop, and the steps
//! that turn and use a connection.

use flob_abi::{Misuse, Status, ipc, thread_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Done, Outcome, Trap};
use crate::record::{FlobId, Thread, ThreadId};
use crate::transfer::{Moved, Mover, Piece};
use crate::wait::next_step;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// The end as which a call acts.
    pub fn of_call(call: u64) -> Self {
        if call & ipc::SERVER != 0 { Self::Server } else { Self::Client }
    }
}

/// Steps that both ends of a connection take together.
const CONNECTED: u64 = ipc::ACKNOWLEDGE | ipc::SEND | ipc::OVER | ipc::RECEIVE;

/// How far the ends of a connection have come by changing their registers, and what has to be done for the rest.
enum Agreed {
    /// This end has no step left that needs the other one.
    Next,
    /// It waits for the other one.
    Wait,
    /// The other end's call is over, or goes on by itself.
    PeerDone,
    PeerGoesOn,
    /// The other end has received the whole message; this one waits for it.
    PeerHasAll,
    /// A message is to be moved: this end sends it, or receives it.
    Send,
    Receive,
    /// This end has received the whole message.
    HasAll,
    /// A step against the direction.
    Wrong(Misuse),
}

impl Thread {
    /// The link to the other end.
    #[inline]
    pub fn peer(&self, side: Side) -> Option<FlobId> {
        match side {
            Side::Client => self.client_peer,
            Side::Server => self.server_peer,
        }
    }

    /// The link to the other end, to change.
    #[inline]
    pub fn peer_mut(&mut self, side: Side) -> &mut Option<FlobId> {
        match side {
            Side::Client => &mut self.client_peer,
            Side::Server => &mut self.server_peer,
        }
    }

    /// Whether this thread, `own`, stands at a stage in which it waits for the thread `peer`, and both name each other.
    #[inline]
    pub fn is_peer_of(&self, own: ThreadId, other: &Self, peer: ThreadId) -> bool {
        let call = self.context.registers.rax;
        if self.has_exception() || next_step(call) == Some(ipc::CALL) {
            return self.idempotent_server == Some(peer.into())
                && other.idempotent_client == Some(own.into());
        }
        let side = Side::of_call(call);
        self.peer(side) == Some(peer.into()) && other.peer(side.other()) == Some(own.into())
    }

    /// The step of a connection in which this end waits for the thread `peer`; 0 if it does not.
    #[inline(always)]
    fn waits_in(&self, side: Side, peer: FlobId) -> u64 {
        let call = self.context.registers.rax;
        let waits = self.waiting_for == Some(peer) && !self.has_exception() && Side::of_call(call) == side;
        if waits { next_step(call).unwrap_or(0) } else { 0 }
    }

    /// What a step ends with when the connection is gone.
    pub fn disconnect_status(&self, side: Side) -> Option<Status> {
        let call = self.context.registers.rax;
        if Side::of_call(call) != side {
            return None;
        }
        match next_step(call)? {
            ipc::ACKNOWLEDGE => Some(Status::AcknowledgeDisconnected),
            ipc::SEND => Some(Status::SendDisconnected),
            ipc::OVER => Some(Status::OverDisconnected),
            ipc::RECEIVE => Some(Status::ReceiveDisconnected),
            _ => None,
        }
    }

    /// A step that both ends take is done at this one, which waits in it: what becomes of it, unless it waits in its next.
    #[inline(always)]
    fn end_step(&mut self, step: u64) -> Option<Agreed> {
        let registers = &mut self.context.registers;
        registers.rax &= !step;
        match next_step(registers.rax) {
            None => Some(Agreed::PeerDone),
            Some(next) if next & CONNECTED != 0 => None,
            Some(_) => Some(Agreed::PeerGoesOn),
        }
    }
}

/// Takes the steps of a connection that change nothing but registers and its direction, at this end (`own`, which is
/// `thread`) and at the other.
#[inline(always)]
fn agree<M: Machine>(
    own: &mut Thread,
    other: &mut Thread,
    thread: FlobId,
    side: Side,
    mut mover: Mover<'_, M>,
) -> Agreed {
    loop {
        let call = own.context.registers.rax;
        let step = match next_step(call) {
            Some(step) if step & CONNECTED != 0 => step,
            _ => return Agreed::Next,
        };
        let waits_in = other.waits_in(side.other(), thread);
        // The direction is stored at the client end only.
        let flags = if side == Side::Client { &mut own.flags } else { &mut other.flags };
        let sends = (*flags & thread_flag::CLIENT_SENDS != 0) == (side == Side::Client);
        let must_send = step & (ipc::SEND | ipc::OVER) != 0;
        if sends != must_send {
            return Agreed::Wrong(if must_send { Misuse::NotSender } else { Misuse::NotReceiver });
        }
        let peer = match (step, waits_in) {
            (ipc::ACKNOWLEDGE, ipc::OVER) | (ipc::OVER, ipc::ACKNOWLEDGE) => {
                *flags ^= thread_flag::CLIENT_SENDS;
                own.context.registers.rax = call & !step;
                other.end_step(waits_in)
            }
            (ipc::ACKNOWLEDGE, ipc::SEND) => {
                crate::request::drop_message(&mut other.context.registers);
                other.end_step(ipc::SEND)
            }
            (ipc::SEND, ipc::ACKNOWLEDGE) => {
                crate::request::drop_message(&mut own.context.registers);
                own.context.registers.rax = call & !step;
                None
            }
            (ipc::SEND, ipc::RECEIVE) => {
                // Most messages are one piece.
                if !matches!(mover.piece(own, other), Piece::All) {
                    return Agreed::Send;
                }
                own.context.registers.rax = call & !step;
                None
            }
            (ipc::SEND, _) if !crate::short::has_more(&own.context.registers) => {
                own.context.registers.rax = call & !step;
                None
            }
            // A peer that receives has the whole message now.
            (ipc::OVER, ipc::RECEIVE) => return Agreed::PeerHasAll,
            (ipc::RECEIVE, ipc::SEND) => return Agreed::Receive,
            (ipc::RECEIVE, ipc::OVER) => return Agreed::HasAll,
            _ => return Agreed::Wait,
        };
        if let Some(end) = peer {
            return end;
        }
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepDone {
    /// It is done: on to the next.
    Next,
    /// The whole call is over.
    Finish(Status),
    /// It cannot go on before something happens to this flob.
    Wait(FlobId),
    /// The same of the thread at the other end, which names it.
    WaitPeer(ThreadId),
    /// It has made progress; the rest is for the next entry.
    Again,
    /// The peer has gone on: look again at once.
    Retry,
}

impl<M: Machine> Kernel<M> {
    /// An IPC call.
    #[inline(always)]
    pub(crate) fn ipc_call(&mut self, thread: ThreadId, call: u64) {
        // Once for each side: what differs between them is decided here.
        match Side::of_call(call) {
            Side::Client => self.ipc_call_as::<true>(thread, call),
            Side::Server => self.ipc_call_as::<false>(thread, call),
        }
    }

    #[inline(never)]
    fn ipc_call_as<const CLIENT: bool>(&mut self, thread: ThreadId, call: u64) {
        match self.ipc_steps(thread, call, if CLIENT { Side::Client } else { Side::Server }) {
            Ok(Done::Status(status)) => self.complete_current(thread, status),
            Ok(Done::WaitPeer(peer)) => {
                self.reconsider = true;
                self.wait_for_peer(thread, peer);
                self.current = None;
            }
            other => self.conclude(thread, other),
        }
    }

    #[inline(always)]
    fn ipc_steps(&mut self, thread: ThreadId, call: u64, side: Side) -> Outcome {
        if !ipc::is_valid(call) {
            return Trap::misuse(Misuse::UnknownCall, call);
        }
        let mut call = call;
        loop {
            let Some(step) = next_step(call) else { return Ok(Done::Status(Status::Success)) };
            let done = match step {
                _ if step & CONNECTED != 0 => self.steps_connected(thread, side),
                ipc::CONNECT => self.step_connect(thread),
                ipc::WAIT => self.step_wait(thread),
                _ => self.other_step(thread, side, step),
            };
            match done? {
                StepDone::Next => self.thread_mut(thread).context.registers.rax &= !step,
                StepDone::Retry => {}
                StepDone::Finish(status) => return Ok(Done::Status(status)),
                StepDone::Wait(on) => return Ok(Done::Wait(on)),
                StepDone::WaitPeer(peer) => return Ok(Done::WaitPeer(peer)),
                StepDone::Again => return Ok(Done::Again),
            }
            call = self.thread(thread).context.registers.rax;
        }
    }

    #[inline(never)]
    fn other_step(&mut self, thread: ThreadId, side: Side, step: u64) -> Result<StepDone, Trap> {
        match step {
            ipc::REPLY => self.step_reply(thread),
            ipc::DISCONNECT => self.step_disconnect(thread, side),
            ipc::ALERT => Ok(self.step_alert(thread, side)),
            _ => self.step_request(thread),
        }
    }

    /// The link to the other end.
    pub(crate) fn peer_link(&mut self, thread: ThreadId, side: Side) -> &mut Option<FlobId> {
        self.thread_mut(thread).peer_mut(side)
    }

    /// The thread at the other end, whether it names this one or not.
    fn named_peer(&self, thread: ThreadId, side: Side) -> Option<ThreadId> {
        self.live_thread(self.thread(thread).peer(side))
    }

    /// The other end of a connection that lives: both ends name each other.
    #[inline]
    pub(crate) fn peer(&self, thread: ThreadId, side: Side) -> Option<ThreadId> {
        let peer = self.thread(thread).peer(side)?.as_thread()?;
        let record = self.threads.get(peer.0)?;
        (record.peer(side.other()) == Some(thread.into())).then_some(peer)
    }

    /// ACKNOWLEDGE (the receiver becomes the sender once the peer says over), SEND (until the peer has taken everything), OVER
    /// (the sender becomes the receiver once the peer acknowledges), RECEIVE (until the peer says over, the room is full or the
    /// connection ends): as many of them as are left and can be done.
    #[inline(always)]
    fn steps_connected(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        loop {
            let found = self.thread(thread).peer(side).and_then(FlobId::as_thread);
            let Self { threads, machine, objects, epochs, .. } = self;
            let ends = found.and_then(|peer| Some((peer, threads.get_two(thread.0, peer.0)?)));
            let connected = |other: &Thread| other.peer(side.other()) == Some(thread.into());
            let Some((peer, (own, other))) = ends.filter(|(_, (_, other))| connected(other)) else {
                return Ok(self.no_other_end(thread, side));
            };
            match agree(own, other, thread.into(), side, Mover { machine, objects, epochs }) {
                Agreed::Next => return Ok(StepDone::Retry),
                Agreed::Wait => return Ok(StepDone::WaitPeer(peer)),
                Agreed::PeerDone => self.complete(peer, Status::Success),
                Agreed::PeerGoesOn => self.wake(peer),
                Agreed::PeerHasAll => {
                    self.complete(peer, Status::Success);
                    return Ok(StepDone::WaitPeer(peer));
                }
                Agreed::Send => match self.transfer(thread, peer, thread)? {
                    Moved::All => self.thread_mut(thread).context.registers.rax &= !ipc::SEND,
                    Moved::Some => return Ok(StepDone::Again),
                    Moved::Full(status) => {
                        self.complete(peer, status);
                        return Ok(StepDone::WaitPeer(peer));
                    }
                    Moved::PeerFault => return Ok(StepDone::WaitPeer(peer)),
                },
                Agreed::Receive => match self.transfer(peer, thread, thread)? {
                    Moved::All => match self.thread_mut(peer).end_step(ipc::SEND) {
                        None => {}
                        Some(Agreed::PeerDone) => self.complete(peer, Status::Success),
                        Some(_) => self.wake(peer),
                    },
                    Moved::Some => return Ok(StepDone::Again),
                    Moved::Full(status) => return Ok(StepDone::Finish(status)),
                    Moved::PeerFault => return Ok(StepDone::WaitPeer(peer)),
                },
                Agreed::HasAll => return Ok(StepDone::Finish(Status::Success)),
                Agreed::Wrong(misuse) => return self.wrong_direction(thread, side, misuse),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn no_other_end(&self, thread: ThreadId, side: Side) -> StepDone {
        match self.named_peer(thread, side) {
            Some(peer)
                if peer != thread && (side == Side::Client || self.thread(peer).parked_client_ends > 0) =>
            {
                StepDone::Wait(peer.into())
            }
            _ => StepDone::Finish(
                self.thread(thread).disconnect_status(side).unwrap_or(Status::ReceiveDisconnected),
            ),
        }
    }

    /// A step against the direction. The client's is its own mistake. The server's may be the client's doing, who can
    /// have its direction set at any time: that ends the connection and must not harm the server.
    fn wrong_direction(&mut self, thread: ThreadId, side: Side, misuse: Misuse) -> Result<StepDone, Trap> {
        if side == Side::Client {
            return Trap::misuse(misuse, 0);
        }
        let status = self.thread(thread).disconnect_status(side).unwrap_or(Status::ReceiveDisconnected);
        self.disconnect(thread, side);
        Ok(StepDone::Finish(status))
    }
}

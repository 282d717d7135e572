//! IPC calls: a set of steps, done one by one; each that is done takes its bit out of `rax`. Here: the loop, and the steps
//! that turn and use a connection.

use flob_abi::{Misuse, Status, ipc, thread_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Done, Outcome, Trap};
use crate::record::{FlobId, ThreadId};
use crate::transfer::Moved;
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

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepDone {
    /// It is done: on to the next.
    Next,
    /// The whole call is over.
    Finish(Status),
    /// It cannot go on before something happens to this flob.
    Wait(FlobId),
    /// It has made progress; the rest is for the next entry.
    Again,
    /// The peer has gone on: look again at once.
    Retry,
}

impl<M: Machine> Kernel<M> {
    /// An IPC call.
    pub(crate) fn ipc_call(&mut self, thread: ThreadId) -> Outcome {
        let call = self.thread(thread).context.registers.rax;
        if !ipc::is_valid(call) {
            return Trap::misuse(Misuse::UnknownCall, call);
        }
        let side = Side::of_call(call);
        while let Some(step) = next_step(self.thread(thread).context.registers.rax) {
            let done = match step {
                ipc::REPLY => self.step_reply(thread),
                ipc::CONNECT => self.step_connect(thread),
                ipc::ACKNOWLEDGE => self.step_acknowledge(thread, side),
                ipc::SEND => self.step_send(thread, side),
                ipc::OVER => self.step_over(thread, side),
                ipc::DISCONNECT => self.step_disconnect(thread, side),
                ipc::WAIT => self.step_wait(thread),
                ipc::RECEIVE => self.step_receive(thread, side),
                ipc::ALERT => Ok(self.step_alert(thread, side)),
                _ => self.step_request(thread),
            }?;
            match done {
                StepDone::Next => self.thread_mut(thread).context.registers.rax &= !step,
                StepDone::Finish(status) => return Ok(Done::Status(status)),
                StepDone::Wait(on) => return Ok(Done::Wait(on)),
                StepDone::Again => return Ok(Done::Again),
                StepDone::Retry => {}
            }
        }
        Ok(Done::Status(Status::Success))
    }

    /// The link to the other end.
    pub(crate) fn peer_link(&mut self, thread: ThreadId, side: Side) -> &mut Option<FlobId> {
        let record = self.thread_mut(thread);
        match side {
            Side::Client => &mut record.client_peer,
            Side::Server => &mut record.server_peer,
        }
    }

    /// The thread at the other end, whether it names this one or not.
    fn named_peer(&self, thread: ThreadId, side: Side) -> Option<ThreadId> {
        let record = self.thread(thread);
        self.live_thread(match side {
            Side::Client => record.client_peer,
            Side::Server => record.server_peer,
        })
    }

    /// The other end of a connection that lives: both ends name each other.
    pub(crate) fn peer(&self, thread: ThreadId, side: Side) -> Option<ThreadId> {
        let peer = self.named_peer(thread, side)?;
        (self.named_peer(peer, side.other()) == Some(thread)).then_some(peer)
    }

    /// Whether this end is the sender. The direction is stored at the client end only.
    fn sends(&self, thread: ThreadId, peer: ThreadId, side: Side) -> bool {
        let client = if side == Side::Client { thread } else { peer };
        (self.thread(client).flags & thread_flag::CLIENT_SENDS != 0) == (side == Side::Client)
    }

    /// A step against the direction. The client's is its own mistake. The server's may be the client's doing, who can
    /// have its direction set at any time: that ends the connection and must not harm the server.
    fn wrong_direction(&mut self, thread: ThreadId, side: Side, misuse: Misuse) -> Result<StepDone, Trap> {
        if side == Side::Client {
            return Trap::misuse(misuse, 0);
        }
        let status = self.disconnect_status(thread, side).unwrap_or(Status::ReceiveDisconnected);
        self.disconnect(thread, side);
        Ok(StepDone::Finish(status))
    }

    fn turn(&mut self, thread: ThreadId, peer: ThreadId, side: Side) {
        let client = if side == Side::Client { thread } else { peer };
        self.thread_mut(client).flags ^= thread_flag::CLIENT_SENDS;
    }

    /// Whether a thread waits for another in this step of the given end.
    pub(crate) fn waits_in(&self, thread: ThreadId, side: Side, on: ThreadId, step: u64) -> bool {
        let record = self.thread(thread);
        let call = record.context.registers.rax;
        record.waiting_for == Some(on.into())
            && !record.has_exception()
            && Side::of_call(call) == side
            && next_step(call) == Some(step)
    }

    /// What a step ends with when the connection is gone.
    pub(crate) fn disconnect_status(&self, thread: ThreadId, side: Side) -> Option<Status> {
        let call = self.thread(thread).context.registers.rax;
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

    /// The live peer; or how the step ends without one. A server that lives but does not name its client has parked the
    /// connection: the client waits for it. A client that does not name its server has left, unless it has parked ends.
    fn peer_or(&self, thread: ThreadId, side: Side) -> Result<ThreadId, StepDone> {
        if let Some(peer) = self.peer(thread, side) {
            return Ok(peer);
        }
        match self.named_peer(thread, side) {
            Some(peer)
                if peer != thread && (side == Side::Client || self.thread(peer).parked_client_ends > 0) =>
            {
                Err(StepDone::Wait(peer.into()))
            }
            _ => Err(StepDone::Finish(
                self.disconnect_status(thread, side).unwrap_or(Status::ReceiveDisconnected),
            )),
        }
    }

    /// A blocked peer's step is done: it waits in its next step, or is done, or must go on by itself.
    pub(crate) fn peer_step_done(&mut self, peer: ThreadId, step: u64) {
        let registers = &mut self.thread_mut(peer).context.registers;
        registers.rax &= !step;
        match next_step(registers.rax) {
            None => self.complete(peer, Status::Success),
            Some(ipc::OVER | ipc::SEND | ipc::RECEIVE | ipc::ACKNOWLEDGE) => {}
            Some(_) => self.wake(peer),
        }
    }

    /// ACKNOWLEDGE: the receiver becomes the sender once the peer says over.
    fn step_acknowledge(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let peer = match self.peer_or(thread, side) {
            Ok(peer) => peer,
            Err(end) => return Ok(end),
        };
        if self.sends(thread, peer, side) {
            return self.wrong_direction(thread, side, Misuse::NotReceiver);
        }
        if self.waits_in(peer, side.other(), thread, ipc::SEND) {
            self.drop_message(peer);
            self.peer_step_done(peer, ipc::SEND);
        }
        if !self.waits_in(peer, side.other(), thread, ipc::OVER) {
            return Ok(StepDone::Wait(peer.into()));
        }
        self.turn(thread, peer, side);
        self.peer_step_done(peer, ipc::OVER);
        Ok(StepDone::Next)
    }

    /// SEND: until the peer has taken everything.
    fn step_send(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let peer = match self.peer_or(thread, side) {
            Ok(peer) => peer,
            Err(end) => return Ok(end),
        };
        if !self.sends(thread, peer, side) {
            return self.wrong_direction(thread, side, Misuse::NotSender);
        }
        if self.waits_in(peer, side.other(), thread, ipc::ACKNOWLEDGE) {
            self.drop_message(thread);
            return Ok(StepDone::Next);
        }
        if self.waits_in(peer, side.other(), thread, ipc::RECEIVE) {
            return match self.transfer(thread, peer, thread)? {
                Moved::All => Ok(StepDone::Next),
                Moved::Some => Ok(StepDone::Again),
                Moved::Full(status) => {
                    self.complete(peer, status);
                    Ok(StepDone::Wait(peer.into()))
                }
                Moved::PeerFault => Ok(StepDone::Wait(peer.into())),
            };
        }
        let more = crate::short::has_more(&self.thread(thread).context.registers);
        Ok(if more { StepDone::Wait(peer.into()) } else { StepDone::Next })
    }

    /// OVER: the sender becomes the receiver once the peer acknowledges. A peer that receives has the whole message now.
    fn step_over(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let peer = match self.peer_or(thread, side) {
            Ok(peer) => peer,
            Err(end) => return Ok(end),
        };
        if !self.sends(thread, peer, side) {
            return self.wrong_direction(thread, side, Misuse::NotSender);
        }
        if self.waits_in(peer, side.other(), thread, ipc::RECEIVE) {
            self.complete(peer, Status::Success);
        }
        if !self.waits_in(peer, side.other(), thread, ipc::ACKNOWLEDGE) {
            return Ok(StepDone::Wait(peer.into()));
        }
        self.turn(thread, peer, side);
        self.peer_step_done(peer, ipc::ACKNOWLEDGE);
        Ok(StepDone::Next)
    }

    /// RECEIVE: until the peer says over, the room is full or the connection ends.
    fn step_receive(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let peer = match self.peer_or(thread, side) {
            Ok(peer) => peer,
            Err(end) => return Ok(end),
        };
        if self.sends(thread, peer, side) {
            return self.wrong_direction(thread, side, Misuse::NotReceiver);
        }
        if self.waits_in(peer, side.other(), thread, ipc::SEND) {
            return match self.transfer(peer, thread, thread)? {
                Moved::All => {
                    self.peer_step_done(peer, ipc::SEND);
                    Ok(StepDone::Retry)
                }
                Moved::Some => Ok(StepDone::Again),
                Moved::Full(status) => Ok(StepDone::Finish(status)),
                Moved::PeerFault => Ok(StepDone::Wait(peer.into())),
            };
        }
        if self.waits_in(peer, side.other(), thread, ipc::OVER) {
            return Ok(StepDone::Finish(Status::Success));
        }
        Ok(StepDone::Wait(peer.into()))
    }
}

//! IPC calls: a set of steps, done one by one; each that is done takes its bit out of `rax`. Here: the loop, and the steps
//! that turn and use a connection.

use flob_abi::{Misuse, Status, ipc, thread_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Done, Outcome, Trap};
use crate::record::{FlobId, Thread, ThreadId};
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

/// The other end of a connection, as one end sees it.
struct OtherEnd {
    peer: ThreadId,
    /// Whether this end is the sender. The direction is stored at the client end only.
    sends: bool,
    /// The step in which the other end waits for this one; 0 if it does not.
    waits_in: u64,
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
    #[inline(never)]
    pub(crate) fn ipc_call(&mut self, thread: ThreadId) -> Outcome {
        let call = self.thread(thread).context.registers.rax;
        if !ipc::is_valid(call) {
            return Trap::misuse(Misuse::UnknownCall, call);
        }
        let side = Side::of_call(call);
        loop {
            let Some(step) = next_step(self.thread(thread).context.registers.rax) else {
                return Ok(Done::Status(Status::Success));
            };
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

    /// The other end, which way the connection goes, and in which of its steps the other end waits for this one; or how the
    /// step ends without another end. A server that lives but does not name its client has parked the connection: the client
    /// waits for it. A client that does not name its server has left, unless it has parked ends.
    #[inline(always)]
    fn other_end(&self, thread: ThreadId, side: Side) -> Result<OtherEnd, StepDone> {
        let own = self.thread(thread);
        let found = own.peer(side).and_then(FlobId::as_thread);
        let found = found.and_then(|peer| Some((peer, self.threads.get(peer.0)?)));
        let Some((peer, record)) = found.filter(|(_, other)| other.peer(side.other()) == Some(thread.into()))
        else {
            return Err(self.no_other_end(thread, side));
        };
        let client = if side == Side::Client { own } else { record };
        let client_sends = client.flags & thread_flag::CLIENT_SENDS != 0;
        let call = record.context.registers.rax;
        let waits = record.waiting_for == Some(thread.into())
            && !record.has_exception()
            && Side::of_call(call) == side.other();
        let waits_in = if waits { next_step(call).unwrap_or(0) } else { 0 };
        Ok(OtherEnd { peer, sends: client_sends == (side == Side::Client), waits_in })
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
            _ => {
                StepDone::Finish(self.disconnect_status(thread, side).unwrap_or(Status::ReceiveDisconnected))
            }
        }
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

    /// A blocked peer's step is done: it waits in its next step, or is done, or must go on by itself.
    #[inline]
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
    #[inline(always)]
    fn step_acknowledge(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let OtherEnd { peer, sends, waits_in } = match self.other_end(thread, side) {
            Ok(other) => other,
            Err(end) => return Ok(end),
        };
        if sends {
            return self.wrong_direction(thread, side, Misuse::NotReceiver);
        }
        if waits_in == ipc::SEND {
            self.drop_message(peer);
            self.peer_step_done(peer, ipc::SEND);
            return Ok(StepDone::Retry);
        }
        if waits_in != ipc::OVER {
            return Ok(StepDone::Wait(peer.into()));
        }
        self.turn(thread, peer, side);
        self.peer_step_done(peer, ipc::OVER);
        Ok(StepDone::Next)
    }

    /// SEND: until the peer has taken everything.
    #[inline(always)]
    fn step_send(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let OtherEnd { peer, sends, waits_in } = match self.other_end(thread, side) {
            Ok(other) => other,
            Err(end) => return Ok(end),
        };
        if !sends {
            return self.wrong_direction(thread, side, Misuse::NotSender);
        }
        if waits_in == ipc::ACKNOWLEDGE {
            self.drop_message(thread);
            return Ok(StepDone::Next);
        }
        if waits_in == ipc::RECEIVE {
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
    #[inline(always)]
    fn step_over(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let OtherEnd { peer, sends, waits_in } = match self.other_end(thread, side) {
            Ok(other) => other,
            Err(end) => return Ok(end),
        };
        if !sends {
            return self.wrong_direction(thread, side, Misuse::NotSender);
        }
        if waits_in == ipc::RECEIVE {
            self.complete(peer, Status::Success);
        }
        if waits_in != ipc::ACKNOWLEDGE {
            return Ok(StepDone::Wait(peer.into()));
        }
        self.turn(thread, peer, side);
        self.peer_step_done(peer, ipc::ACKNOWLEDGE);
        Ok(StepDone::Next)
    }

    /// RECEIVE: until the peer says over, the room is full or the connection ends.
    #[inline(always)]
    fn step_receive(&mut self, thread: ThreadId, side: Side) -> Result<StepDone, Trap> {
        let OtherEnd { peer, sends, waits_in } = match self.other_end(thread, side) {
            Ok(other) => other,
            Err(end) => return Ok(end),
        };
        if sends {
            return self.wrong_direction(thread, side, Misuse::NotReceiver);
        }
        if waits_in == ipc::SEND {
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
        if waits_in == ipc::OVER {
            return Ok(StepDone::Finish(Status::Success));
        }
        Ok(StepDone::Wait(peer.into()))
    }
}

//! IPC calls: a set of steps, done one by one; each that is done takes its bit out of `rax`. Here: the loop, and what becomes of
//! a call where both ends of its connection have gone as far as they can by themselves (`ends`).

use flob_abi::{Misuse, Status, ipc};

pub(crate) use crate::ends::Side;
use crate::ends::{Agreed, CONNECTED, agree, first_of, steps_of};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Done, Trap};
use crate::record::{FlobId, Standing, ThreadId};
use crate::step::{Meeting, link_ends};
use crate::transfer::{Moved, Mover};
use crate::wait::draw;

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
        let side = if CLIENT { Side::Client } else { Side::Server };
        if !ipc::is_valid(call) {
            return self.conclude(thread, Trap::misuse(Misuse::UnknownCall, call));
        }
        let mut step = first_of(steps_of(call));
        while step != 0 {
            let goes_on = match step {
                ipc::CONNECT if CLIENT => match self.meeting_place(thread) {
                    Ok(Some(meeting)) => self.converse(thread, side, Some(meeting)),
                    other => {
                        let no_port = StepDone::Finish(Status::ConnectInvalidDestination);
                        self.after_step(thread, step, other.map(|_| no_port))
                    }
                },
                _ if step & CONNECTED != 0 => self.converse(thread, side, None),
                ipc::WAIT if !CLIENT => self.await_request(thread),
                _ => {
                    let done = self.other_step(thread, side, step);
                    self.after_step(thread, step, done)
                }
            };
            if !goes_on {
                return;
            }
            step = first_of(steps_of(self.thread(thread).context.registers.rax));
        }
        self.end_current(thread, Status::Success);
    }

    /// What becomes of a call after a step. True if there may be another one.
    #[inline(never)]
    pub(crate) fn after_step(&mut self, thread: ThreadId, step: u64, done: Result<StepDone, Trap>) -> bool {
        let outcome = match done {
            Ok(StepDone::Next) => {
                self.thread_mut(thread).context.registers.rax &= !step;
                return true;
            }
            Ok(StepDone::Retry) => return true,
            Ok(StepDone::Finish(status)) => {
                self.end_current(thread, status);
                return false;
            }
            Ok(StepDone::Wait(on)) => Ok(Done::Wait(on)),
            Ok(StepDone::Again) => Ok(Done::Again),
            Err(trap) => Err(trap),
        };
        self.conclude(thread, outcome);
        false
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
    /// connection ends): as many of them as are left and can be done; for a new connection, once it is made. True if the call
    /// goes on.
    #[inline(always)]
    fn converse(&mut self, thread: ThreadId, side: Side, new: Option<Meeting>) -> bool {
        let link = match new {
            Some(Meeting { first, .. }) => self.threads.id_at(first).map(ThreadId),
            None => self.thread(thread).peer(side).and_then(FlobId::as_thread),
        };
        let Self { threads, machine, objects, epochs, next_rank, .. } = self;
        let pair = link.and_then(|peer| Some((peer, threads.get_two(thread.0, peer.0)?)));
        let Some((peer, (own, other))) = pair else {
            return match new {
                Some(meeting) => self.connect_waiting(thread, meeting),
                None => self.end_is_lost(thread, side),
            };
        };
        if let Some(meeting) = new {
            let set = meeting.set.filter(|_| other.receives_first(objects));
            let set = set.and_then(|set| objects.get_mut(set.0));
            if !set.is_some_and(|set| other.leave_alone(peer, set, Standing::Going)) {
                return self.connect_waiting(thread, meeting);
            }
            link_ends((own, thread), (other, peer), meeting.alias);
            other.wait_for_peer(thread, draw(next_rank));
        } else if other.peer(side.other()) != Some(thread.into()) {
            return self.end_is_lost(thread, side);
        }
        match agree(own, other, thread.into(), side, Mover { machine, epochs }) {
            Agreed::Next => true,
            Agreed::Wait => {
                own.wait_for_peer(peer, draw(next_rank));
                self.leave_to(None)
            }
            Agreed::PeerHasAll if other.end_wait(Status::Success) => {
                own.wait_for_peer(peer, draw(next_rank));
                self.leave_to(Some(peer))
            }
            agreed => self.converse_further(thread, peer, side, agreed),
        }
    }

    /// The current thread waits now. The one that it has let go, if any, goes on in its place, with what was left of its own turn:
    /// so that two which wake each other for ever have their turns like others.
    #[inline(always)]
    pub(crate) fn leave_to(&mut self, next: Option<ThreadId>) -> bool {
        self.reconsider = true;
        self.current = next;
        false
    }

    #[inline(never)]
    fn converse_further(&mut self, thread: ThreadId, peer: ThreadId, side: Side, agreed: Agreed) -> bool {
        let waits = match agreed {
            Agreed::Next => false,
            Agreed::Wait => true,
            Agreed::PeerDone => {
                self.complete(peer, Status::Success);
                false
            }
            Agreed::PeerGoesOn => {
                self.wake(peer);
                false
            }
            Agreed::PeerHasAll => {
                self.complete(peer, Status::Success);
                true
            }
            Agreed::Send => match self.transfer(thread, peer, thread) {
                Ok(Moved::All) => {
                    self.thread_mut(thread).context.registers.rax &= !ipc::SEND;
                    false
                }
                Ok(Moved::Full(status)) => {
                    self.complete(peer, status);
                    true
                }
                Ok(Moved::PeerFault) => true,
                Ok(Moved::Some) => return self.after_step(thread, 0, Ok(StepDone::Again)),
                Err(trap) => return self.after_step(thread, 0, Err(trap)),
            },
            Agreed::Receive => match self.transfer(peer, thread, thread) {
                Ok(Moved::All) => {
                    match self.thread_mut(peer).end_step(ipc::SEND) {
                        None => {}
                        Some(Agreed::PeerDone) => self.complete(peer, Status::Success),
                        Some(_) => self.wake(peer),
                    }
                    false
                }
                Ok(Moved::Full(status)) => return self.after_step(thread, 0, Ok(StepDone::Finish(status))),
                Ok(Moved::PeerFault) => true,
                Ok(Moved::Some) => return self.after_step(thread, 0, Ok(StepDone::Again)),
                Err(trap) => return self.after_step(thread, 0, Err(trap)),
            },
            Agreed::HasAll => return self.after_step(thread, 0, Ok(StepDone::Finish(Status::Success))),
            Agreed::Wrong(misuse) => {
                let done = self.wrong_direction(thread, side, misuse);
                return self.after_step(thread, 0, done);
            }
        };
        if waits {
            self.wait_for_peer(thread, peer);
            self.leave_to(None);
        }
        !waits
    }

    #[cold]
    #[inline(never)]
    fn end_is_lost(&mut self, thread: ThreadId, side: Side) -> bool {
        let done = self.no_other_end(thread, side);
        self.after_step(thread, 0, Ok(done))
    }

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

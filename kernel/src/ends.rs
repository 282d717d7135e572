//! The two ends of a connection, as records: what their steps change in each other's registers, and its direction. No more of the
//! kernel is needed for that, but what moves a message in one piece.

use flob_abi::{Misuse, Status, ipc, thread_flag};

use crate::arena::Arena;
use crate::machine::Machine;
use crate::record::{Body, FlobId, Object, Queue, Thread, ThreadId};
use crate::thread::TRAP_FLAG;
use crate::transfer::{Mover, Piece};
use crate::wait::{RESUME_FLAG, end_call, next_step};

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

    /// The bits of a call by which this end acts.
    const fn bits(self) -> u64 {
        match self {
            Self::Client => ipc::IPC,
            Self::Server => ipc::IPC | ipc::SERVER,
        }
    }

    /// The end as which a call acts.
    pub fn of_call(call: u64) -> Self {
        if call & ipc::SERVER != 0 { Self::Server } else { Self::Client }
    }
}

/// Steps that both ends of a connection take together.
pub(crate) const CONNECTED: u64 = ipc::ACKNOWLEDGE | ipc::SEND | ipc::OVER | ipc::RECEIVE;

/// How far the ends of a connection have come by changing their registers, and what has to be done for the rest.
pub(crate) enum Agreed {
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

    /// Whether this end waits in a connection with the thread `peer`.
    #[inline(always)]
    fn waits_with(&self, side: Side, peer: FlobId) -> bool {
        let call = self.context.registers.rax;
        self.waiting_for == Some(peer)
            && !self.has_exception()
            && call & (ipc::IPC | ipc::SERVER) == side.bits()
    }

    /// Whether it can run and waits for a client, whose message it then receives.
    #[inline(always)]
    pub fn receives_first(&self, objects: &Arena<Object>) -> bool {
        let call = self.context.registers.rax & (ipc::IPC | ipc::STEPS & !ipc::SERVER);
        let space = self.space.and_then(|space| objects.get(space.0));
        call == ipc::IPC | ipc::WAIT | ipc::RECEIVE
            && !self.has_exception()
            && self.server_peer.is_none()
            && matches!(space, Some(Object { body: Body::Space(_), .. }))
    }

    /// Whether this end is the sender: that is stored at the client end only.
    #[inline(always)]
    fn sends(&self, other: &Self, side: Side) -> bool {
        match side {
            Side::Client => self.flags & thread_flag::CLIENT_SENDS != 0,
            Side::Server => other.flags & thread_flag::CLIENT_SENDS == 0,
        }
    }

    /// The sender becomes the receiver, and the other way round.
    #[inline(always)]
    fn turn(&mut self, other: &mut Self, side: Side) {
        let client = if side == Side::Client { self } else { other };
        client.flags ^= thread_flag::CLIENT_SENDS;
    }

    /// What a step ends with when the connection is gone.
    #[inline(always)]
    pub fn disconnect_status(&self, side: Side) -> Option<Status> {
        let call = self.context.registers.rax;
        if Side::of_call(call) != side {
            return None;
        }
        // Clients mostly wait for a reply.
        match next_step(call)? {
            ipc::RECEIVE => Some(Status::ReceiveDisconnected),
            step => disconnected_in(step),
        }
    }

    /// A step that both ends take is done at this one, which waits in it: what becomes of it, unless it waits in its next.
    #[inline(always)]
    pub fn end_step(&mut self, step: u64) -> Option<Agreed> {
        let registers = &mut self.context.registers;
        registers.rax &= !step;
        match first_of(steps_of(registers.rax)) {
            next if next & CONNECTED != 0 => None,
            0 => Some(Agreed::PeerDone),
            _ => Some(Agreed::PeerGoesOn),
        }
    }

    /// Ends the call of this end, which waits for the other one. False, and nothing is done, if there is more to that.
    #[inline(always)]
    pub fn end_wait(&mut self, status: Status) -> bool {
        let flagged = self.context.registers.rflags & (TRAP_FLAG | RESUME_FLAG) != 0;
        if flagged || !matches!(self.queue, Queue::Peer) {
            return false;
        }
        self.queue = Queue::None;
        self.waiting_for = None;
        end_call(&mut self.context.registers, status)
    }
}

/// What such a step ends with, other than RECEIVE.
#[inline(never)]
fn disconnected_in(step: u64) -> Option<Status> {
    match step {
        ipc::ACKNOWLEDGE => Some(Status::AcknowledgeDisconnected),
        ipc::SEND => Some(Status::SendDisconnected),
        ipc::OVER => Some(Status::OverDisconnected),
        _ => None,
    }
}

/// The steps that are left of a call.
#[inline(always)]
pub(crate) fn steps_of(call: u64) -> u64 {
    call & ipc::STEPS & !ipc::SERVER
}

/// The first of them; 0 if there is none.
#[inline(always)]
pub(crate) fn first_of(steps: u64) -> u64 {
    steps & steps.wrapping_neg()
}

/// Whether this is the first of the steps that are left.
#[inline(always)]
fn is_first(steps: u64, step: u64) -> bool {
    steps & (step << 1).wrapping_sub(1) == step
}

/// Takes the steps of a connection that change nothing but registers and its direction, at this end (`own`, which is
/// `thread`) and at the other.
#[inline(always)]
pub(crate) fn agree<M: Machine>(
    own: &mut Thread,
    other: &mut Thread,
    thread: FlobId,
    side: Side,
    mut mover: Mover<'_, M>,
) -> Agreed {
    let waits = other.waits_with(side.other(), thread);
    let mut sends = own.sends(other, side);
    loop {
        let steps = steps_of(own.context.registers.rax);
        let theirs = if waits { steps_of(other.context.registers.rax) } else { 0 };
        if is_first(steps, ipc::SEND) {
            match () {
                () if !sends => return Agreed::Wrong(Misuse::NotSender),
                // Most messages are one piece.
                () if is_first(theirs, ipc::RECEIVE) => {
                    let is_watched = own.context.is_armed() | other.context.is_armed();
                    if is_watched || !matches!(mover.piece(own, other, M::recent_translation), Piece::All) {
                        return Agreed::Send;
                    }
                }
                () if is_first(theirs, ipc::ACKNOWLEDGE) => {
                    crate::request::drop_message(&mut own.context.registers);
                }
                () if crate::short::has_more(&own.context.registers) => return Agreed::Wait,
                () => {}
            }
            own.context.registers.rax &= !ipc::SEND;
        } else if is_first(steps, ipc::OVER) {
            match () {
                () if !sends => return Agreed::Wrong(Misuse::NotSender),
                // It has the whole message now.
                () if is_first(theirs, ipc::RECEIVE) => return Agreed::PeerHasAll,
                () if !is_first(theirs, ipc::ACKNOWLEDGE) => return Agreed::Wait,
                () => {}
            }
            own.turn(other, side);
            sends = false;
            own.context.registers.rax &= !ipc::OVER;
            if let Some(end) = other.end_step(ipc::ACKNOWLEDGE) {
                return end;
            }
        } else if is_first(steps, ipc::ACKNOWLEDGE) {
            match () {
                () if sends => return Agreed::Wrong(Misuse::NotReceiver),
                () if is_first(theirs, ipc::OVER) => {}
                () if is_first(theirs, ipc::SEND) => {
                    crate::request::drop_message(&mut other.context.registers);
                    match other.end_step(ipc::SEND) {
                        Some(end) => return end,
                        None => continue,
                    }
                }
                () => return Agreed::Wait,
            }
            own.turn(other, side);
            sends = true;
            own.context.registers.rax &= !ipc::ACKNOWLEDGE;
            if let Some(end) = other.end_step(ipc::OVER) {
                return end;
            }
        } else if is_first(steps, ipc::RECEIVE) {
            return match () {
                () if sends => Agreed::Wrong(Misuse::NotReceiver),
                () if is_first(theirs, ipc::SEND) => Agreed::Receive,
                () if is_first(theirs, ipc::OVER) => Agreed::HasAll,
                () => Agreed::Wait,
            };
        } else {
            return Agreed::Next;
        }
    }
}

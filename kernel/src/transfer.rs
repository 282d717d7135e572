//! Moving a message between two connected threads that stand at SEND and RECEIVE. Both threads' registers advance as it
//! moves, so it can be left off and taken up after any page.

use flob_abi::{PAGE_SIZE, Protection, Registers, Status, ipc};

use crate::dirty::Epochs;
use crate::kernel::Kernel;
use crate::machine::{Frame, Machine, Page, SpaceKey};
use crate::message::Cursor;
use crate::outcome::Trap;
use crate::record::{FlobId, Thread, ThreadId};
use crate::short::words_to_words;
use crate::user::Spot;

/// Pages, references and buffers of tables that one kernel entry goes through at most.
const PARTS: usize = 8;

/// How far a transfer came.
pub(crate) enum Moved {
    /// The sender has nothing left.
    All,
    /// There is more, and room for it, but this entry has done enough.
    Some,
    /// The receiver's room is used up; its call ends with this status.
    Full(Status),
    /// The other thread's memory was not there; it has taken the exception.
    PeerFault,
}

/// Whose memory a trap is about.
pub(crate) struct Blame {
    pub thread: ThreadId,
    pub trap: Trap,
}

/// What became of a piece of a message.
pub(crate) enum Piece {
    /// The sender has nothing left.
    All,
    /// There may be more.
    Some,
    /// A page on one side is not at hand.
    Missing { of_sender: bool, address: u64, access: Protection },
    /// What is to be moved next is no piece of a buffer.
    Other,
}

/// What is needed to move bytes, beside the two threads.
pub(crate) struct Mover<'a, M> {
    pub machine: &'a mut M,
    pub epochs: &'a Epochs,
}

/// How the machine is asked for a translation: what can be told at once, or with a walk of tables if it must be.
pub(crate) trait Look<M>: Fn(&M, SpaceKey, Page) -> Option<(Frame, Protection)> {}
impl<M, F: Fn(&M, SpaceKey, Page) -> Option<(Frame, Protection)>> Look<M> for F {}

impl<M: Machine> Mover<'_, M> {
    /// Moves bytes as far as the buffers and the pages on both sides go. Both threads' registers advance. What they watch is not noted.
    /// `look` is how the machine is asked for a translation.
    #[inline(always)]
    pub fn piece(&mut self, from: &mut Thread, to: &mut Thread, look: impl Look<M>) -> Piece {
        let (source, target) = (&mut from.context.registers, &mut to.context.registers);
        if (source.rax | target.rax) & ipc::SHORT != 0 {
            let both = source.rax & target.rax & ipc::SHORT != 0;
            return if both && words_to_words(source, target) { Piece::All } else { Piece::Other };
        }
        if source.rdx == 0 || target.rbx == 0 {
            return Piece::Other;
        }
        let Some(read) = self.at_hand(from.space, source.rsi, Protection::READ, &look) else {
            return Piece::Missing { of_sender: true, address: source.rsi, access: Protection::READ };
        };
        let written = self.at_hand(to.space, target.r9, Protection::WRITE, &look);
        let Some(written) = written.filter(|(frame, _)| self.epochs.is_marked(*frame)) else {
            return Piece::Missing { of_sender: false, address: target.r9, access: Protection::WRITE };
        };
        let len = source.rdx.min(target.rbx).min((PAGE_SIZE as usize - read.1.max(written.1)) as u64);
        // They may overlap: in a message to oneself through two addresses.
        self.machine.copy(read, written, len as usize);
        (source.rsi, source.rdx) = (source.rsi.wrapping_add(len), source.rdx - len);
        (target.r9, target.rbx) = (target.r9.wrapping_add(len), target.rbx - len);
        let all = source.rdx == 0 && source.r8 == 0 && ipc::table_entries(source.r14) == 0;
        if all { Piece::All } else { Piece::Some }
    }

    /// Where an address leads, if there is a translation at hand that allows it.
    #[inline(always)]
    fn at_hand(
        &self,
        space: Option<FlobId>,
        address: u64,
        access: Protection,
        look: &impl Look<M>,
    ) -> Option<Spot> {
        // For a space that is gone there is none.
        let (frame, allowed) = look(self.machine, space?.key(), Page(address / PAGE_SIZE))?;
        if allowed.allows(access) { Some((frame, (address % PAGE_SIZE) as usize)) } else { None }
    }
}

impl<M: Machine> Kernel<M> {
    /// Moves as much as one entry may. A fault in the memory of `current` is returned; one in the peer's is the peer's.
    #[inline(never)]
    pub(crate) fn transfer(
        &mut self,
        sender: ThreadId,
        receiver: ThreadId,
        current: ThreadId,
    ) -> Result<Moved, Trap> {
        for _ in 0..PARTS {
            match self.transfer_part(sender, receiver) {
                Ok(None) => {}
                Ok(Some(end)) => return Ok(end),
                Err(Blame { thread, trap }) if thread == current => return Err(trap),
                Err(Blame { thread, trap }) => {
                    self.peer_trap(thread, trap);
                    return Ok(Moved::PeerFault);
                }
            }
        }
        Ok(Moved::Some)
    }

    /// One piece within a page on both sides, one reference, or the next buffer of a table. `None`: there may be more.
    #[inline(always)]
    fn transfer_part(&mut self, sender: ThreadId, receiver: ThreadId) -> Result<Option<Moved>, Blame> {
        let Self { threads, machine, epochs, .. } = self;
        let Some((from, to)) = threads.get_two(sender.0, receiver.0) else { return Ok(Some(Moved::All)) };
        let (read, written) = (from.context.registers.rsi, to.context.registers.r9);
        let piece = (Mover { machine, epochs }).piece(from, to, M::translation);
        let len = from.context.registers.rsi.wrapping_sub(read) as usize;
        from.note(Protection::READ, read, len);
        to.note(Protection::WRITE, written, len);
        match piece {
            Piece::All => Ok(Some(Moved::All)),
            Piece::Some => Ok(None),
            Piece::Missing { of_sender, address, access } => {
                let thread = if of_sender { sender } else { receiver };
                self.fetch(thread, address, access).map_err(|trap| Blame { thread, trap })?;
                Ok(None)
            }
            Piece::Other => self.transfer_other(sender, receiver),
        }
    }

    /// Gets the translation of a page at hand, for a thread's buffer.
    #[inline(never)]
    fn fetch(&mut self, thread: ThreadId, address: u64, access: Protection) -> Result<(), Trap> {
        let space = self.own_space(thread)?;
        self.memory_spot(space, address, access).map(drop)
    }

    /// What is no piece of a buffer.
    #[inline(never)]
    fn transfer_other(&mut self, sender: ThreadId, receiver: ThreadId) -> Result<Option<Moved>, Blame> {
        let Registers { rax: call, rdx, r10, r8, r14, .. } = self.thread(sender).context.registers;
        let Registers { rax: other_call, r12, r13, .. } = self.thread(receiver).context.registers;
        if (call | other_call) & ipc::SHORT != 0 {
            return self.transfer_words(sender, receiver);
        }
        if rdx > 0 {
            let more = self.advance_receiver(receiver)?;
            return Ok((!more).then_some(Moved::Full(Status::ReceiveMoreData)));
        }
        if ipc::table_entries(r14) > 0 {
            self.advance_sender(sender)?;
            return Ok(None);
        }
        if r8 > 0 {
            if r13 == 0 {
                return Ok(Some(Moved::Full(Status::ReceiveMoreReferences)));
            }
            self.transfer_reference((sender, r10), (receiver, r12))?;
            return Ok((r8 == 1).then_some(Moved::All));
        }
        Ok(Some(Moved::All))
    }

    #[inline(never)]
    fn transfer_words(&mut self, sender: ThreadId, receiver: ThreadId) -> Result<Option<Moved>, Blame> {
        let from = self.thread(sender).context.registers;
        let to = self.thread(receiver).context.registers;
        self.transfer_short(sender, receiver, &from, &to)
    }

    /// The sender's next buffer, if it has a table of them.
    #[inline(never)]
    fn advance_sender(&mut self, sender: ThreadId) -> Result<bool, Blame> {
        let mut cursor = Cursor::of_sender(&self.thread(sender).context.registers);
        let more = self.advance(sender, &mut cursor)?;
        let registers = &mut self.thread_mut(sender).context.registers;
        (registers.rsi, registers.rdx, registers.r14) = (cursor.at, cursor.left, cursor.table);
        Ok(more)
    }

    /// The receiver's next buffer, if it has a table of them.
    #[inline(never)]
    fn advance_receiver(&mut self, receiver: ThreadId) -> Result<bool, Blame> {
        let mut cursor = Cursor::of_receiver(&self.thread(receiver).context.registers);
        let more = self.advance(receiver, &mut cursor)?;
        let registers = &mut self.thread_mut(receiver).context.registers;
        (registers.r9, registers.rbx, registers.r15) = (cursor.at, cursor.left, cursor.table);
        Ok(more)
    }

    fn advance(&mut self, thread: ThreadId, cursor: &mut Cursor) -> Result<bool, Blame> {
        let blame = |trap| Blame { thread, trap };
        let space = self.own_space(thread).map_err(blame)?;
        self.next_buffer(space, cursor).map_err(blame)
    }

    #[inline(never)]
    fn transfer_reference(
        &mut self,
        (sender, from): (ThreadId, u64),
        (receiver, to): (ThreadId, u64),
    ) -> Result<(), Blame> {
        let target = self.sent_reference(sender, from)?;
        self.receive_reference(receiver, to, target)?;
        let from = &mut self.thread_mut(sender).context.registers;
        from.r10 = from.r10.wrapping_add(8);
        from.r8 = from.r8.saturating_sub(1);
        let to = &mut self.thread_mut(receiver).context.registers;
        to.r12 = to.r12.wrapping_add(8);
        to.r13 = to.r13.saturating_sub(1);
        Ok(())
    }
}

//! Moving a message between two connected threads that stand at SEND and RECEIVE. Both threads' registers advance as it
//! moves, so it can be left off and taken up after any page.

use flob_abi::{PAGE_SIZE, Protection, Registers, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::message::{Cursor, is_short};
use crate::outcome::Trap;
use crate::record::ThreadId;
use crate::short::has_more;
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

impl<M: Machine> Kernel<M> {
    /// Moves as much as one entry may. A fault in the memory of `current` is returned; one in the peer's is the peer's.
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
    fn transfer_part(&mut self, sender: ThreadId, receiver: ThreadId) -> Result<Option<Moved>, Blame> {
        let from = self.thread(sender).context.registers;
        let to = self.thread(receiver).context.registers;
        if is_short(&from) || is_short(&to) {
            return self.transfer_short(sender, receiver, &from, &to);
        }
        if from.rdx > 0 {
            if to.rbx == 0 {
                let more = self.advance_receiver(receiver, &to)?;
                return Ok((!more).then_some(Moved::Full(Status::ReceiveMoreData)));
            }
            self.transfer_bytes(sender, receiver, &from, &to)?;
        } else if self.advance_sender(sender, &from)? {
            return Ok(None);
        } else if from.r8 > 0 {
            if to.r13 == 0 {
                return Ok(Some(Moved::Full(Status::ReceiveMoreReferences)));
            }
            self.transfer_reference(sender, receiver, &from, &to)?;
        }
        let more = has_more(&self.thread(sender).context.registers);
        Ok((!more).then_some(Moved::All))
    }

    /// The sender's next buffer, if it has a table of them.
    fn advance_sender(&mut self, sender: ThreadId, from: &Registers) -> Result<bool, Blame> {
        let mut cursor = Cursor::of_sender(from);
        let more = self.advance(sender, &mut cursor)?;
        let registers = &mut self.thread_mut(sender).context.registers;
        (registers.rsi, registers.rdx, registers.r14) = (cursor.at, cursor.left, cursor.table);
        Ok(more)
    }

    /// The receiver's next buffer, if it has a table of them.
    fn advance_receiver(&mut self, receiver: ThreadId, to: &Registers) -> Result<bool, Blame> {
        let mut cursor = Cursor::of_receiver(to);
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

    fn spot_of(&mut self, thread: ThreadId, address: u64, access: Protection) -> Result<Spot, Blame> {
        let blame = |trap| Blame { thread, trap };
        let space = self.own_space(thread).map_err(blame)?;
        self.memory_spot(space, address, access).map_err(blame)
    }

    fn transfer_bytes(
        &mut self,
        sender: ThreadId,
        receiver: ThreadId,
        from: &Registers,
        to: &Registers,
    ) -> Result<(), Blame> {
        let source = self.spot_of(sender, from.rsi, Protection::READ)?;
        let target = self.spot_of(receiver, to.r9, Protection::WRITE)?;
        let in_pages = (PAGE_SIZE as usize - source.1).min(PAGE_SIZE as usize - target.1);
        let len = from.rdx.min(to.rbx).min(in_pages as u64);
        self.copy(source, target, len as usize);
        let from = &mut self.thread_mut(sender).context.registers;
        from.rsi = from.rsi.wrapping_add(len);
        from.rdx -= len.min(from.rdx);
        let to = &mut self.thread_mut(receiver).context.registers;
        to.r9 = to.r9.wrapping_add(len);
        to.rbx -= len.min(to.rbx);
        Ok(())
    }

    /// Within one frame the ranges may overlap (a message to oneself through two addresses): go over a buffer then.
    fn copy(&mut self, source: Spot, target: Spot, len: usize) {
        self.epochs.mark(target.0);
        if source.0 != target.0 {
            self.machine.copy(source, target, len);
        } else if let Some(memory) = self.machine.frame_mut(source.0)
            && source.1.max(target.1) + len <= memory.len()
        {
            memory.copy_within(source.1..source.1 + len, target.1);
        }
    }

    fn transfer_reference(
        &mut self,
        sender: ThreadId,
        receiver: ThreadId,
        from: &Registers,
        to: &Registers,
    ) -> Result<(), Blame> {
        let target = self.sent_reference(sender, from.r10)?;
        self.receive_reference(receiver, to.r12, target)?;
        let from = &mut self.thread_mut(sender).context.registers;
        from.r10 = from.r10.wrapping_add(8);
        from.r8 = from.r8.saturating_sub(1);
        let to = &mut self.thread_mut(receiver).context.registers;
        to.r12 = to.r12.wrapping_add(8);
        to.r13 = to.r13.saturating_sub(1);
        Ok(())
    }
}

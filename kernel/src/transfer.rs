//! Moving a message between two connected threads that stand at SEND and RECEIVE. Both threads' registers advance as it
//! moves, so it can be left off and taken up after any page.

use flob_abi::{PAGE_SIZE, Protection, Registers, Status, ipc};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::message::Cursor;
use crate::outcome::Trap;
use crate::record::ThreadId;
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
        let Registers { rax: call, rsi, rdx, r10, r8, r14, .. } = self.thread(sender).context.registers;
        let Registers { rax: other_call, r9, rbx, r12, r13, .. } = self.thread(receiver).context.registers;
        if (call | other_call) & ipc::SHORT != 0 {
            return self.transfer_words(sender, receiver);
        }
        let more_buffers = ipc::table_entries(r14) > 0;
        if rdx > 0 {
            if rbx == 0 {
                let more = self.advance_receiver(receiver)?;
                return Ok((!more).then_some(Moved::Full(Status::ReceiveMoreData)));
            }
            let len = self.transfer_bytes((sender, rsi), (receiver, r9), rdx.min(rbx))?;
            return Ok((len == rdx && r8 == 0 && !more_buffers).then_some(Moved::All));
        }
        if more_buffers {
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

    #[inline(always)]
    fn spot_of(&mut self, thread: ThreadId, address: u64, access: Protection) -> Result<Spot, Blame> {
        let blame = |trap| Blame { thread, trap };
        let space = self.own_space(thread).map_err(blame)?;
        self.memory_spot(space, address, access).map_err(blame)
    }

    /// Moves at most `len` bytes, as far as the pages on both sides go. Returns how many.
    #[inline(always)]
    fn transfer_bytes(
        &mut self,
        (sender, from): (ThreadId, u64),
        (receiver, to): (ThreadId, u64),
        len: u64,
    ) -> Result<u64, Blame> {
        let source = self.spot_of(sender, from, Protection::READ)?;
        let target = self.spot_of(receiver, to, Protection::WRITE)?;
        let len = len.min((PAGE_SIZE as usize - source.1.max(target.1)) as u64);
        self.copy(source, target, len as usize);
        if let Some((sender, receiver)) = self.two_threads(sender, receiver) {
            let (from, to) = (&mut sender.context.registers, &mut receiver.context.registers);
            (from.rsi, from.rdx) = (from.rsi.wrapping_add(len), from.rdx.wrapping_sub(len));
            (to.r9, to.rbx) = (to.r9.wrapping_add(len), to.rbx.wrapping_sub(len));
        }
        Ok(len)
    }

    /// Within one frame the ranges may overlap (a message to oneself through two addresses): go over a buffer then.
    #[inline(always)]
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

//! Moving a message between two connected threads that stand at SEND and RECEIVE. Both threads' registers advance as it
//! moves, so it can be left off and taken up after any page.

use flob_abi::{ExceptionCode, FlobKind, PAGE_SIZE, Protection, Registers, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::Trap;
use crate::record::ThreadId;
use crate::user::Spot;

/// Pages and references moved in one kernel entry at most.
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
struct Blame {
    thread: ThreadId,
    trap: Trap,
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

    /// A blocked thread's buffer is not there, or no buffer: it takes the exception itself.
    fn peer_trap(&mut self, peer: ThreadId, trap: Trap) {
        match trap {
            Trap::Fault { address, access } => self.raise(peer, ExceptionCode::PageFault, 0, address, access),
            Trap::Misuse { misuse, address } => {
                self.raise(peer, ExceptionCode::Misuse, misuse as u32, address, Protection::NONE);
            }
            Trap::NoSpace => self.wake(peer),
        }
    }

    /// One piece within a page on both sides, or one reference. `None`: there may be more.
    fn transfer_part(&mut self, sender: ThreadId, receiver: ThreadId) -> Result<Option<Moved>, Blame> {
        let from = self.thread(sender).context.registers;
        let to = self.thread(receiver).context.registers;
        if from.rdx > 0 {
            if to.rbx == 0 {
                return Ok(Some(Moved::Full(Status::ReceiveMoreData)));
            }
            self.transfer_bytes(sender, receiver, &from, &to)?;
        } else if from.r8 > 0 {
            if to.r13 == 0 {
                return Ok(Some(Moved::Full(Status::ReceiveMoreReferences)));
            }
            self.transfer_reference(sender, receiver, &from, &to)?;
        } else {
            return Ok(Some(Moved::All));
        }
        let left = &self.thread(sender).context.registers;
        Ok((left.rdx == 0 && left.r8 == 0).then_some(Moved::All))
    }

    fn spot_of(&mut self, thread: ThreadId, address: u64, access: Protection) -> Result<Spot, Blame> {
        let blame = |trap| Blame { thread, trap };
        let space = self.own_space(thread).map_err(blame)?;
        self.user_spot(space, address, access).map_err(blame)
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
        let target = {
            let blame = |trap| Blame { thread: sender, trap };
            let space = self.own_space(sender).map_err(blame)?;
            let address = self.read_user(space, from.r10).map_err(blame)?;
            self.find_target(space, address).map_err(blame)?
        };
        let blame = |trap| Blame { thread: receiver, trap };
        let space = self.own_space(receiver).map_err(blame)?;
        let address = self.read_user(space, to.r12).map_err(blame)?;
        let into = self.find(space, address, FlobKind::Reference, Protection::WRITE).map_err(blame)?;
        if let Some(reference) = self.reference_mut(into) {
            reference.target = target;
        }
        let from = &mut self.thread_mut(sender).context.registers;
        from.r10 = from.r10.wrapping_add(8);
        from.r8 = from.r8.saturating_sub(1);
        let to = &mut self.thread_mut(receiver).context.registers;
        to.r12 = to.r12.wrapping_add(8);
        to.r13 = to.r13.saturating_sub(1);
        Ok(())
    }
}

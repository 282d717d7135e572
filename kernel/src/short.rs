//! Connections with the short form at one end or both: a message is eight words in registers. Between two such ends no
//! memory is touched.

use flob_abi::{Protection, Registers, Status, ipc, ipc::SHORT_BYTES, ipc::SHORT_WORDS};
use zerocopy::IntoBytes;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::message::{Cursor, is_short, set_words, words};
use crate::outcome::Trap;
use crate::record::ThreadId;
use crate::transfer::{Blame, Moved};

/// Bytes of words as a number of the registers' width.
const BYTES: u64 = SHORT_BYTES as u64;

impl<M: Machine> Kernel<M> {
    /// One piece of a message where not both ends use the long form.
    pub(crate) fn transfer_short(
        &mut self,
        sender: ThreadId,
        receiver: ThreadId,
        from: &Registers,
        to: &Registers,
    ) -> Result<Option<Moved>, Blame> {
        match (is_short(from), is_short(to)) {
            (true, true) => Ok(Some(Moved::Full(Status::ReceiveMoreData))),
            (true, false) => {
                self.words_to_memory(receiver, from).map_err(|trap| Blame { thread: receiver, trap })
            }
            _ => self
                .memory_to_words(sender, receiver, from, to)
                .map_err(|trap| Blame { thread: sender, trap }),
        }
    }

    /// All the words into the receiver's buffer, or none.
    fn words_to_memory(&mut self, receiver: ThreadId, from: &Registers) -> Result<Option<Moved>, Trap> {
        let space = self.own_space(receiver)?;
        let mut cursor = Cursor::of_receiver(&self.thread(receiver).context.registers);
        let mut end = None;
        if !self.next_buffer(space, &mut cursor)? {
            if cursor.left < BYTES {
                return Ok(Some(Moved::Full(Status::ReceiveMoreData)));
            }
            let buffer = self.user_buffer(space, cursor.at, SHORT_BYTES, Protection::WRITE)?;
            self.write_buffer(buffer, words(from).as_bytes());
            self.thread_mut(receiver).note(Protection::WRITE, cursor.at, SHORT_BYTES);
            (cursor.at, cursor.left) = (cursor.at.wrapping_add(BYTES), cursor.left - BYTES);
            end = Some(Moved::All);
        }
        let registers = &mut self.thread_mut(receiver).context.registers;
        (registers.r9, registers.rbx, registers.r15) = (cursor.at, cursor.left, cursor.table);
        Ok(end)
    }

    /// As many of the sender's bytes as there are words left.
    fn memory_to_words(
        &mut self,
        sender: ThreadId,
        receiver: ThreadId,
        from: &Registers,
        to: &Registers,
    ) -> Result<Option<Moved>, Trap> {
        let space = self.own_space(sender)?;
        let mut cursor = Cursor::of_sender(from);
        if cursor.left > 0 {
            let received = to.r14.min(BYTES);
            let len = cursor.left.min(BYTES - received);
            if len == 0 {
                return Ok(Some(Moved::Full(Status::ReceiveMoreData)));
            }
            let mut all = if received == 0 { [0; SHORT_WORDS] } else { words(to) };
            let buffer = self.user_buffer(space, cursor.at, len as usize, Protection::READ)?;
            let room = all.as_mut_bytes().get_mut(received as usize..(received + len) as usize);
            self.read_buffer(buffer, room.unwrap_or_default());
            self.thread_mut(sender).note(Protection::READ, cursor.at, len as usize);
            set_words(&mut self.thread_mut(receiver).context.registers, all, received + len);
            (cursor.at, cursor.left) = (cursor.at.wrapping_add(len), cursor.left - len);
        } else if !self.next_buffer(space, &mut cursor)? {
            let references = from.r8 > 0;
            return Ok(Some(if references {
                Moved::Full(Status::ReceiveMoreReferences)
            } else {
                Moved::All
            }));
        }
        let registers = &mut self.thread_mut(sender).context.registers;
        (registers.rsi, registers.rdx, registers.r14) = (cursor.at, cursor.left, cursor.table);
        Ok(None)
    }
}

/// A message where both ends use the short form. False if the receiver has one already.
#[inline(always)]
pub(crate) fn words_to_words(from: &Registers, to: &mut Registers) -> bool {
    let is_free = to.r14 == 0;
    if is_free {
        set_words(to, words(from), BYTES);
    }
    is_free
}

/// Whether a sender has anything left to send.
pub(crate) fn has_more(registers: &Registers) -> bool {
    is_short(registers) || registers.rdx > 0 || registers.r8 > 0 || ipc::table_entries(registers.r14) > 0
}

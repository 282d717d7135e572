//! Messages that are carried whole: the bytes and references of a request or reply without a connection. Both ends say
//! in their registers where: words, a buffer, or a table of buffers.

use flob_abi::{
    FlobKind, PAGE_SIZE, Protection, Registers, ipc,
    ipc::{MAX_REQUEST, MAX_REQUEST_BUFFERS, MAX_REQUEST_REFERENCES, SHORT_BYTES, SHORT_WORDS},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::Trap;
use crate::record::{FlobId, ThreadId};
use crate::transfer::Blame;
use crate::user::Spot;

/// Bytes that go through the kernel at a time.
const PIECE: usize = 512;

/// Whether a thread's call uses the short form.
pub(crate) const fn is_short(registers: &Registers) -> bool {
    registers.rax & ipc::SHORT != 0
}

/// The words of a message in the short form.
pub(crate) fn words(registers: &Registers) -> [u64; SHORT_WORDS] {
    let Registers { rsi, rdx, r10, r8, r9, rbx, r12, r13, .. } = *registers;
    [rsi, rdx, r10, r8, r9, rbx, r12, r13]
}

/// Puts the words of a message in the short form, and how many bytes of them count.
pub(crate) fn set_words(registers: &mut Registers, words: [u64; SHORT_WORDS], bytes: u64) {
    let Registers { rsi, rdx, r10, r8, r9, rbx, r12, r13, r14, .. } = registers;
    [*rsi, *rdx, *r10, *r8, *r9, *rbx, *r12, *r13] = words;
    *r14 = bytes;
}

/// A place in a message that lies in user memory: the buffer at hand, and a table of further ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub at: u64,
    pub left: u64,
    pub table: u64,
}

impl Cursor {
    pub fn of_sender(registers: &Registers) -> Self {
        Self { at: registers.rsi, left: registers.rdx, table: registers.r14 }
    }

    pub fn of_receiver(registers: &Registers) -> Self {
        Self { at: registers.r9, left: registers.rbx, table: registers.r15 }
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes as u64);
        self.left = self.left.saturating_sub(bytes as u64);
    }
}

/// A cursor that goes on to so many further buffers at most.
struct Bounded {
    cursor: Cursor,
    buffers: usize,
}

impl From<Cursor> for Bounded {
    fn from(cursor: Cursor) -> Self {
        Self { cursor, buffers: MAX_REQUEST_BUFFERS }
    }
}

/// Where it goes, and how much has come.
enum Sink {
    Words { bytes: [u8; SHORT_BYTES], len: usize },
    Memory(Bounded),
}

/// What a message consists of.
pub(crate) enum Payload<'a> {
    /// What a thread's registers say.
    Own,
    /// These bytes and a reference to the thread: its exception.
    Exception(&'a [u8]),
}

impl<M: Machine> Kernel<M> {
    /// Goes on to the next buffer of a table once the one at hand is used up. False if there is none.
    pub(crate) fn next_buffer(&mut self, space: FlobId, cursor: &mut Cursor) -> Result<bool, Trap> {
        if cursor.left > 0 || ipc::table_entries(cursor.table) == 0 {
            return Ok(false);
        }
        let buffer: ipc::Buffer = self.read_user(space, ipc::table_address(cursor.table))?;
        (cursor.at, cursor.left) = (buffer.address, buffer.bytes);
        cursor.table = ipc::table_behind(cursor.table, 1);
        Ok(true)
    }

    /// Carries a whole message, as much of it as fits, and enters in the receiver's registers what has come. The sender's
    /// stay as they are: it may have to send again.
    pub(crate) fn carry(
        &mut self,
        sender: ThreadId,
        payload: &Payload<'_>,
        receiver: ThreadId,
    ) -> Result<(), Blame> {
        let mut sink = match &self.thread(receiver).context.registers {
            registers if is_short(registers) => Sink::Words { bytes: [0; SHORT_BYTES], len: 0 },
            registers => Sink::Memory(Cursor::of_receiver(registers).into()),
        };
        let from = &self.thread(sender).context.registers;
        let own;
        let bytes = match payload {
            Payload::Exception(bytes) => Some(*bytes),
            Payload::Own if is_short(from) => {
                own = words(from);
                Some(own.as_bytes())
            }
            Payload::Own => None,
        };
        match bytes {
            Some(bytes) => self
                .write_piece(receiver, &mut sink, bytes)
                .map(drop)
                .map_err(|trap| Blame { thread: receiver, trap })?,
            None => self.carry_memory(sender, Cursor::of_sender(from).into(), receiver, &mut sink)?,
        }
        let references = self.carry_references(sender, payload, receiver)?;
        self.enter_arrival(receiver, &sink, references);
        Ok(())
    }

    /// Carries the bytes of a message that lies in user memory.
    #[inline(never)]
    fn carry_memory(
        &mut self,
        sender: ThreadId,
        mut source: Bounded,
        receiver: ThreadId,
        sink: &mut Sink,
    ) -> Result<(), Blame> {
        let blame = |thread| move |trap| Blame { thread, trap };
        let mut piece = [0; PIECE];
        let mut carried = 0;
        while carried < MAX_REQUEST {
            let room = PIECE.min(MAX_REQUEST - carried);
            let into = piece.get_mut(..room).unwrap_or_default();
            let len = self.read_piece(sender, &mut source, into).map_err(blame(sender))?;
            let bytes = piece.get(..len).unwrap_or_default();
            let taken = self.write_piece(receiver, sink, bytes).map_err(blame(receiver))?;
            carried += taken;
            if len == 0 || taken < len {
                break;
            }
        }
        Ok(())
    }

    /// The first bytes of what a thread sends: as many as there are, and room for.
    pub(crate) fn read_own(&mut self, sender: ThreadId, bytes: &mut [u8]) -> Result<(), Trap> {
        let from = &self.thread(sender).context.registers;
        if is_short(from) {
            bytes.iter_mut().zip(words(from).as_bytes()).for_each(|(to, from)| *to = *from);
            return Ok(());
        }
        let mut source = Cursor::of_sender(from).into();
        self.read_piece(sender, &mut source, bytes).map(drop)
    }

    /// Reads the next bytes of a message into a piece that is to be filled as far as there are any.
    fn read_piece(
        &mut self,
        sender: ThreadId,
        source: &mut Bounded,
        piece: &mut [u8],
    ) -> Result<usize, Trap> {
        let owner = (sender, self.own_space(sender)?);
        let mut rest = &mut *piece;
        while let Some(((frame, offset), len)) =
            self.next_piece(owner, source, rest.len(), Protection::READ)?
        {
            let (now, later) = rest.split_at_mut(len);
            if let Some(from) = self.machine.frame(frame).and_then(|memory| memory.get(offset..offset + len))
            {
                now.copy_from_slice(from);
            }
            rest = later;
        }
        let left = rest.len();
        Ok(piece.len() - left)
    }

    /// Where the next bytes of a message lie, and how many of at most so many: none are left, or as many as there are in a page.
    #[inline(always)]
    fn next_piece(
        &mut self,
        (thread, space): (ThreadId, FlobId),
        Bounded { cursor, buffers }: &mut Bounded,
        most: usize,
        access: Protection,
    ) -> Result<Option<(Spot, usize)>, Trap> {
        while most > 0 && cursor.left == 0 && *buffers > 0 && self.next_buffer(space, cursor)? {
            *buffers -= 1;
        }
        let most = usize::try_from(cursor.left).unwrap_or(usize::MAX).min(most);
        if most == 0 {
            return Ok(None);
        }
        let spot = self.memory_spot(space, cursor.at, access)?;
        let len = most.min(PAGE_SIZE as usize - spot.1);
        self.thread_mut(thread).note(access, cursor.at, len);
        cursor.advance(len);
        Ok(Some((spot, len)))
    }

    /// Writes the next bytes of a message. Returns how many there was room for.
    fn write_piece(&mut self, receiver: ThreadId, sink: &mut Sink, piece: &[u8]) -> Result<usize, Trap> {
        match sink {
            Sink::Words { bytes, len } => {
                let room = bytes.get_mut(*len..).unwrap_or_default();
                let written = room.len().min(piece.len());
                room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
                *len += written;
                Ok(written)
            }
            Sink::Memory(place) => {
                let owner = (receiver, self.own_space(receiver)?);
                let mut rest = piece;
                while let Some(((frame, offset), len)) =
                    self.next_piece(owner, place, rest.len(), Protection::WRITE)?
                {
                    let (now, later) = rest.split_at(len);
                    let memory = self.machine.frame_mut(frame);
                    if let Some(to) = memory.and_then(|memory| memory.get_mut(offset..offset + len)) {
                        to.copy_from_slice(now);
                    }
                    rest = later;
                }
                Ok(piece.len() - rest.len())
            }
        }
    }

    /// Carries the references of a message. Returns how many.
    fn carry_references(
        &mut self,
        sender: ThreadId,
        payload: &Payload<'_>,
        receiver: ThreadId,
    ) -> Result<u64, Blame> {
        let from = &self.thread(sender).context.registers;
        let (sent, from) = match payload {
            Payload::Exception(_) => (1, 0),
            Payload::Own if is_short(from) => (0, 0),
            Payload::Own => (from.r8, from.r10),
        };
        let to = &self.thread(receiver).context.registers;
        let (room, to) = if is_short(to) { (0, 0) } else { (to.r13, to.r12) };
        let count = sent.min(room).min(MAX_REQUEST_REFERENCES as u64);
        for index in 0..count {
            let target = match payload {
                Payload::Exception(_) => Some(sender.into()),
                Payload::Own => self.sent_reference(sender, from.wrapping_add(8 * index))?,
            };
            self.receive_reference(receiver, to.wrapping_add(8 * index), target)?;
        }
        Ok(count)
    }

    /// The target of a reference that a thread sends; `entry` is the address of the address of the flob.
    pub(crate) fn sent_reference(&mut self, sender: ThreadId, entry: u64) -> Result<Option<FlobId>, Blame> {
        let blame = |trap| Blame { thread: sender, trap };
        let space = self.own_space(sender).map_err(blame)?;
        let address = self.read_user(space, entry).map_err(blame)?;
        self.find_target(space, address).map_err(blame)
    }

    /// Puts a reference where a thread receives it.
    pub(crate) fn receive_reference(
        &mut self,
        receiver: ThreadId,
        entry: u64,
        target: Option<FlobId>,
    ) -> Result<(), Blame> {
        let blame = |trap| Blame { thread: receiver, trap };
        let space = self.own_space(receiver).map_err(blame)?;
        let address = self.read_user(space, entry).map_err(blame)?;
        let into = self.find(space, address, FlobKind::Reference, Protection::WRITE).map_err(blame)?;
        if let Some(reference) = self.reference_mut(into) {
            reference.target = target;
        }
        Ok(())
    }

    /// The receiver's registers say what has come.
    fn enter_arrival(&mut self, receiver: ThreadId, sink: &Sink, references: u64) {
        let registers = &mut self.thread_mut(receiver).context.registers;
        match sink {
            Sink::Words { bytes, len } => {
                let words = <[u64; SHORT_WORDS]>::read_from_bytes(bytes).unwrap_or_default();
                set_words(registers, words, *len as u64);
            }
            Sink::Memory(Bounded { cursor: Cursor { at, left, table }, .. }) => {
                (registers.r9, registers.rbx, registers.r15) = (*at, *left, *table);
                registers.r12 = registers.r12.wrapping_add(8 * references);
                registers.r13 = registers.r13.saturating_sub(references);
            }
        }
    }
}

//! Messages of IPC calls in the long form, as a trace shows them: their first bytes, wherever the buffers lie, and how many there
//! are.

use alloc::{vec, vec::Vec};

use flob_abi::{
    Registers,
    ipc::{self, Buffer, CALL, IPC, ONE_WAY, RECEIVE, REPLY, SEND, SHORT},
};
use flob_link::trace::{MOST_OF_PAYLOAD, Payload};
use zerocopy::FromBytes;

/// Most entries of a table of buffers that are looked at.
pub const MOST_BUFFERS: usize = 8;

/// Whether this call sends bytes out of memory.
pub const fn sends(call: u64) -> bool {
    call & IPC != 0 && call & SHORT == 0 && call & (SEND | ONE_WAY | CALL | REPLY) != 0
}

/// Whether this call receives bytes into memory.
pub const fn receives(call: u64) -> bool {
    call & IPC != 0 && call & SHORT == 0 && call & (RECEIVE | CALL) != 0
}

/// The memory of a space: the bytes at an address up to the first that is not there.
pub trait Memory {
    /// Reads into `bytes`; how many could be read.
    fn read(&self, address: u64, bytes: &mut [u8]) -> usize;
}

/// The buffers of one direction as they are before the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// The one in the registers, and the first of the table.
    known: Vec<Buffer>,
    /// Entries of the table, those among them that are not known too.
    entries: u64,
}

impl Buffers {
    /// What these registers send.
    pub fn to_send(registers: &Registers, memory: &impl Memory) -> Self {
        let first = Buffer { address: registers.rsi, bytes: registers.rdx };
        Self::new(first, registers.r14, memory)
    }

    /// Where these registers receive.
    pub fn to_receive(registers: &Registers, memory: &impl Memory) -> Self {
        let first = Buffer { address: registers.r9, bytes: registers.rbx };
        Self::new(first, registers.r15, memory)
    }

    fn new(first: Buffer, table: u64, memory: &impl Memory) -> Self {
        let entries = ipc::table_entries(table);
        let wanted = usize::try_from(entries).unwrap_or(MOST_BUFFERS).min(MOST_BUFFERS);
        let mut bytes = vec![0; wanted * size_of::<Buffer>()];
        let read = if bytes.is_empty() { 0 } else { memory.read(ipc::table_address(table), &mut bytes) };
        let entry = |bytes: &[u8]| Buffer::read_from_bytes(bytes).unwrap_or_default();
        let whole = bytes.get(..read).unwrap_or(&bytes).chunks_exact(size_of::<Buffer>());
        Self { known: core::iter::once(first).chain(whole.map(entry)).collect(), entries }
    }

    /// The message that fills them.
    pub fn all(&self, memory: &impl Memory) -> Payload {
        let count = sum(&self.known);
        let is_all = self.known.len() as u64 > self.entries;
        self.payload(count, is_all, memory)
    }

    /// The message that has come, by the registers behind the call: `None` if nothing has.
    pub fn filled(&self, after: &Registers, memory: &impl Memory) -> Option<Payload> {
        let used = self.entries.saturating_sub(ipc::table_entries(after.r15));
        let in_use = usize::try_from(used.saturating_add(1)).unwrap_or(usize::MAX);
        // The last one in use is filled up to what is left in the registers.
        let (count, is_all) = match self.known.get(..in_use) {
            Some(in_use) => (sum(in_use).saturating_sub(after.rbx), true),
            None => (sum(&self.known), false),
        };
        (count > 0).then(|| self.payload(count, is_all, memory))
    }

    fn payload(&self, count: u64, is_all: bool, memory: &impl Memory) -> Payload {
        let mut start = Vec::new();
        let mut left = count.min(MOST_OF_PAYLOAD as u64);
        for buffer in &self.known {
            let wanted = buffer.bytes.min(left);
            let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
            let read = if bytes.is_empty() { 0 } else { memory.read(buffer.address, &mut bytes) };
            let is_whole = read >= bytes.len();
            bytes.truncate(read);
            start.append(&mut bytes);
            left -= wanted;
            if left == 0 || !is_whole {
                break;
            }
        }
        Payload { start, count, is_all }
    }
}

/// Sizes are the program's, and may be any number.
fn sum(buffers: &[Buffer]) -> u64 {
    buffers.iter().fold(0, |sum, buffer| sum.saturating_add(buffer.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    /// Memory from 0x1000 on, up to its end.
    struct From1000(Vec<u8>);

    impl Memory for From1000 {
        fn read(&self, address: u64, bytes: &mut [u8]) -> usize {
            let from = address.checked_sub(0x1000).map_or(self.0.len(), |at| at as usize).min(self.0.len());
            let there = &self.0[from..];
            let count = there.len().min(bytes.len());
            bytes[..count].copy_from_slice(&there[..count]);
            count
        }
    }

    /// A table of these buffers at 0x1000, and behind it, at 0x1100, the alphabet again and again.
    fn memory(table: &[(u64, u64)]) -> From1000 {
        let entries = table.iter().map(|(address, bytes)| Buffer { address: *address, bytes: *bytes });
        let mut bytes: Vec<u8> = entries.flat_map(|entry| entry.as_bytes().to_vec()).collect();
        bytes.resize(0x100, 0);
        bytes.extend((0..0x100_u32).map(|index| b'a' + (index % 26) as u8));
        From1000(bytes)
    }

    fn payload(start: &[u8], count: u64, is_all: bool) -> Payload {
        Payload { start: start.to_vec(), count, is_all }
    }

    #[test]
    fn only_the_long_form_has_bytes_in_memory() {
        assert!(sends(ipc::CLIENT_CALL) && receives(ipc::CLIENT_CALL));
        assert!(!sends(ipc::CLIENT_CALL | SHORT) && !receives(ipc::CLIENT_CALL | SHORT));
        assert!(sends(IPC | ONE_WAY) && !receives(IPC | ONE_WAY));
        assert!(!sends(flob_abi::Call::MutexLock as u64) && !receives(IPC | ipc::SERVER | ipc::WAIT));
    }

    #[test]
    fn a_message_is_put_together_from_the_pieces_of_its_table() {
        let memory = memory(&[(0x1102, 3), (0x1100, 0), (0x1119, 2)]);
        let registers = Registers { rsi: 0x1100, rdx: 2, r14: ipc::table(0x1000, 3), ..Registers::default() };
        let sent = Buffers::to_send(&registers, &memory).all(&memory);
        assert_eq!(sent, payload(b"abcdeza", 7, true));
        assert!(sent.is_readable());
        let none = Buffers::to_send(&Registers::default(), &memory).all(&memory);
        assert_eq!(none, payload(b"", 0, true));
    }

    #[test]
    fn what_is_long_is_cut_and_its_whole_length_is_told() {
        let memory = memory(&[(0x1100, 50), (0x1100, u64::MAX)]);
        let registers =
            Registers { rsi: 0x1100, rdx: 30, r14: ipc::table(0x1000, 1), ..Registers::default() };
        let sent = Buffers::to_send(&registers, &memory).all(&memory);
        assert_eq!((sent.start.len(), sent.count, sent.is_all), (MOST_OF_PAYLOAD, 80, true));
        assert_eq!(&sent.start[30..33], b"abc");
        let registers = Registers { r14: ipc::table(0x1000, 2), ..registers };
        assert_eq!(Buffers::to_send(&registers, &memory).all(&memory).count, u64::MAX);
        let registers = Registers { r14: ipc::table(0x1000, 9), ..registers };
        assert!(!Buffers::to_send(&registers, &memory).all(&memory).is_all, "there are more buffers");
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_known() {
        let memory = memory(&[]);
        let at_the_end = Registers { rsi: 0x11fe, rdx: 40, ..Registers::default() };
        let sent = Buffers::to_send(&at_the_end, &memory).all(&memory);
        assert_eq!((sent.start.len(), sent.count, sent.is_readable()), (2, 40, false));
        let nowhere = Registers { rsi: 0x10, rdx: 40, ..Registers::default() };
        assert_eq!(Buffers::to_send(&nowhere, &memory).all(&memory), payload(b"", 40, true));
        let no_table = Registers { rsi: 0x1100, rdx: 2, r14: ipc::table(0x10, 1), ..Registers::default() };
        assert_eq!(Buffers::to_send(&no_table, &memory).all(&memory), payload(b"ab", 2, false));
    }

    #[test]
    fn what_has_come_is_told_by_what_is_left_of_the_room() {
        let memory = memory(&[(0x1110, 4), (0x1102, 8)]);
        let before = Registers { r9: 0x1100, rbx: 5, r15: ipc::table(0x1000, 2), ..Registers::default() };
        let room = Buffers::to_receive(&before, &memory);
        let left = |entries: u16, rbx: u64| {
            let r15 = ipc::table(0x1000, entries);
            room.filled(&Registers { rbx, r15, ..Registers::default() }, &memory)
        };
        assert_eq!(left(2, 5), None);
        assert_eq!(left(2, 3), Some(payload(b"ab", 2, true)));
        assert_eq!(left(1, 4), Some(payload(b"abcde", 5, true)), "the next buffer is at hand, and empty");
        assert_eq!(left(0, 7), Some(payload(b"abcdeqrstc", 10, true)));
        assert_eq!(left(0, u64::MAX), None, "registers that make no sense");
        let before = Registers { r15: ipc::table(0x1000, 20), ..before };
        let room = Buffers::to_receive(&before, &memory);
        let all = room.filled(&Registers::default(), &memory);
        assert!(all.is_some_and(|all| !all.is_all), "more than was looked at");
    }
}

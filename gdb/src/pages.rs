//! Memory that was read while the program stands still: a debugger reads a stack in small pieces, and each is a journey over
//! the link.

use std::collections::HashMap;

use flob_abi::PAGE_SIZE;
use flob_session::Error;

/// Read at a time. Smaller than a page: on a slow line the bytes of a page cost more than the journey.
const BLOCK: u64 = 1024;
/// More are not kept.
const MOST_BLOCKS: usize = 4096;

const _: () = assert!(PAGE_SIZE.is_multiple_of(BLOCK));

/// What was read. A block that is missing is kept as an empty one.
#[derive(Debug, Default)]
pub struct Pages {
    blocks: HashMap<u64, Vec<u8>>,
}

impl Pages {
    /// Reads memory; what is not known yet by `fetch`. Short where the memory ends.
    pub fn read(
        &mut self,
        address: u64,
        room: &mut [u8],
        mut fetch: impl FnMut(u64, u32) -> Result<Vec<u8>, Error>,
    ) -> usize {
        let mut done = 0;
        while let Some(rest) = room.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(start) = address.checked_add(done as u64) else { break };
            let missing = self.missing(start, rest.len());
            if missing > 0 && !self.fetch(start - start % BLOCK, missing, &mut fetch) {
                break;
            }
            let got = self.known(start);
            let count = got.len().min(rest.len());
            let (Some(place), Some(got)) = (rest.get_mut(..count), got.get(..count)) else { break };
            if count == 0 {
                break;
            }
            place.copy_from_slice(got);
            done += count;
        }
        done
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// Blocks from this address on that are not known, up to the first that is, or to the end of the page.
    fn missing(&self, address: u64, count: usize) -> u64 {
        let first = address - address % BLOCK;
        let page_end = (address - address % PAGE_SIZE).saturating_add(PAGE_SIZE);
        let end = address.saturating_add(count as u64).min(page_end);
        let blocks = (first..end).step_by(BLOCK as usize);
        blocks.take_while(|block| !self.blocks.contains_key(block)).count() as u64
    }

    /// What is known from this address to the end of its block.
    fn known(&self, address: u64) -> &[u8] {
        let block = self.blocks.get(&(address - address % BLOCK));
        block.and_then(|block| block.get((address % BLOCK) as usize..)).unwrap_or_default()
    }

    /// An error may be over in a moment (a guest that was busy), so it is not remembered, but that there is no memory is.
    fn fetch(
        &mut self,
        first: u64,
        blocks: u64,
        fetch: &mut impl FnMut(u64, u32) -> Result<Vec<u8>, Error>,
    ) -> bool {
        if self.blocks.len() >= MOST_BLOCKS {
            self.clear();
        }
        let bytes = match fetch(first, (blocks * BLOCK) as u32) {
            Ok(bytes) => bytes,
            Err(Error::NotFound(_)) => Vec::new(),
            Err(_) => return false,
        };
        for index in 0..blocks {
            let from = (index * BLOCK) as usize;
            let to = bytes.len().min(from + BLOCK as usize);
            let block = bytes.get(from..to).unwrap_or_default();
            self.blocks.insert(first + index * BLOCK, block.to_vec());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory from 0x1000 to 0x2400, each byte the low byte of its address shifted by 4.
    fn fetch(asked: &mut Vec<(u64, u32)>) -> impl FnMut(u64, u32) -> Result<Vec<u8>, Error> {
        |start, count| {
            asked.push((start, count));
            let end = start.saturating_add(count.into()).min(0x2400);
            if (0x1000..0x2400).contains(&start) {
                Ok((start..end).map(|address| (address >> 4) as u8).collect())
            } else {
                Err(Error::NotFound("no memory".into()))
            }
        }
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let (mut pages, mut asked, mut room) = (Pages::default(), Vec::new(), [0; 16]);
        for address in [0x1010, 0x1020, 0x13f0, 0x1010] {
            assert_eq!(pages.read(address, &mut room, fetch(&mut asked)), 16);
            assert_eq!(room, [(address >> 4) as u8; 16]);
        }
        assert_eq!(asked, [(0x1000, 1024)]);
        pages.clear();
        pages.read(0x1010, &mut room, fetch(&mut asked));
        assert_eq!(asked.len(), 2);
    }

    #[test]
    fn a_long_piece_is_read_page_by_page_and_ends_where_the_memory_ends() {
        let (mut pages, mut asked, mut room) = (Pages::default(), Vec::new(), vec![0; 0x2000]);
        assert_eq!(pages.read(0x1ff8, &mut room, fetch(&mut asked)), 0x408);
        assert_eq!(asked, [(0x1c00, 1024), (0x2000, 4096)]);
        assert_eq!(room[8..0x408], (0..0x400u32).map(|offset| (offset >> 4) as u8).collect::<Vec<_>>());
    }

    #[test]
    fn where_there_is_nothing_is_asked_once() {
        let (mut pages, mut asked, mut room) = (Pages::default(), Vec::new(), [0; 4]);
        for address in [0, 8, u64::MAX - 1] {
            assert_eq!(pages.read(address, &mut room, fetch(&mut asked)), 0);
        }
        assert_eq!(asked, [(0, 1024), (u64::MAX - 1023, 1024)]);
    }
}

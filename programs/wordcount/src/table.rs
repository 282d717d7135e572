//! How often each word occurs: an open hash table over one string of all words, so that many words take little
//! memory (what a checkpoint has to carry).

use alloc::vec::Vec;

/// A word's place in the string, and how often it occurred. `count` 0 marks a free slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    start: u32,
    size: u32,
    count: u64,
}

/// Words with their counts.
#[derive(Debug, Default)]
pub struct Table {
    text: Vec<u8>,
    slots: Vec<Slot>,
    used: usize,
}

/// Slots of a table that has its first word.
const FIRST_SLOTS: usize = 64;

impl Table {
    /// An empty table.
    pub const fn new() -> Self {
        Self { text: Vec::new(), slots: Vec::new(), used: 0 }
    }

    /// How many different words it has.
    pub const fn len(&self) -> usize {
        self.used
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Forgets all words and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.slots.fill(Slot::default());
        self.used = 0;
    }

    /// Adds `count` occurrences of `word`.
    pub fn add(&mut self, word: &[u8], count: u64) {
        if count == 0 {
            return;
        }
        // At most three quarters full: a search always meets a free slot.
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let index = self.find(word);
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.count == 0 {
            // More than 4 GiB of different words: what no longer fits is not listed.
            let (Ok(start), Ok(size)) = (u32::try_from(self.text.len()), u32::try_from(word.len())) else {
                return;
            };
            *slot = Slot { start, size, count: 0 };
            self.text.extend_from_slice(word);
            self.used += 1;
        }
        slot.count = slot.count.saturating_add(count);
    }

    /// All words with their counts, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.slots.iter().filter(|slot| slot.count > 0).map(|slot| (self.word(slot), slot.count))
    }

    /// The `number` most frequent words, the most frequent first; equally frequent ones in the order of their bytes.
    pub fn top(&self, number: usize) -> Vec<(&[u8], u64)> {
        let mut best: Vec<(&[u8], u64)> = Vec::with_capacity(number + 1);
        for (word, count) in self.iter() {
            let before = |other: &(&[u8], u64)| {
                (core::cmp::Reverse(other.1), other.0) < (core::cmp::Reverse(count), word)
            };
            best.insert(best.partition_point(before), (word, count));
            best.truncate(number);
        }
        best
    }

    fn word(&self, slot: &Slot) -> &[u8] {
        let start = slot.start as usize;
        self.text.get(start..start + slot.size as usize).unwrap_or_default()
    }

    /// Where `word` is or belongs.
    fn find(&self, word: &[u8]) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let mut index = hash(word) as usize & mask;
        while self.slots.get(index).is_some_and(|slot| slot.count > 0 && self.word(slot) != word) {
            index = (index + 1) & mask;
        }
        index
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(FIRST_SLOTS);
        let old = core::mem::replace(&mut self.slots, alloc::vec![Slot::default(); slots]);
        for slot in old.into_iter().filter(|slot| slot.count > 0) {
            let index = self.find(self.word(&slot));
            if let Some(free) = self.slots.get_mut(index) {
                *free = slot;
            }
        }
    }
}

/// FNV-1a, with its upper half folded in: the table uses the low bits.
fn hash(word: &[u8]) -> u64 {
    let hash = word.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

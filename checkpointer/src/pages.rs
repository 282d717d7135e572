//! Sets of pages: a bit each.

use alloc::vec::Vec;

/// A set of pages of an environment.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    /// None until a page is put in: a set may be made while a program stands still.
    words: Vec<u64>,
    pages: u64,
}

impl PageSet {
    /// An empty set, for numbers below `pages`.
    pub fn new(pages: u64) -> Self {
        Self { words: Vec::new(), pages }
    }

    fn make_room(&mut self) {
        self.words.resize(usize::try_from(self.pages.div_ceil(64)).unwrap_or(0), 0);
    }

    /// The set of all numbers below `pages`.
    pub fn full(pages: u64) -> Self {
        let mut set = Self::new(pages);
        set.make_room();
        set.words.fill(u64::MAX);
        if let Some(last) = set.words.last_mut().filter(|_| !pages.is_multiple_of(64)) {
            *last = (1 << (pages % 64)) - 1;
        }
        set
    }

    fn place(&self, page: u64) -> Option<(usize, u64)> {
        let word = usize::try_from(page / 64).ok()?;
        (page < self.pages).then_some((word, 1 << (page % 64)))
    }

    /// Whether a page is in it.
    pub fn contains(&self, page: u64) -> bool {
        let place = self.place(page);
        place.is_some_and(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Puts a page in; whether it was not there and can be.
    pub fn insert(&mut self, page: u64) -> bool {
        let Some((word, bit)) = self.place(page) else { return false };
        if self.words.is_empty() {
            self.make_room();
        }
        let Some(word) = self.words.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Takes a page out; whether it was in.
    pub fn remove(&mut self, page: u64) -> bool {
        let Some((word, bit)) = self.place(page) else { return false };
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }

    /// The first page in it that is not below this one.
    pub fn next(&self, from: u64) -> Option<u64> {
        let (word, _) = self.place(from)?;
        let words = (0_u64..).zip(&self.words).skip(word);
        let (index, bits) = words
            .map(|(index, bits)| {
                (index, if index == from / 64 { bits & u64::MAX << (from % 64) } else { *bits })
            })
            .find(|(_, bits)| *bits != 0)?;
        Some(index * 64 + u64::from(bits.trailing_zeros()))
    }

    /// All pages in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let words = (0_u64..).zip(&self.words).filter(|(_, word)| **word != 0);
        words.flat_map(|(index, word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| index * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_nothing_else() {
        let mut set = PageSet::new(130);
        for page in [0, 63, 64, 129] {
            assert!(set.insert(page));
            assert!(!set.insert(page), "{page} is there already");
        }
        assert!(!set.insert(130), "beyond the end");
        assert!(!set.insert(u64::MAX));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(set.count(), 4);
        assert_eq!((0..200).filter(|page| set.contains(*page)).collect::<Vec<_>>(), [0, 63, 64, 129]);
        let next: Vec<_> = [0, 1, 64, 65, 129, 130].into_iter().map(|page| set.next(page)).collect();
        assert_eq!(next, [Some(0), Some(63), Some(64), Some(129), Some(129), None]);
        assert!(set.remove(63) && !set.remove(63) && !set.remove(130));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 129]);
    }

    #[test]
    fn a_full_set_has_each_page_once() {
        for pages in [0, 1, 63, 64, 65, 130] {
            let mut set = PageSet::full(pages);
            assert_eq!(set.iter().collect::<Vec<_>>(), (0..pages).collect::<Vec<_>>());
            assert!((0..pages).all(|page| set.remove(page)));
            assert_eq!(set.next(0), None);
        }
    }
}

//! What is watched by taking rights from pages: as many ranges as anybody wants, of any size, and reads without writes, none of which
//! the debug registers can do.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use flob_abi::{PAGE_SIZE, Protection};
use flob_image::Place;
use flob_link::{Access, Hit, Watch};

/// Memory of a space that an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    #[expect(missing_docs, reason = "the names say it")]
    pub address: u64,
    #[expect(missing_docs, reason = "the names say it")]
    pub bytes: u64,
    /// Written rather than read.
    pub writes: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct PageWatches {
    watches: BTreeSet<Watch>,
    /// Pages of the environment that something watched is in, and whether reads are.
    pages: BTreeMap<u64, bool>,
}

impl PageWatches {
    /// Adds one; its pages follow by [`Self::set_pages`].
    pub fn add(&mut self, watch: Watch) {
        self.watches.insert(watch);
    }

    /// Takes one away; whether it was there.
    pub fn remove(&mut self, watch: Watch) -> bool {
        self.watches.remove(&watch)
    }

    /// Whether this is watched.
    pub fn contains(&self, watch: &Watch) -> bool {
        self.watches.contains(watch)
    }

    /// All that is watched.
    pub fn all(&self) -> impl Iterator<Item = Watch> {
        self.watches.iter().copied()
    }

    /// Where what is watched is now, by pages.
    pub fn set_pages(&mut self, pages: impl Iterator<Item = (Watch, u64)>) {
        self.pages.clear();
        for (watch, page) in pages {
            *self.pages.entry(page).or_default() |= watch.access != Access::Write;
        }
    }

    /// Whether this access to a page of the environment is to be looked at.
    pub fn denies(&self, page: u64, access: Protection) -> bool {
        // Where reads are, nothing may be executed either: the processor knows no code that cannot be read.
        self.pages.get(&page).is_some_and(|reads| *reads || access.allows(Protection::WRITE))
    }

    /// Whether anything watched is in the page of a space's address.
    pub fn is_in_page(&self, space: Place, address: u64) -> bool {
        self.in_page(address).any(|watch| watch.space == space)
    }

    /// Whether an access to a page of the environment at this address may be the first to memory that was mapped where something is
    /// watched, since [`Self::set_pages`].
    pub fn may_be_new(&self, page: u64, address: u64) -> bool {
        !self.pages.contains_key(&page) && self.in_page(address).next().is_some()
    }

    fn in_page(&self, address: u64) -> impl Iterator<Item = &Watch> {
        let start = address - address % PAGE_SIZE;
        let end = start.saturating_add(PAGE_SIZE);
        self.watches.iter().filter(move |watch| watch.address < end && start < watch_end(watch))
    }

    /// What the environment's region may still allow: of all its pages, as any of them may be mapped where something is watched.
    pub fn protection(&self) -> Protection {
        match self.watches.iter().map(|watch| watch.access != Access::Write).max() {
            None => Protection::ALL,
            Some(false) => Protection::READ_EXECUTE,
            Some(true) => Protection::NONE,
        }
    }

    /// What of that is watched: of each watch the first byte that was meant, and as what.
    pub fn hits(&self, space: Place, touch: Touch) -> impl Iterator<Item = Hit> {
        let end = touch.address.saturating_add(touch.bytes);
        let meant = move |watch: &&Watch| {
            let kind = match watch.access {
                Access::Write => touch.writes,
                Access::Read => !touch.writes,
                Access::ReadWrite => true,
                Access::Execute => false,
            };
            kind && watch.space == space && watch.address < end && touch.address < watch_end(watch)
        };
        let hit =
            move |watch: &Watch| Hit { address: watch.address.max(touch.address), access: watch.access };
        self.watches.iter().filter(meant).map(hit)
    }

    /// The parts of a range of a space in which writes are watched.
    pub fn written_within(&self, space: Place, address: u64, bytes: u64) -> Vec<(u64, u64, Access)> {
        let end = address.saturating_add(bytes);
        let part = |watch: &Watch| {
            let (from, to) = (watch.address.max(address), watch_end(watch).min(end));
            let counts = watch.space == space && matches!(watch.access, Access::Write | Access::ReadWrite);
            (counts && from < to).then(|| (from, to - from, watch.access))
        };
        self.watches.iter().filter_map(part).collect()
    }
}

fn watch_end(watch: &Watch) -> u64 {
    watch.address.saturating_add(watch.bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(address: u64, bytes: u32, access: Access) -> Watch {
        Watch { space: 7, address, bytes, access }
    }

    fn touch(address: u64, bytes: u64, writes: bool) -> Touch {
        Touch { address, bytes, writes }
    }

    #[test]
    fn an_access_is_meant_where_it_overlaps_and_is_of_the_kind() {
        let mut watches = PageWatches::default();
        watches.add(watch(0x1004, 4, Access::Read));
        watches.add(watch(0x2000, 9000, Access::Write));
        let hits = |space, at, bytes, writes| -> Vec<_> {
            let hits = watches.hits(space, touch(at, bytes, writes));
            hits.map(|hit| (hit.address, hit.access)).collect()
        };
        assert_eq!(hits(7, 0x1000, 8, false), [(0x1004, Access::Read)]);
        assert_eq!(hits(7, 0x1000, 4, false), [], "it ends before");
        assert_eq!(hits(7, 0x1007, 1, false), [(0x1007, Access::Read)]);
        assert_eq!(hits(7, 0x1004, 4, true), [], "a write is no read");
        assert_eq!(hits(7, 0x4327, 8, true), [(0x4327, Access::Write)]);
        assert_eq!(hits(7, 0x4328, 8, true), []);
        assert_eq!(hits(8, 0x1004, 4, false), [], "another space");
        assert_eq!(watches.written_within(7, 0x1000, 0x1010), [(0x2000, 0x10, Access::Write)]);
    }

    #[test]
    fn one_access_may_be_meant_by_several() {
        let mut watches = PageWatches::default();
        watches.add(watch(0x1004, 4, Access::Read));
        watches.add(watch(0x1006, 1, Access::ReadWrite));
        watches.add(watch(0x1007, 1, Access::Read));
        let hits: Vec<_> = watches.hits(7, touch(0x1005, 2, false)).collect();
        let hit = |address, access| Hit { address, access };
        assert_eq!(hits, [hit(0x1005, Access::Read), hit(0x1006, Access::ReadWrite)]);
    }

    #[test]
    fn no_more_is_taken_than_what_is_watched_for() {
        let mut watches = PageWatches::default();
        assert_eq!(watches.protection(), Protection::ALL);
        let (one, other) = (watch(0x1000, 8, Access::Write), watch(0x5000, 8, Access::Read));
        watches.add(one);
        watches.set_pages([(one, 3)].into_iter());
        assert_eq!(watches.protection(), Protection::READ_EXECUTE);
        assert!(watches.denies(3, Protection::WRITE) && !watches.denies(3, Protection::READ));
        assert!(!watches.denies(4, Protection::WRITE));
        watches.add(other);
        watches.set_pages([(one, 3), (other, 4)].into_iter());
        assert_eq!(watches.protection(), Protection::NONE);
        assert!(watches.denies(4, Protection::READ) && !watches.denies(3, Protection::READ));
    }

    #[test]
    fn memory_that_is_mapped_later_is_looked_for_where_something_is_watched() {
        let mut watches = PageWatches::default();
        watches.add(watch(0x1ff8, 16, Access::Write));
        assert_eq!(watches.protection(), Protection::READ_EXECUTE, "before there is any");
        assert!(watches.may_be_new(3, 0x1000) && watches.may_be_new(3, 0x2fff));
        assert!(!watches.may_be_new(3, 0x3000));
        assert!(watches.is_in_page(7, 0x2800) && !watches.is_in_page(8, 0x2800));
        watches.set_pages([(watch(0x1ff8, 16, Access::Write), 3)].into_iter());
        assert!(!watches.may_be_new(3, 0x1000), "it is known");
    }
}

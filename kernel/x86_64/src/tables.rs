//! Page tables: a bounded pool. Translations are a cache of the kernel's own objects, so when the pool runs out all
//! of them are dropped and come back by faults; a whole pool is far more than one instruction needs.
//!
//! A table is named by its place in the pool. Number 0 is the kernel's own root table, whose user half is empty: it
//! serves every space that has no translations yet.

use crate::cpu;
use crate::lookaside::LookAside;
use crate::measure::{self, Count};
use crate::table::{ENTRIES, TO_TABLE, Table, allowed, bit, index, is_user, leaf};
use alloc::vec;
use alloc::vec::Vec;
use flob_abi::Protection;
use flob_abi::memory::{PAGE_SHIFT, USER_END};
use flob_kernel::{Caching, Frame, Page, SpaceKey};

/// Steps from a root table to a page.
const LEVELS: u32 = 4;

type Number = u16;
const NONE: Number = 0;
/// No space has as many before it.
const NO_SPACE: SpaceKey = SpaceKey(u64::MAX);

/// All page tables of all spaces.
pub struct Tables {
    pool: Vec<Table>,
    base: u64,
    /// For each table the next one of the same list: free tables, or the tables of one space from its root on.
    next: Vec<Number>,
    free: Number,
    /// From this table on none was used since all were forgotten.
    fresh: usize,
    free_count: usize,
    /// Root table of each space; `NONE` if it has no translations.
    roots: Vec<Number>,
    /// All of these since all were forgotten, also those that are none any more.
    rooted: Vec<Number>,
    /// For each table what it is the root of, if it is one.
    owners: Vec<Owner>,
    /// The root table in CR3: that of the active space.
    loaded: Number,
    active: SpaceKey,
    /// Walks that were done before.
    lookaside: LookAside,
    /// The table that was entered into last: faults come close together.
    recent: Leaf,
}

/// What a root table is for.
#[derive(Clone, Copy)]
struct Owner {
    space: SpaceKey,
    /// The last table of its list, and how many there are.
    last: Number,
    count: Number,
}

const NO_OWNER: Owner = Owner { space: NO_SPACE, last: NONE, count: 0 };

/// A table of the lowest level, and what it is for: pages of this number, less their place in it, of the space with this root.
#[derive(Clone, Copy)]
struct Leaf {
    root: Number,
    pages: u64,
    table: Number,
}

const NO_LEAF: Leaf = Leaf { root: NONE, pages: 0, table: NONE };

/// Most tables in the pool; a machine with little memory has fewer.
const MOST_TABLES: Number = 1024;
/// Frames of programs for each table in the pool.
const FRAMES_PER_TABLE: usize = 64;
/// Least tables in the pool.
const LEAST_TABLES: usize = 64;
/// Spaces that a frame can hold, and so the number of root tables to know for it.
const SPACES_PER_FRAME: usize = (flob_abi::PAGE_SIZE / flob_abi::flob::GRANULE) as usize;

/// Beyond this many pages it is cheaper to drop all translations of the space.
const REMOVE_LIMIT: u64 = 64;

impl Tables {
    /// Bytes that the pool and its lists take at most for this many frames of programs.
    pub const fn pool_bytes(frames: usize) -> usize {
        let tables = LEAST_TABLES + frames / FRAMES_PER_TABLE + 1;
        tables * (size_of::<Table>() + size_of::<Owner>() + 16)
            + frames * SPACES_PER_FRAME * size_of::<Number>()
    }

    /// A pool for this many frames of programs; `kernel` becomes table 0 and is loaded.
    ///
    /// # Safety
    /// `kernel` must map the kernel as it is mapped now.
    pub unsafe fn new(frames: usize, kernel: &Table) -> Self {
        let count = (frames / FRAMES_PER_TABLE).clamp(LEAST_TABLES, usize::from(MOST_TABLES));
        let mut pool = vec![Table::EMPTY; count];
        let base = pool.first().map_or(0, Table::physical);
        if let Some(first) = pool.first_mut() {
            *first = kernel.clone();
        }
        let mut tables = Self {
            pool,
            base,
            next: vec![NONE; count],
            free: NONE,
            fresh: 1,
            free_count: 0,
            roots: vec![NONE; frames * SPACES_PER_FRAME],
            rooted: Vec::with_capacity(count),
            owners: vec![NO_OWNER; count],
            loaded: NONE,
            active: NO_SPACE,
            lookaside: LookAside::new(),
            recent: NO_LEAF,
        };
        tables.forget_all();
        tables
    }

    /// Makes this space's translations the ones in use.
    #[inline(always)]
    pub fn activate(&mut self, space: SpaceKey) {
        self.active = space;
        let root = self.root(space);
        if root != self.loaded {
            self.load(root);
        }
    }

    /// The translation at hand, if it was looked for lately.
    #[inline(always)]
    pub fn recent_translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        self.lookaside.find(space, page)
    }

    /// The translation at hand.
    pub fn translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        self.lookaside.find(space, page).or_else(|| self.walk(space, page))
    }

    #[inline(never)]
    fn walk(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        let root = self.root(space);
        // There may be a new space with the number of one that is gone.
        if self.owners[usize::from(root)].space != space || !is_user(page) {
            return None;
        }
        let table = self.leaf_table(root, page)?;
        let entry = self.entry(table, index(page, 1));
        if entry & bit::PRESENT == 0 {
            return None;
        }
        let (frame, access) = (Frame(((entry & bit::ADDRESS) >> PAGE_SHIFT) as u32), allowed(entry));
        self.lookaside.enter(space, page, frame, access);
        Some((frame, access))
    }

    /// Enters a translation. May drop all others first.
    pub fn install(
        &mut self,
        space: SpaceKey,
        page: Page,
        frame: Frame,
        access: Protection,
        caching: Caching,
    ) {
        if access == Protection::NONE || !is_user(page) {
            return self.remove(space, page, 1);
        }
        if self.free_count < LEVELS as usize || self.rooted.len() == self.pool.len() {
            self.forget_all();
        }
        let root = self.root_or_new(space);
        let table = self.leaf_or_new(root, page);
        let place = index(page, 1);
        self.lookaside.remove(space, page);
        let old = self.entry(table, place);
        self.set_entry(table, place, leaf(frame, access, caching));
        if old & bit::PRESENT != 0 && root == self.loaded {
            measure::count(Count::Pages, 1);
            cpu::forget_page(page.0 << PAGE_SHIFT);
        }
    }

    /// Drops the translations of a range, or more.
    pub fn remove(&mut self, space: SpaceKey, first: Page, count: u64) {
        let root = self.root(space);
        if root == NONE {
            return;
        }
        if count > REMOVE_LIMIT {
            return self.forget_space(space);
        }
        let mut page = first.0;
        let end = first.0.saturating_add(count).min(USER_END >> PAGE_SHIFT);
        while page < end {
            let Some(table) = self.leaf_table(root, Page(page)) else {
                page = (page | (ENTRIES as u64 - 1)) + 1;
                continue;
            };
            let place = index(Page(page), 1);
            if self.entry(table, place) & bit::PRESENT != 0 {
                self.set_entry(table, place, 0);
                self.lookaside.remove(space, Page(page));
                if root == self.loaded {
                    measure::count(Count::Pages, 1);
                    cpu::forget_page(page << PAGE_SHIFT);
                }
            }
            page += 1;
        }
    }

    /// Drops all translations of a space.
    pub fn forget_space(&mut self, space: SpaceKey) {
        let root = self.root(space);
        if root == NONE {
            return;
        }
        self.roots[space.index()] = NONE;
        let Owner { last, count, .. } = core::mem::replace(&mut self.owners[usize::from(root)], NO_OWNER);
        self.recent = NO_LEAF;
        self.lookaside.clear();
        if root == self.loaded {
            self.load(NONE);
        }
        self.free_count += usize::from(count);
        self.next[usize::from(last)] = self.free;
        self.free = root;
    }

    /// Drops all translations.
    pub fn forget_all(&mut self) {
        self.load(NONE);
        self.recent = NO_LEAF;
        self.lookaside.clear();
        for owner in self.rooted.drain(..).map(|root| self.owners[usize::from(root)]) {
            if let Some(root) = self.roots.get_mut(owner.space.index()) {
                *root = NONE;
            }
        }
        self.free = NONE;
        self.fresh = 1;
        self.free_count = self.pool.len() - 1;
    }

    #[cold]
    fn load(&mut self, root: Number) {
        self.loaded = root;
        measure::count(Count::Tables, 1);
        // SAFETY: every root table has the kernel's half of table 0.
        unsafe { cpu::load_root_table(self.physical(root)) };
    }

    #[inline]
    fn root(&self, space: SpaceKey) -> Number {
        self.roots.get(space.index()).copied().unwrap_or(NONE)
    }

    fn root_or_new(&mut self, space: SpaceKey) -> Number {
        let root = self.root(space);
        if root != NONE {
            return root;
        }
        let place = space.index();
        if place >= self.roots.len() {
            self.roots.resize(place + 1, NONE);
        }
        let root = self.take();
        let (kernel, new) = self.pool.split_at_mut(1);
        new[usize::from(root) - 1].0[ENTRIES / 2..].copy_from_slice(&kernel[0].0[ENTRIES / 2..]);
        self.roots[place] = root;
        self.owners[usize::from(root)] = Owner { space, last: root, count: 1 };
        self.rooted.push(root);
        if self.active == space {
            self.load(root);
        }
        root
    }

    /// An empty table; `install` has seen to it that there are enough.
    fn take(&mut self) -> Number {
        let mut number = self.free;
        if number == NONE {
            number = self.fresh as Number;
            self.fresh += 1;
            assert!(self.fresh <= self.pool.len(), "the pool of page tables ran out inside one installation");
        } else {
            self.free = self.next[usize::from(number)];
        }
        self.free_count -= 1;
        self.next[usize::from(number)] = NONE;
        self.pool[usize::from(number)].0.fill(0);
        number
    }

    #[inline]
    fn leaf_or_new(&mut self, root: Number, page: Page) -> Number {
        let pages = page.0 / ENTRIES as u64;
        if (self.recent.root, self.recent.pages) != (root, pages) {
            self.recent = Leaf { root, pages, table: self.walk_or_grow(root, page) };
        }
        self.recent.table
    }

    #[inline(never)]
    fn walk_or_grow(&mut self, root: Number, page: Page) -> Number {
        let levels = (2..=LEVELS).rev();
        levels.fold(root, |table, level| self.child_or_new(root, table, index(page, level)))
    }

    fn child_or_new(&mut self, root: Number, table: Number, place: usize) -> Number {
        if let Some(child) = self.child(table, place) {
            return child;
        }
        let child = self.take();
        let owner = &mut self.owners[usize::from(root)];
        self.next[usize::from(owner.last)] = child;
        (owner.last, owner.count) = (child, owner.count + 1);
        self.set_entry(table, place, self.physical(child) | TO_TABLE);
        child
    }

    #[inline]
    fn leaf_table(&self, root: Number, page: Page) -> Option<Number> {
        let third = self.child(root, index(page, 4))?;
        let second = self.child(third, index(page, 3))?;
        self.child(second, index(page, 2))
    }

    #[inline]
    fn child(&self, table: Number, place: usize) -> Option<Number> {
        let entry = self.entry(table, place);
        (entry & bit::PRESENT != 0).then(|| (((entry & bit::ADDRESS) - self.base) >> PAGE_SHIFT) as Number)
    }

    #[inline]
    fn entry(&self, table: Number, place: usize) -> u64 {
        self.pool[usize::from(table)].0[place % ENTRIES]
    }

    fn set_entry(&mut self, table: Number, place: usize, entry: u64) {
        self.pool[usize::from(table)].0[place % ENTRIES] = entry;
    }

    fn physical(&self, table: Number) -> u64 {
        self.base + (u64::from(table) << PAGE_SHIFT)
    }
}

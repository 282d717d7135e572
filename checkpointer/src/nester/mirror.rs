//! The memory of the last good checkpoint: as large as the child's, and brought up to date by the pages that were written
//! since. So a checkpoint takes as long as the child has written, not as long as its memory is; and the child runs on meanwhile
//! ([`flob_checkpointer::copying`]): what it is about to write is copied before all else.

use alloc::vec;

use flob_abi::{PAGE_SIZE, Protection, Status};
use flob_checkpointer::{
    Copying,
    copying::{Original, Source, next_written},
    denial::Denied,
};
use flob_image::Place;
use flob_runtime::{
    call,
    flob::{FlobAt, Reference},
    nester::{ChildMemory, Environment},
};

/// What has become of pages since a checkpoint was begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copied {
    /// Those that have come into it.
    pub pages: u64,
    /// Those that the child has begun to write before they were copied here, if that was wanted.
    pub for_child: u64,
}

pub struct Mirror {
    memory: ChildMemory,
    /// The epoch at whose beginning it was as the child's memory.
    since: u64,
    /// A checkpoint is being taken: what has been copied, and the epoch in which the child runs on.
    under_way: Option<(Copying, u64)>,
    copied: Copied,
}

/// The child's memory, of which that is wanted that was written since an epoch.
struct Memory<'a> {
    environment: &'a Environment,
    mirror: &'a ChildMemory,
    since: u64,
}

impl Original for Memory<'_> {
    fn memory(&self) -> &ChildMemory {
        self.environment.memory()
    }

    fn copies(&self) -> &ChildMemory {
        self.mirror
    }

    fn is_wanted(&self, page: u64) -> bool {
        next_written(self.environment, page..page + 1, self.since) != Ok(None)
    }

    fn hide(&self, _: Place, _: &mut [u8]) {}
}

impl Mirror {
    /// For a child whose memory nothing was written to before this epoch.
    pub fn new(memory: ChildMemory, born: u64) -> Self {
        Self { memory, since: born, under_way: None, copied: Copied::default() }
    }

    /// The child stands, and its memory as it is now is what this is to become: nothing of it is written any more before it
    /// is here. Nothing can go wrong from here on.
    pub fn begin(&mut self, environment: &Environment, keeper: FlobAt<Reference>) -> Result<(), Status> {
        environment.guard(Protection::READ_EXECUTE, Some(keeper))?;
        let epoch = call::epoch_begin()?;
        self.under_way = Some((Copying::new(environment.size() / PAGE_SIZE), epoch));
        self.copied = Copied::default();
        Ok(())
    }

    /// Copies the first page from this one on that is to be copied; the one behind it, if there was any.
    pub fn copy_next(&mut self, environment: &Environment, from: u64) -> Option<u64> {
        let (copying, _) = self.under_way.as_mut()?;
        let memory = Memory { environment, mirror: &self.memory, since: self.since };
        let mut pages = from..environment.size() / PAGE_SIZE;
        while let Some(page) = next_page(environment, &pages, self.since) {
            pages.start = page + 1;
            if copying.source(page) == Source::Present {
                copying.copy(&memory, page);
                self.copied.pages += 1;
                return Some(pages.start);
            }
        }
        None
    }

    /// The region has denied an access: all of it is granted, once the page is here as it was.
    pub fn answer(&mut self, environment: &Environment, denied: &Denied) {
        let Some((copying, _)) = self.under_way.as_mut().filter(|_| denied.is_write()) else { return };
        let memory = Memory { environment, mirror: &self.memory, since: self.since };
        let (before, is_first) = (copying.count(), copying.source(denied.page) == Source::Present);
        copying.about_to_change(&memory, denied.page * PAGE_SIZE, PAGE_SIZE);
        self.copied.pages += copying.count() - before;
        self.copied.for_child += u64::from(is_first);
        denied.lift(environment.memory(), denied.access.or(Protection::READ_WRITE));
    }

    /// How much has been copied since the checkpoint was begun.
    pub const fn copied(&self) -> Copied {
        self.copied
    }

    /// All is here: the child may write what it likes.
    pub fn end(&mut self, environment: &Environment) -> Result<(), Status> {
        if let Some((_, epoch)) = self.under_way.take() {
            self.since = epoch;
        }
        environment.guard(Protection::ALL, None)
    }

    /// Makes empty memory as this is.
    pub fn put_back(&self, environment: &Environment) {
        let mut bytes = vec![0; PAGE_SIZE as usize];
        for page in 0..self.memory.size() / PAGE_SIZE {
            if !(self.memory.is_page_zero(page) && environment.memory().is_page_zero(page)) {
                let place = page * PAGE_SIZE;
                let copied = self.memory.read(place, &mut bytes) && environment.memory().write(place, &bytes);
                debug_assert!(copied, "both are of one size");
            }
        }
    }
}

/// The first page that was written since an epoch. One of which that cannot be found out counts as written.
fn next_page(environment: &Environment, pages: &core::ops::Range<u64>, since: u64) -> Option<u64> {
    match next_written(environment, pages.clone(), since) {
        Ok(found) => found.map(|found| found.start),
        Err(_) => (!pages.is_empty()).then_some(pages.start),
    }
}

//! The memory of the last two good checkpoints: each as large as the child's. The next checkpoint brings the older one up to date by the
//! pages that were written since. So a checkpoint takes as long as the child has written, not as long as its memory is; and the child
//! runs on meanwhile ([`flob_checkpointer::copying`]): what it is about to write is copied before all else.

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

/// Which of the two.
#[derive(Clone, Copy, Default)]
pub struct Side(usize);

impl Side {
    pub const fn other(self) -> Self {
        Self(1 - self.0)
    }
}

/// A memory, and the epoch at whose beginning it was as the child's.
struct Kept {
    memory: ChildMemory,
    since: u64,
}

/// A checkpoint that is being taken: what has been copied, to where, and the epoch in which the child runs on.
struct UnderWay {
    copying: Copying,
    side: Side,
    epoch: u64,
}

pub struct Mirror {
    kept: [Kept; 2],
    under_way: Option<UnderWay>,
    copied: Copied,
}

/// The child's memory, of which that is wanted that was written since an epoch.
struct Memory<'a> {
    environment: &'a Environment,
    kept: &'a Kept,
}

impl Original for Memory<'_> {
    fn memory(&self) -> &ChildMemory {
        self.environment.memory()
    }

    fn copies(&self) -> &ChildMemory {
        &self.kept.memory
    }

    fn is_wanted(&self, page: u64) -> bool {
        next_written(self.environment, page..page + 1, self.kept.since) != Ok(None)
    }

    fn hide(&self, _: Place, _: &mut [u8]) {}
}

impl Mirror {
    /// For a child whose memory nothing was written to before this epoch.
    pub fn new(memories: [ChildMemory; 2], born: u64) -> Self {
        let kept = memories.map(|memory| Kept { memory, since: born });
        Self { kept, under_way: None, copied: Copied::default() }
    }

    /// The child stands, and its memory as it is now is what this side is to become: nothing of it is written any more before it
    /// is here. Nothing can go wrong from here on.
    pub fn begin(
        &mut self,
        environment: &Environment,
        keeper: FlobAt<Reference>,
        side: Side,
    ) -> Result<(), Status> {
        environment.guard(Protection::READ_EXECUTE, Some(keeper))?;
        let epoch = call::epoch_begin()?;
        self.under_way =
            Some(UnderWay { copying: Copying::new(environment.size() / PAGE_SIZE), side, epoch });
        self.copied = Copied::default();
        Ok(())
    }

    /// Copies the first page from this one on that is to be copied; the one behind it, if there was any.
    pub fn copy_next(&mut self, environment: &Environment, from: u64) -> Option<u64> {
        let UnderWay { copying, side, .. } = self.under_way.as_mut()?;
        let memory = Memory { environment, kept: &self.kept[side.0] };
        let mut pages = from..environment.size() / PAGE_SIZE;
        while let Some(page) = next_page(environment, &pages, memory.kept.since) {
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
        let under_way = self.under_way.as_mut().filter(|_| denied.is_write());
        let Some(UnderWay { copying, side, .. }) = under_way else { return };
        let memory = Memory { environment, kept: &self.kept[side.0] };
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
        if let Some(UnderWay { side, epoch, .. }) = self.under_way.take() {
            self.kept[side.0].since = epoch;
        }
        environment.guard(Protection::ALL, None)
    }

    /// Makes empty memory as this side is.
    pub fn put_back(&self, environment: &Environment, side: Side) {
        let Kept { memory, .. } = &self.kept[side.0];
        let mut bytes = vec![0; PAGE_SIZE as usize];
        for page in 0..memory.size() / PAGE_SIZE {
            if !(memory.is_page_zero(page) && environment.memory().is_page_zero(page)) {
                let place = page * PAGE_SIZE;
                let copied = memory.read(place, &mut bytes) && environment.memory().write(place, &bytes);
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

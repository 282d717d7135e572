//! The rest of a save, while the child runs on: the record of what was seen, and the copy of the memory as it was. The scribe runs
//! at the child's highest priority, so that the child cannot keep it from coming to an end; and it rests again and again, so
//! that those parts of the child that are lower have the processor too.

use alloc::vec::Vec;

use flob_abi::state::thread_flag;
use flob_checkpointer::{Bearings, Draft, Sights, pace::Pace, record::Damaged};
use flob_image::{Environment as Image, Flob, Place, State as FlobState};

use super::mirror::{Copied, Side};
use super::state::{MEMORY_TAG, Nester};

/// Flobs, and pages, after which the scribe rests.
const FLOBS: u32 = 512;
const PAGES: u32 = 128;

/// What the scribe makes a checkpoint of.
pub struct Work {
    pub draft: Draft,
    pub bearings: Bearings<'static>,
    /// What stands before the flobs.
    pub head: Image,
    /// Threads that stood only for this, ascending by place.
    pub stopped: Vec<Place>,
    /// The position of the input that the child had asked for.
    pub asked: u64,
    /// Where the memory goes.
    pub side: Side,
}

/// What has come of it.
pub struct Written {
    pub record: Result<Vec<u8>, Damaged>,
    /// Room to be used again.
    pub sights: Option<Sights>,
    pub flobs: usize,
    /// As in [`Work`].
    pub asked: u64,
    pub side: Side,
    /// Pages that the child was about to write before the record was made.
    pub beside_record: u64,
    pub copied: Copied,
}

/// The scribe's thread.
pub fn run(nester: &Nester) {
    loop {
        let mut state = nester.scribe.wait_until(nester.lock(), |state| state.work.is_some());
        let Some(work) = state.work.take() else { continue };
        drop(state);
        let written = write(nester, work);
        nester.lock().written = Some(written);
        nester.written.signal();
    }
}

fn write(nester: &Nester, work: Work) -> Written {
    let Work { draft, bearings, head, stopped, asked, side } = work;
    let (flobs, mut pace) = (draft.count(), Pace::begin(FLOBS));
    let (record, sights) = draft.record(head, (&bearings, MEMORY_TAG), |flob| {
        adapt(flob, &stopped);
        pace.keep();
    });
    let beside_record = nester.mirror.lock().copied().for_child;
    let copied = copy(nester);
    Written { record, sights, flobs, asked, side, beside_record, copied }
}

/// Copies the memory as it was, page by page: whoever wants to write one waits for no other.
fn copy(nester: &Nester) -> Copied {
    let (mut next, mut pace) = (Some(0), Pace::begin(PAGES));
    while let Some(page) = next {
        next = nester.mirror.lock().copy_next(&nester.environment, page);
        pace.keep();
    }
    let mut mirror = nester.mirror.lock();
    if let Err(status) = mirror.end(&nester.environment) {
        super::give_up::say(&alloc::format!("the child's memory stays denied: {}", status.text()));
    }
    mirror.copied()
}

/// Makes of a flob as it was seen one that is recorded: as if those that were stopped for it ran.
pub fn adapt(flob: &mut Flob, stopped: &[Place]) {
    if let FlobState::Thread(thread) = &mut flob.state
        && stopped.binary_search(&flob.place).is_ok()
    {
        thread.flags &= !thread_flag::STOPPED;
    }
}

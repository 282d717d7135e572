//! The last two good checkpoints. One that was taken between what kills the child and its death kills it again: so a child that dies twice
//! without having come to another checkpoint is rolled back to the one before.

use alloc::{sync::Arc, vec::Vec};

use super::mirror::Side;

/// A good checkpoint, but for its memory, which is in the mirror.
pub struct Checkpoint {
    pub number: u64,
    pub record: Vec<u8>,
    /// Where in the mirror its memory is.
    pub side: Side,
    /// The position of the input that the child had asked for.
    pub asked: u64,
}

/// The last good checkpoint and the one before.
#[derive(Default)]
pub struct Generations {
    last: Option<Arc<Checkpoint>>,
    before: Option<Arc<Checkpoint>>,
    /// The child was rolled back to the last one, and none has been taken since.
    is_tried: bool,
    /// How many there have been.
    taken: u64,
}

impl Generations {
    /// Where the next one's memory belongs; the one before the last is given up.
    pub fn make_room(&mut self) -> Side {
        self.before = None;
        self.last.as_ref().map_or(Side::default(), |last| last.side.other())
    }

    /// Another one was taken: its number.
    pub fn push(&mut self, record: Vec<u8>, side: Side, asked: u64) -> u64 {
        self.taken += 1;
        let checkpoint = Checkpoint { number: self.taken, record, side, asked };
        self.before = self.last.replace(Arc::new(checkpoint));
        self.is_tried = false;
        self.taken
    }

    /// The position of the input before which nothing is asked for again.
    pub fn asked(&self) -> u64 {
        self.before.as_ref().or(self.last.as_ref()).map_or(0, |oldest| oldest.asked)
    }

    /// The child has died: what it is rolled back to, if there is anything.
    pub fn choose(&mut self) -> Option<Arc<Checkpoint>> {
        if core::mem::replace(&mut self.is_tried, true) && self.before.is_some() {
            self.last = self.before.take();
        }
        self.last.clone()
    }
}

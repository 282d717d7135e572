//! The Breakpoints tab's state: those of every client, with what their places are called.

use flob_image::Place;
use flob_session::{Point, Spot};

use super::sieve::Sifted;

/// The tab.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// All, in the order of their numbers, each with what its place is called.
    pub all: Vec<(Point, String)>,
    /// Selection among them.
    pub list: Sifted,
}

impl Points {
    /// The selected one.
    pub fn selected(&self) -> Option<&Point> {
        self.all.get(self.list.chosen()?).map(|(point, _)| point)
    }

    /// The memory that the selected one is at.
    pub fn address(&self) -> Option<(Place, u64)> {
        match &self.selected()?.spot {
            Spot::Code { space, address } => Some((*space, *address)),
            Spot::Memory(watch) => Some((watch.space, watch.address)),
            Spot::Calls { .. } => None,
        }
    }
}

//! The pages of a checkpoint that was restored lazily, on their way into the guest: those that the program waits for or somebody
//! asks about at once, the others by and by. The books here say what has arrived; what is missing the guest alone decides,
//! so a page that is sent twice does no harm.
//!
//! Each page is checked when it is read. If one is damaged nothing takes its place: the program is held, and everybody hears why.

mod asking;
mod course;
mod sending;

use std::sync::{
    Condvar, Mutex, PoisonError,
    mpsc::{self, Sender},
};

use flob_abi::PAGE_SIZE;
use flob_image::store::{Checkpoint, Kept};
use flob_link::{Failure, Request, Run, host::LinkError, pack::pack};

use super::{lock, runs};
use crate::{Error, Fetching};

pub(super) use course::checkpoint_of;

/// What is being supplied.
pub(super) struct Supply {
    checkpoint: Mutex<Checkpoint>,
    /// Its pages that are not zero, ascending.
    used: Vec<u64>,
    /// What it needs is not freed meanwhile.
    _kept: Kept,
    /// The guest's number of the environment.
    environment: u32,
    standing: Mutex<Standing>,
    changed: Condvar,
    wanted: Mutex<Sender<u64>>,
}

/// How far it is.
struct Standing {
    /// Its environment is in place.
    is_begun: bool,
    /// Of each page, whether it has arrived.
    there: Vec<bool>,
    /// Pages that are not zero and have arrived.
    done: u64,
    total: u64,
    end: Option<End>,
}

/// Why nothing more is supplied.
#[derive(Clone, Debug)]
enum End {
    /// Everything has arrived.
    Whole,
    /// The environment is gone.
    Gone,
    /// This page cannot be had.
    Lost { page: u64, failure: Failure },
}

/// Why some pages were not supplied.
enum Trouble {
    Link(LinkError),
    Store(u64, Error),
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Supply {
    fn new(checkpoint: Checkpoint, environment: u32, wanted: Sender<u64>) -> Result<Self, Error> {
        let pages = usize::try_from(checkpoint.environment().size / PAGE_SIZE).unwrap_or(0);
        let used: Vec<u64> = checkpoint.pages().map(|(page, _)| page).collect();
        let total = used.len() as u64;
        let standing = Standing { is_begun: false, there: vec![false; pages], done: 0, total, end: None };
        Ok(Self {
            used,
            _kept: checkpoint.keep()?,
            checkpoint: Mutex::new(checkpoint),
            environment,
            standing: Mutex::new(standing),
            changed: Condvar::new(),
            wanted: Mutex::new(wanted),
        })
    }

    /// The checkpoint whose pages these are.
    pub fn checkpoint(&self) -> Checkpoint {
        lock(&self.checkpoint).clone()
    }

    /// How far it is, while it is under way.
    fn fetching(&self) -> Option<Fetching> {
        let standing = lock(&self.standing);
        let is_over = matches!(standing.end, Some(End::Whole | End::Gone));
        (!is_over).then_some(Fetching { done: standing.done, total: standing.total })
    }

    /// The program waits for a page.
    pub fn want(&self, page: u64) {
        // Nobody listens any more once it is over.
        let _ = lock(&self.wanted).send(page);
    }

    /// Why the program cannot have all its pages, if it cannot.
    fn loss(&self) -> Option<(u64, Failure)> {
        match &lock(&self.standing).end {
            Some(End::Lost { page, failure }) => Some((*page, failure.clone())),
            _ => None,
        }
    }

    fn is_there(&self, page: u64) -> bool {
        let at = usize::try_from(page).unwrap_or(usize::MAX);
        lock(&self.standing).there.get(at).copied().unwrap_or(true)
    }

    /// Those of the pages that have not arrived.
    fn absent(&self, pages: impl Iterator<Item = u64>) -> Vec<u64> {
        pages.filter(|page| !self.is_there(*page)).collect()
    }

    fn has_arrived(&self, pages: &[u64], are_zero: bool) {
        let mut standing = lock(&self.standing);
        for page in pages {
            let at = usize::try_from(*page).unwrap_or(usize::MAX);
            if let Some(there) = standing.there.get_mut(at).filter(|there| !**there) {
                *there = true;
                standing.done += u64::from(!are_zero);
            }
        }
        drop(standing);
        self.changed.notify_all();
    }

    fn end(&self, end: Option<End>) {
        lock(&self.standing).end = end;
        self.changed.notify_all();
    }

    /// Its environment is in place: what is missing of it may be sent.
    fn begin(&self) {
        lock(&self.standing).is_begun = true;
        self.changed.notify_all();
    }

    /// Waits until its environment is in place; whether it ever is.
    fn wait_for_beginning(&self) -> bool {
        let waits = |standing: &mut Standing| !standing.is_begun && standing.end.is_none();
        let standing = self.changed.wait_while(lock(&self.standing), waits);
        standing.unwrap_or_else(PoisonError::into_inner).is_begun
    }

    /// Its environment is gone, or never was in place.
    pub fn stop(&self) {
        self.end(Some(End::Gone));
        self.want_no_more();
    }

    /// The one who waits for wishes finds that nobody has any.
    fn want_no_more(&self) {
        *lock(&self.wanted) = mpsc::channel().0;
    }

    /// Used pages among these runs, and the others.
    fn sort(&self, pages: impl Iterator<Item = u64>) -> (Vec<u64>, Vec<u64>) {
        pages.partition(|page| self.used.binary_search(page).is_ok())
    }

    /// The request that brings these pages, which are not zero.
    fn request(&self, runs: Vec<Run>, is_lossless: bool) -> Result<Request, Trouble> {
        let checkpoint = self.checkpoint();
        let mut bulk = Vec::new();
        for page in runs::numbers(&runs) {
            let bytes = checkpoint.page(page).map_err(|error| Trouble::Store(page, error.into()))?;
            bulk.extend_from_slice(bytes.as_slice());
        }
        let environment = self.environment;
        Ok(if is_lossless {
            Request::Supply { environment, runs, bulk }
        } else {
            Request::SupplyPacked { environment, runs, packed: pack(&bulk) }
        })
    }
}

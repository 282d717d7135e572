//! The pages of a checkpoint that was restored lazily, on their way into the guest: those that the program waits for or somebody
//! asks about at once, the others by and by. The books here say what has arrived; what is missing the guest alone decides,
//! so a page that is sent twice does no harm.
//!
//! Each page is checked when it is read. If one is damaged nothing takes its place: the program is held, and everybody hears why.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::AtomicBool,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use flob_abi::PAGE_SIZE;
use flob_image::store::{Checkpoint, Kept};
use flob_link::{
    Capacity, Failure, FailureKind, MAX_ZERO_PAGES, Reply, Request, Run, Scope, host::LinkError, pack::pack,
};

use super::{Ending, Hub, lock, memory, requests::ProgressTo, runs, save::stop_if};
use crate::{Error, Fetching, HubEvent, Owner};

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
        let standing = Standing { there: vec![false; pages], done: 0, total, end: None };
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

impl Hub {
    /// Begins to supply what is missing of an environment that has just been restored.
    pub(super) fn begin_supply(&self, checkpoint: Checkpoint, environment: u32) -> Result<(), Error> {
        let (sender, wanted) = mpsc::channel();
        let supply = Arc::new(Supply::new(checkpoint, environment, sender)?);
        self.end_supply();
        *lock(&self.supply) = Some(Arc::clone(&supply));
        let io = |error| Error::io("starting to supply pages", error);
        let Some(hub) = self.me.upgrade() else { return Ok(()) };
        let (one, same) = (Arc::clone(&hub), Arc::clone(&supply));
        thread::Builder::new()
            .name("pages wanted".into())
            .spawn(move || one.supply_wanted(&same, &wanted))
            .map_err(io)?;
        thread::Builder::new()
            .name("pages".into())
            .spawn(move || hub.supply_all(&supply))
            .map(drop)
            .map_err(io)
    }

    /// What was being supplied is of an environment that is gone.
    pub(super) fn end_supply(&self) {
        if let Some(supply) = lock(&self.supply).take() {
            supply.end(Some(End::Gone));
            // The one who waits for wishes finds that nobody has any.
            *lock(&supply.wanted) = mpsc::channel().0;
        }
    }

    /// How far it is, while it is under way, and why it cannot come to its end.
    pub(super) fn fetching(&self) -> (Option<Fetching>, Option<String>) {
        let Some(supply) = lock(&self.supply).clone() else { return (None, None) };
        (supply.fetching(), supply.loss().map(|(_, failure)| failure.text))
    }

    /// Waits until nothing is missing any more.
    pub(super) fn await_pages(
        &self,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<(), Failure> {
        let Some(supply) = lock(&self.supply).clone() else { return Ok(()) };
        let mut standing = lock(&supply.standing);
        loop {
            match &standing.end {
                Some(End::Lost { failure, .. }) => return Err(failure.clone()),
                Some(End::Whole | End::Gone) => return Ok(()),
                None => {}
            }
            stop_if(cancelled)?;
            progress("pages", standing.done, standing.total);
            standing = supply.changed.wait(standing).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Something was cancelled: who waits for pages looks whether it was he.
    pub(super) fn wake_those_who_await_pages(&self) {
        if let Some(supply) = &*lock(&self.supply) {
            let _standing = lock(&supply.standing);
            supply.changed.notify_all();
        }
    }

    /// Asks the guest something for which pages may be missing: these are brought first.
    pub(super) fn ask(&self, request: Request) -> Result<Reply, LinkError> {
        /// What is missing arrives or is gone long before.
        const MOST: u32 = 1000;
        for _ in 0..MOST {
            match self.link.request(request.clone())? {
                Reply::Missing(runs) => self.bring(&runs)?,
                reply => return Ok(reply),
            }
        }
        let text = "pages that this needs do not arrive in the guest".into();
        Err(LinkError::Refused(Failure { kind: FailureKind::State, text }))
    }

    /// Brings these pages. If they are of an environment that is gone by now, there is nothing to bring.
    fn bring(&self, runs: &[Run]) -> Result<(), LinkError> {
        let Some(supply) = lock(&self.supply).clone() else { return Ok(()) };
        match self.send_pages(&supply, runs::numbers(runs)) {
            Err(Trouble::Store(page, error)) => {
                let failure = self.lost(&supply, page, error);
                Err(LinkError::Refused(failure))
            }
            Ok(()) | Err(Trouble::Link(LinkError::Refused(_))) => Ok(()),
            Err(Trouble::Link(error)) => Err(error),
        }
    }

    /// Sends pages, one message after the other.
    fn send_pages(&self, supply: &Supply, pages: impl Iterator<Item = u64>) -> Result<(), Trouble> {
        let Capacity { is_lossless, to_guest, .. } = self.capacity();
        let (used, zero) = supply.sort(pages);
        for runs in runs::named(&zero, MAX_ZERO_PAGES) {
            let pages: Vec<u64> = runs::numbers(&runs).collect();
            self.link.request(Request::SupplyZero { environment: supply.environment, runs })?;
            supply.has_arrived(&pages, true);
        }
        for runs in runs::batches(&used, to_guest) {
            let pages: Vec<u64> = runs::numbers(&runs).collect();
            self.link.request(supply.request(runs, is_lossless)?)?;
            supply.has_arrived(&pages, false);
        }
        Ok(())
    }

    /// The thread that brings what the program waits for, and what lies behind it as far as one message carries.
    fn supply_wanted(&self, supply: &Supply, wanted: &Receiver<u64>) {
        let ahead = u64::from(self.capacity().to_guest.max(1));
        for page in wanted {
            let pages = supply.absent(page..page.saturating_add(ahead));
            if pages.first() != Some(&page) {
                continue;
            }
            match self.send_pages(supply, pages.into_iter()) {
                Err(Trouble::Store(page, error)) => drop(self.lost(supply, page, error)),
                // The guest asks for what it misses; when nothing goes through it cannot ask, either.
                Err(Trouble::Link(LinkError::Silent)) => supply.want(page),
                Ok(()) | Err(Trouble::Link(_)) => {}
            }
        }
    }

    /// The thread that brings everything, zeroes first: they cost hardly anything.
    fn supply_all(&self, supply: &Arc<Supply>) {
        loop {
            match self.pour(supply) {
                Ok(()) => supply.end(Some(End::Whole)),
                Err(Trouble::Link(LinkError::Silent)) => continue,
                Err(Trouble::Link(_)) => supply.end(Some(End::Gone)),
                Err(Trouble::Store(page, error)) => drop(self.lost(supply, page, error)),
            }
            let lost = |standing: &mut Standing| matches!(standing.end, Some(End::Lost { .. }));
            let standing = supply.changed.wait_while(lock(&supply.standing), lost);
            if standing.unwrap_or_else(PoisonError::into_inner).end.is_some() {
                break;
            }
        }
        let mut present = lock(&self.supply);
        if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, supply)) {
            *present = None;
        }
        drop(present);
        *lock(&supply.wanted) = mpsc::channel().0;
    }

    fn pour(&self, supply: &Supply) -> Result<(), Trouble> {
        let count = lock(&supply.standing).there.len() as u64;
        let (used, zero) = supply.sort(supply.absent(0..count).into_iter());
        let environment = supply.environment;
        let zeroes = runs::named(&zero, MAX_ZERO_PAGES);
        let requests = zeroes.iter().map(|runs| Request::SupplyZero { environment, runs: runs.clone() });
        self.pour_each(supply, &zeroes, requests.map(Ok), true)?;
        let Capacity { is_lossless, to_guest, .. } = self.capacity();
        let batches = runs::batches(&used, to_guest);
        let requests = batches.iter().map(|runs| supply.request(runs.clone(), is_lossless));
        self.pour_each(supply, &batches, requests, false)
    }

    fn pour_each(
        &self,
        supply: &Supply,
        batches: &[Vec<Run>],
        requests: impl Iterator<Item = Result<Request, Trouble>>,
        are_zero: bool,
    ) -> Result<(), Trouble> {
        let mut trouble = None;
        let requests = requests.map_while(|request| request.map_err(|error| trouble = Some(error)).ok());
        self.link.pipeline((0..).zip(requests), |index, reply| {
            memory::done(reply).map_err(LinkError::Refused)?;
            let runs = usize::try_from(index).ok().and_then(|index| batches.get(index));
            let pages: Vec<u64> = runs::numbers(runs.map_or(&[][..], Vec::as_slice)).collect();
            supply.has_arrived(&pages, are_zero);
            Ok::<(), Trouble>(())
        })?;
        trouble.map_or(Ok(()), Err)
    }

    /// A page cannot be had: the program is held, for good unless the store is mended. Why, for all who ask.
    fn lost(&self, supply: &Supply, page: u64, error: Error) -> Failure {
        let text = format!("the program is held, for a page of its checkpoint is missing: {error}");
        let failure = Failure { text: text.clone(), ..Failure::from(error) };
        {
            let mut standing = lock(&supply.standing);
            if matches!(standing.end, Some(End::Lost { .. } | End::Gone)) {
                return failure;
            }
            standing.end = Some(End::Lost { page, failure: failure.clone() });
        }
        supply.changed.notify_all();
        if let Some(hub) = self.me.upgrade() {
            let ending = Ending::PagesLost(Error::from(failure.clone()));
            // Whoever found it may be at the books, and holding needs them.
            let hold = move || {
                // Where the guest does not answer nothing runs, either.
                let _ = hub.hold(&Owner::User, Scope::Environment, None);
                hub.tell(HubEvent::PagesLost(text));
                hub.end(ending);
            };
            // Without a thread it stands still all the same, as soon as it needs the page.
            let _ = thread::Builder::new().name("pages lost".into()).spawn(hold);
        }
        failure
    }

    /// Somebody wants the program to run: a page that could not be had must be there by now.
    pub(super) fn mend_supply(&self) -> Result<(), Failure> {
        let Some(supply) = lock(&self.supply).clone() else { return Ok(()) };
        let Some((page, failure)) = supply.loss() else { return Ok(()) };
        // What was read before may be remembered.
        let again = self.store.load(&supply.checkpoint().id()).and_then(|checkpoint| {
            checkpoint.page(page)?;
            Ok(checkpoint)
        });
        let Ok(checkpoint) = again else { return Err(failure) };
        *lock(&supply.checkpoint) = checkpoint;
        supply.end(None);
        Ok(())
    }

    /// The program waits for a page of the environment of this number.
    pub(super) fn page_wanted(&self, environment: u32, page: u64) {
        if let Some(supply) = lock(&self.supply).as_ref().filter(|supply| supply.environment == environment) {
            supply.want(page);
        }
    }
}

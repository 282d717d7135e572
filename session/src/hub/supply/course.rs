//! From the restore until everything is there: when pages are supplied, how far that is, and what if some cannot be had.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::AtomicBool,
        mpsc::{self, Receiver},
    },
    thread,
};

use flob_image::store::Checkpoint;
use flob_link::{Failure, FailureKind, Progress, Scope};

use super::{End, Supply, asking::nobody_brings_them};
use crate::{
    Error, Fetching, HubEvent, Owner,
    hub::{Ending, Hub, lock, requests::ProgressTo, save::stop_if},
};

/// What a thread does once the supply has begun.
type Work = Box<dyn FnOnce(&Hub, &Arc<Supply>) + Send>;

/// Where pages that are missing in the guest can be had.
pub(in crate::hub) fn checkpoint_of(supply: Option<&Supply>) -> Result<Checkpoint, Failure> {
    supply.map(Supply::checkpoint).ok_or_else(nobody_brings_them)
}

impl Hub {
    /// Makes everything ready to supply what is missing of an environment, once it is in place under this number.
    pub(in crate::hub) fn prepare_supply(
        &self,
        checkpoint: Checkpoint,
        environment: u32,
    ) -> Result<Arc<Supply>, Error> {
        let (sender, wanted) = mpsc::channel();
        let supply = Arc::new(Supply::new(checkpoint, environment, sender)?);
        if let Err(error) = self.start_suppliers(&supply, wanted) {
            supply.stop();
            return Err(Error::io("starting to supply pages", error));
        }
        Ok(supply)
    }

    /// Two threads, which wait for its beginning.
    fn start_suppliers(&self, supply: &Arc<Supply>, wanted: Receiver<u64>) -> std::io::Result<()> {
        let start = |name: &str, supply: Arc<Supply>, work: Work| {
            // Before it has begun nothing keeps the hub.
            let hub = self.me.clone();
            let work = move || {
                if supply.wait_for_beginning()
                    && let Some(hub) = hub.upgrade()
                {
                    work(&hub, &supply);
                }
            };
            thread::Builder::new().name(name.into()).spawn(work).map(drop)
        };
        start(
            "pages wanted",
            Arc::clone(supply),
            Box::new(move |hub, supply| hub.supply_wanted(supply, &wanted)),
        )?;
        start("pages", Arc::clone(supply), Box::new(|hub, supply| hub.supply_all(supply)))
    }

    /// What is missing of the environment comes from here from now on, or from nowhere. What was supplied is of one that is gone.
    pub(in crate::hub) fn supply_from(&self, supply: Option<Arc<Supply>>) {
        let mut present = lock(&self.supply);
        if let Some(before) = present.take() {
            before.stop();
        }
        if let Some(supply) = &supply {
            supply.begin();
        }
        *present = supply;
    }

    /// How far it is, while it is under way, and why it cannot come to its end.
    pub(in crate::hub) fn fetching(&self) -> (Option<Fetching>, Option<String>) {
        let Some(supply) = lock(&self.supply).clone() else { return (None, None) };
        (supply.fetching(), supply.loss().map(|(_, failure)| failure.text))
    }

    /// Waits until nothing is missing any more.
    pub(in crate::hub) fn await_pages(
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
    pub(in crate::hub) fn wake_those_who_await_pages(&self) {
        if let Some(supply) = &*lock(&self.supply) {
            let _standing = lock(&supply.standing);
            supply.changed.notify_all();
        }
    }

    /// A page cannot be had: the program is held, for good unless the store is mended. Why, for all who ask.
    pub(super) fn lost(&self, supply: &Supply, page: u64, error: Error) -> Failure {
        let text = format!("the program is held, for a page of its checkpoint is missing: {error}");
        let failure = Failure { text, ..Failure::from(error) };
        {
            let mut standing = lock(&supply.standing);
            if matches!(standing.end, Some(End::Lost { .. } | End::Gone)) {
                return failure;
            }
            standing.end = Some(End::Lost { page, failure: failure.clone() });
        }
        supply.changed.notify_all();
        self.hold_for_lack(failure.clone());
        failure
    }

    fn hold_for_lack(&self, failure: Failure) {
        let Some(hub) = self.me.upgrade() else { return };
        // Whoever found it may be at the books, and holding needs them.
        let hold = move || {
            // Where the guest does not answer nothing runs, either.
            let _ = hub.hold(&Owner::User, Scope::Environment, None);
            hub.tell(HubEvent::PagesLost(failure.text.clone()));
            hub.end(Ending::PagesLost(Error::from(failure)));
        };
        // Without a thread it stands still all the same, as soon as it needs the page.
        let _ = thread::Builder::new().name("pages lost".into()).spawn(hold);
    }

    /// Somebody wants the program to run: a page that could not be had must be there by now.
    pub(in crate::hub) fn mend_supply(&self) -> Result<(), Failure> {
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
    pub(in crate::hub) fn page_wanted(&self, environment: u32, page: u64) {
        if let Some(supply) = lock(&self.supply).as_ref().filter(|supply| supply.environment == environment) {
            supply.want(page);
        }
    }

    /// If pages are missing of an environment that nobody here has restored, they come from nowhere: the program is held, and everybody
    /// hears why. Whoever lets it go has it stand still where it needs one.
    pub(in crate::hub) fn look_whether_supplied(&self, progress: &Progress) {
        if progress.missing == 0 {
            return;
        }
        let mut books = lock(&self.books);
        let is_present = *books.environment.get_or_insert(progress.environment) == progress.environment;
        if !is_present || books.is_unannounced || books.is_supplied || books.unsupplied.is_some() {
            return;
        }
        let text = format!(
            "the program is held, for {} pages of its memory are missing: it was restored lazily by a session that is gone, and nobody \
             knows here from which checkpoint. 'flob checkpoint restore ID' of that one, or of another, puts a whole one in its place",
            progress.missing
        );
        books.unsupplied = Some(text.clone());
        drop(books);
        self.hold_for_lack(Failure { kind: FailureKind::State, text });
    }
}

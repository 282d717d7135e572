//! How pages get into the guest: what somebody waits for or asks about, and everything else.

use std::sync::{Arc, PoisonError, mpsc::Receiver};

use flob_link::{Capacity, MAX_ZERO_PAGES, Request, Run, host::LinkError};

use super::{End, Standing, Supply, Trouble};
use crate::hub::{Hub, lock, memory, runs};

/// Most pages that come at once where the program waits for the first: they travel one after the other.
const AHEAD: u32 = 16;

impl Hub {
    /// Sends pages, one message after the other.
    pub(super) fn send_pages(
        &self,
        supply: &Supply,
        pages: impl Iterator<Item = u64>,
    ) -> Result<(), Trouble> {
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

    /// The thread that brings what the program waits for, and a little of what lies behind it.
    pub(super) fn supply_wanted(&self, supply: &Supply, wanted: &Receiver<u64>) {
        let ahead = u64::from(self.capacity().to_guest.clamp(1, AHEAD));
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
    pub(super) fn supply_all(&self, supply: &Arc<Supply>) {
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
        supply.want_no_more();
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
}

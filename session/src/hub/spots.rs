//! What an owner wants threads to stop at: breakpoints, watched memory, caught calls. Entered in the books, and asked of the guest.

use flob_image::Place;
use flob_link::{Failure, Request, StopReason, Watch};

use super::{Books, Hub, lock, memory, points::watches};
use crate::{Owner, Spot};

impl Hub {
    /// A breakpoint of this owner.
    pub(super) fn set_breakpoint(
        &self,
        owner: &Owner,
        location: (Place, u64),
        connection: u64,
    ) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        let (space, address) = location;
        books.register(owner, Some(connection));
        let id = books.points.add(owner, Spot::Code { space, address }, None);
        let done = self.settle_code(&mut books, location);
        if done.is_err() {
            books.points.remove(id);
        }
        done
    }

    /// Takes a breakpoint of this owner out.
    pub(super) fn clear_breakpoint(&self, owner: &Owner, location: (Place, u64)) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        self.clear_with(&mut books, owner, location)
    }

    pub(super) fn clear_with(
        &self,
        books: &mut Books,
        owner: &Owner,
        location: (Place, u64),
    ) -> Result<(), Failure> {
        let (space, address) = location;
        books.points.forget(owner, &Spot::Code { space, address });
        self.settle_code(books, location)
    }

    /// Memory that this owner watches.
    pub(super) fn set_watch(&self, owner: &Owner, watch: Watch, connection: u64) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        self.set_watch_with(&mut books, owner, watch)?;
        books.register(owner, Some(connection));
        books.points.add(owner, Spot::Memory(watch), None);
        Ok(())
    }

    pub(super) fn set_watch_with(
        &self,
        books: &mut Books,
        owner: &Owner,
        watch: Watch,
    ) -> Result<(), Failure> {
        memory::done(self.link.request(Request::SetWatch(watch))?)?;
        books.watches.add(watch, owner);
        Ok(())
    }

    /// This owner does not watch it any more.
    pub(super) fn clear_watch(&self, owner: &Owner, watch: Watch) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        books.points.forget(owner, &Spot::Memory(watch));
        self.clear_watch_with(&mut books, owner, watch)
    }

    pub(super) fn clear_watch_with(
        &self,
        books: &mut Books,
        owner: &Owner,
        watch: Watch,
    ) -> Result<(), Failure> {
        if books.watches.remove(watch, owner) {
            memory::done(self.link.request(Request::ClearWatch(watch))?)?;
        }
        Ok(())
    }

    /// Kernel calls of a space that this owner is to be told of.
    pub(super) fn catch_calls(
        &self,
        owner: &Owner,
        space: Place,
        calls: &[u64],
        connection: u64,
    ) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        books.register(owner, Some(connection));
        self.catch_with(&mut books, owner, space, calls)?;
        let spot = Spot::Calls { space, calls: calls.to_vec() };
        if calls.is_empty() {
            books.points.forget(owner, &spot);
        } else {
            books.points.add(owner, spot, None);
        }
        Ok(())
    }

    pub(super) fn catch_with(
        &self,
        books: &mut Books,
        owner: &Owner,
        space: Place,
        calls: &[u64],
    ) -> Result<(), Failure> {
        books.catches.set(space, owner, calls);
        let request = Request::CatchCalls { space, calls: books.catches.calls(space) };
        let done = self.link.request(request).map_err(Failure::from).and_then(memory::done);
        if done.is_err() {
            books.catches.set(space, owner, &[]);
        }
        done
    }
}

impl Books {
    /// Who waits for such a stop.
    pub(super) fn interested(&self, space: Place, reason: &StopReason) -> Vec<Owner> {
        match reason {
            StopReason::Watched(hits) => self.watches.interested(space, hits),
            StopReason::Call(call) => self.catches.interested(space, *call),
            _ => Vec::new(),
        }
    }

    /// Counts such a stop of these owners.
    pub(super) fn count_hit(&mut self, owners: &[Owner], space: Place, reason: &StopReason) {
        self.points.count(owners, |spot| match (reason, spot) {
            (StopReason::Watched(hits), spot) => hits.iter().any(|hit| watches(spot, space, *hit)),
            (StopReason::Call(_), Spot::Calls { space: of, .. }) => *of == space,
            _ => false,
        });
    }
}

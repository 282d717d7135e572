//! Holding, letting go, stepping: the books are changed together with the guest, one change at a time.

use flob_image::Place;
use flob_link::{Failure, FailureKind, Reply, Request, Scope, Tracing, host::LinkError};

use super::{
    Books, Hub,
    holds::{Member, contains, members},
    lock, memory,
};
use crate::{Owner, Spot, owner_names};

/// Threads that changed, and who (else) still holds something in the scope.
pub(super) type Held = (u32, Vec<Owner>);

impl Hub {
    /// Holds threads back.
    pub(super) fn hold(&self, owner: &Owner, scope: Scope, connection: Option<u64>) -> Result<Held, Failure> {
        let mut books = lock(&self.books);
        let threads = self.count(Request::Stop(scope))?;
        let members = self.members_for(&mut books, Some(owner), scope)?;
        books.register(owner, connection);
        books.until_stop.retain(|(other, _)| other != owner);
        books.holds.add(owner, scope, &members);
        let holders = books.holds.holders_in(scope, &members);
        drop(books);
        self.changed();
        Ok((threads, holders))
    }

    /// Lets go what the owner (with `force`: whoever) holds in the scope.
    pub(super) fn release(&self, owner: &Owner, scope: Scope, force: bool) -> Result<Held, Failure> {
        self.mend_supply()?;
        let mut books = lock(&self.books);
        if !matches!(scope, Scope::Thread(_)) {
            books.until_stop.retain(|(other, _)| other != owner);
        }
        let held = self.release_with(&mut books, (!force).then_some(owner), scope);
        drop(books);
        self.changed();
        held
    }

    /// Lets a space go until a thread of it stops.
    pub(super) fn go_on(&self, owner: &Owner, space: Place, connection: u64) -> Result<Held, Failure> {
        self.mend_supply()?;
        self.and_look_after(|| self.let_space_go(owner, space, connection))
    }

    fn let_space_go(&self, owner: &Owner, space: Place, connection: u64) -> Result<Held, Failure> {
        let mut books = lock(&self.books);
        let go = Request::Continue { space, unseen: books.unseen };
        let held = self.release_by(&mut books, Some(owner), Scope::Space(space), go);
        if held.is_ok() {
            books.register(owner, Some(connection));
            books.until_stop.retain(|waits| *waits != (owner.clone(), space));
            books.until_stop.push((owner.clone(), space));
        }
        drop(books);
        self.changed();
        held
    }

    /// A thread of this space has stopped, and the whole space with it, or not: who has let it go until then holds all of it.
    /// Whatever is asked of the guest from now on comes behind its being stopped.
    pub(super) fn stop_together(&self, books: &mut Books, space: Place, whole: bool) {
        let members = books.seen.clone();
        let owners: Vec<_> = books.until_stop.extract_if(.., |(_, waits)| *waits == space).collect();
        for (owner, _) in &owners {
            books.holds.add(owner, Scope::Space(space), &members);
        }
        match (owners.is_empty(), whole) {
            (false, false) => self.tell_guest(Request::Stop(Scope::Space(space))),
            (true, true) => self.let_unheld_go(books, Scope::Space(space)),
            _ => {}
        }
    }

    /// The guest has stopped all of a scope for nobody: those threads of it that nobody holds go on.
    pub(super) fn let_unheld_go(&self, books: &Books, scope: Scope) {
        if books.holds.holders_in(scope, &books.seen).is_empty() {
            return self.tell_guest(books.resume(scope));
        }
        let unheld = books.seen.iter().filter(|member| contains(scope, **member));
        for member in unheld.filter(|member| books.holds.holders(**member).is_empty()) {
            self.tell_guest(books.resume(Scope::Thread(member.thread)));
        }
    }

    /// Somebody was told that the guest does not answer, and it may have held or let go all the same: it holds now whom the books say.
    pub(super) fn hold_by_the_books(&self) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        // What it has not done by now it never will.
        books.arriving = None;
        self.count(Request::Stop(Scope::Environment))?;
        books.seen = members(&self.look_uncached(false)?);
        self.let_unheld_go(&books, Scope::Environment);
        Ok(())
    }

    fn release_with(&self, books: &mut Books, owner: Option<&Owner>, scope: Scope) -> Result<Held, Failure> {
        let go = books.resume(scope);
        self.release_by(books, owner, scope, go)
    }

    /// The same, by this request if nobody else holds anything there.
    fn release_by(
        &self,
        books: &mut Books,
        owner: Option<&Owner>,
        scope: Scope,
        go: Request,
    ) -> Result<Held, Failure> {
        let members = self.members_for(books, owner, scope)?;
        books.holds.remove(owner, scope, &members);
        let inside: Vec<Member> = members.iter().copied().filter(|member| contains(scope, *member)).collect();
        let holders = books.holds.holders_in(scope, &members);
        let free: Vec<Member> =
            inside.iter().copied().filter(|member| books.holds.holders(*member).is_empty()).collect();
        let threads = if holders.is_empty() {
            self.count(go)?
        } else {
            let mut threads = 0;
            for member in free {
                threads += self.count(books.resume(Scope::Thread(member.thread)))?;
            }
            threads
        };
        Ok((threads, holders))
    }

    /// One instruction of one thread that nobody else holds, or more as long as it is between these addresses.
    pub(super) fn step(
        &self,
        owner: &Owner,
        thread: Place,
        within: Option<(u64, u64)>,
        connection: u64,
    ) -> Result<(), Failure> {
        self.and_look_after(|| self.let_thread_step(owner, thread, within, connection))
    }

    fn let_thread_step(
        &self,
        owner: &Owner,
        thread: Place,
        within: Option<(u64, u64)>,
        connection: u64,
    ) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        let members = self.members_for(&mut books, Some(owner), Scope::Thread(thread))?;
        let Some(member) = members.iter().copied().find(|member| member.thread == thread) else {
            return Err(Failure {
                kind: FailureKind::NotFound,
                text: format!("there is no thread at {thread:#x}"),
            });
        };
        let others: Vec<Owner> =
            books.holds.holders(member).into_iter().filter(|holder| holder != owner).collect();
        if !others.is_empty() {
            let text = format!(
                "the thread is also held by {}: 'flob resume --force' lets it go",
                owner_names(&others)
            );
            return Err(Failure { kind: FailureKind::State, text });
        }
        lock(&self.cache).clear();
        memory::done(self.link.request(Request::Step { thread, unseen: books.unseen, within })?)?;
        books.register(owner, Some(connection));
        books.holds.add(owner, Scope::Thread(thread), &members);
        Ok(())
    }

    /// A connection has ended: so do the holds and breakpoints of the owners that came by it.
    pub(super) fn clean_up_after(&self, connection: u64) {
        let mut books = lock(&self.books);
        let owners = books.unregister(connection);
        books.until_stop.retain(|(owner, _)| !owners.contains(owner));
        for owner in &owners {
            // The guest may be gone or the space with it; then so is the breakpoint.
            for point in books.points.of(owner) {
                let _ = match point.spot {
                    Spot::Code { space, address } => self.clear_with(&mut books, owner, (space, address)),
                    Spot::Memory(watch) => self.clear_watch_with(&mut books, owner, watch),
                    Spot::Calls { space, .. } => self.catch_with(&mut books, owner, space, &[]),
                };
                books.points.remove(point.id);
            }
            let _ = self.trace_with(&mut books, owner, Tracing::default());
            for scope in books.holds.scopes_of(owner) {
                let _ = self.release_with(&mut books, Some(owner), scope);
            }
        }
        drop(books);
        if !owners.is_empty() {
            self.changed();
        }
    }

    fn count(&self, request: Request) -> Result<u32, Failure> {
        match self.link.request(request)? {
            Reply::Threads(count) => Ok(count),
            Reply::Done => Ok(0),
            other => Err(LinkError::unexpected(&other).into()),
        }
    }

    /// The threads that a change of holds in this scope is about, at least. A look takes time, and a debugger changes its
    /// holds with every step: where nobody else holds anything, the threads that were seen before will do.
    fn members_for(
        &self,
        books: &mut Books,
        owner: Option<&Owner>,
        scope: Scope,
    ) -> Result<Vec<Member>, Failure> {
        if !owner.is_some_and(|owner| books.knows_enough(owner, scope)) {
            books.seen = members(&self.look_uncached(false)?);
        }
        Ok(books.seen.clone())
    }
}

impl Books {
    /// Whether the threads seen so far decide about this scope. Threads that were made since matter where somebody else
    /// may hold them, or where a wider hold is to be left without them.
    fn knows_enough(&self, owner: &Owner, scope: Scope) -> bool {
        let is_alone = self.holds.all_holders().iter().all(|holder| holder == owner);
        is_alone
            && match scope {
                Scope::Environment => true,
                Scope::Space(_) => !self.holds.scopes_of(owner).contains(&Scope::Environment),
                Scope::Thread(thread) => self.seen.iter().any(|member| member.thread == thread),
            }
    }

    /// What lets go those whose stops are known here.
    pub(super) const fn resume(&self, scope: Scope) -> Request {
        Request::Resume { scope, unseen: self.unseen }
    }

    /// A thread was seen in its space.
    pub(super) fn saw(&mut self, member: Member) {
        self.seen.retain(|seen| seen.thread != member.thread);
        self.seen.push(member);
    }

    /// Notes by which connection an owner came.
    pub(super) fn register(&mut self, owner: &Owner, connection: Option<u64>) {
        let known = self.clients.iter().any(|(_, client)| client == owner);
        if let (Owner::Client(_), Some(connection), false) = (owner, connection, known) {
            self.clients.push((connection, owner.clone()));
        }
    }

    fn unregister(&mut self, connection: u64) -> Vec<Owner> {
        let gone = self.clients.extract_if(.., |(came_by, _)| *came_by == connection);
        gone.map(|(_, owner)| owner).collect()
    }
}

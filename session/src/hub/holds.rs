//! Who holds which threads back. A thread runs if and only if nobody holds it. Pure bookkeeping: who is to be stopped or let
//! go in the guest follows from it.

use flob_abi::{FlobKind, flob::thread_link};
use flob_image::{Environment, Link, Place};
use flob_link::Scope;

use crate::Owner;

/// A thread and the space it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The thread.
    pub thread: Place,
    /// Its space, if it has one.
    pub space: Option<Place>,
}

/// The threads of an environment.
pub fn members(environment: &Environment) -> Vec<Member> {
    let threads = environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread);
    let member = |flob: &flob_image::Flob| Member {
        thread: flob.place,
        space: match flob.links.get(thread_link::SPACE) {
            Some(Link::Flob(space)) => Some(*space),
            _ => None,
        },
    };
    threads.map(member).collect()
}

/// Whether a thread is in a scope.
pub fn contains(scope: Scope, member: Member) -> bool {
    match scope {
        Scope::Environment => true,
        Scope::Space(space) => member.space == Some(space),
        Scope::Thread(thread) => member.thread == thread,
    }
}

/// One owner's hold on a scope, but for some threads that it has let go since.
#[derive(Clone, Debug)]
struct Hold {
    owner: Owner,
    scope: Scope,
    except: Vec<Place>,
}

impl Hold {
    fn holds(&self, member: Member) -> bool {
        contains(self.scope, member) && !self.except.contains(&member.thread)
    }
}

/// All holds.
#[derive(Debug, Default)]
pub struct Holds(Vec<Hold>);

impl Holds {
    /// Adds a hold.
    pub fn add(&mut self, owner: &Owner, scope: Scope, members: &[Member]) {
        let wider = |hold: &&mut Hold| {
            hold.owner == *owner && hold.scope != scope && is_within(scope, hold.scope, members)
        };
        if let Some(hold) = self.0.iter_mut().find(wider) {
            let taken = |thread: &Place| {
                members.iter().any(|member| member.thread == *thread && contains(scope, *member))
            };
            hold.except.retain(|thread| !taken(thread));
            return;
        }
        self.0.retain(|hold| hold.owner != *owner || !is_within(hold.scope, scope, members));
        self.0.push(Hold { owner: owner.clone(), scope, except: Vec::new() });
    }

    /// Takes away what the owner (`None`: whoever) holds in a scope.
    pub fn remove(&mut self, owner: Option<&Owner>, scope: Scope, members: &[Member]) {
        let meant = |hold: &Hold| owner.is_none_or(|owner| hold.owner == *owner);
        self.0.retain(|hold| !meant(hold) || !is_within(hold.scope, scope, members));
        for hold in self.0.iter_mut().filter(|hold| meant(hold)) {
            let freed = members.iter().filter(|member| contains(scope, **member)).map(|member| member.thread);
            hold.except.extend(freed);
            hold.except.sort_unstable();
            hold.except.dedup();
        }
    }

    /// All the scopes that this owner holds something in.
    pub fn scopes_of(&self, owner: &Owner) -> Vec<Scope> {
        self.0.iter().filter(|hold| hold.owner == *owner).map(|hold| hold.scope).collect()
    }

    /// Who holds this thread.
    pub fn holders(&self, member: Member) -> Vec<Owner> {
        distinct(self.0.iter().filter(|hold| hold.holds(member)))
    }

    /// Who holds anything in this scope.
    pub fn holders_in(&self, scope: Scope, members: &[Member]) -> Vec<Owner> {
        let inside = || members.iter().filter(|member| contains(scope, **member));
        distinct(
            self.0.iter().filter(|hold| hold.scope == scope || inside().any(|member| hold.holds(*member))),
        )
    }

    /// Who holds anything at all.
    pub fn all_holders(&self) -> Vec<Owner> {
        distinct(self.0.iter())
    }

    /// Whether the whole environment stands still.
    pub fn hold_everything(&self) -> bool {
        self.0.iter().any(|hold| hold.scope == Scope::Environment && hold.except.is_empty())
    }

    /// There is another environment: all holds are over.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn distinct<'a>(holds: impl Iterator<Item = &'a Hold>) -> Vec<Owner> {
    let mut owners = Vec::new();
    for hold in holds {
        if !owners.contains(&hold.owner) {
            owners.push(hold.owner.clone());
        }
    }
    owners
}

fn is_within(inner: Scope, outer: Scope, members: &[Member]) -> bool {
    match (inner, outer) {
        (_, Scope::Environment) => true,
        (Scope::Thread(thread), Scope::Space(space)) => {
            members.iter().any(|member| member.thread == thread && member.space == Some(space))
        }
        (inner, outer) => inner == outer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Member = Member { thread: 1, space: Some(100) };
    const B: Member = Member { thread: 2, space: Some(100) };
    const C: Member = Member { thread: 3, space: Some(200) };
    const ALL: [Member; 3] = [A, B, C];

    fn gdb() -> Owner {
        Owner::Client("gdb".into())
    }

    #[test]
    fn a_thread_is_held_as_long_as_anybody_holds_it() {
        let mut holds = Holds::default();
        holds.add(&Owner::User, Scope::Environment, &ALL);
        holds.add(&gdb(), Scope::Space(100), &ALL);
        holds.remove(Some(&Owner::User), Scope::Environment, &ALL);
        assert_eq!(holds.holders(A), vec![gdb()]);
        assert!(holds.holders(C).is_empty());
        holds.remove(None, Scope::Environment, &ALL);
        assert!(holds.all_holders().is_empty());
    }

    #[test]
    fn one_thread_can_be_let_go_out_of_a_held_space_and_be_held_again() {
        let mut holds = Holds::default();
        holds.add(&gdb(), Scope::Space(100), &ALL);
        holds.remove(Some(&gdb()), Scope::Thread(1), &ALL);
        assert!(holds.holders(A).is_empty());
        assert_eq!(holds.holders(B), vec![gdb()]);
        holds.add(&gdb(), Scope::Thread(1), &ALL);
        assert_eq!(holds.holders(A), vec![gdb()]);
    }

    #[test]
    fn letting_a_space_go_lets_its_single_threads_go_too() {
        let mut holds = Holds::default();
        holds.add(&gdb(), Scope::Thread(1), &ALL);
        holds.remove(Some(&gdb()), Scope::Space(100), &ALL);
        assert!(holds.all_holders().is_empty());
    }

    #[test]
    fn everything_is_held_only_without_exceptions() {
        let mut holds = Holds::default();
        holds.add(&Owner::User, Scope::Environment, &ALL);
        assert!(holds.hold_everything());
        holds.remove(Some(&Owner::User), Scope::Space(200), &ALL);
        assert!(!holds.hold_everything());
        assert_eq!(holds.holders_in(Scope::Space(100), &ALL), vec![Owner::User]);
        assert!(holds.holders_in(Scope::Space(200), &ALL).is_empty());
    }
}

//! The state and links of every flob of an environment.

use alloc::{string::String, vec::Vec};

use flob_abi::{
    FlobKind, ReferenceState, Status,
    flob::{MAX_LINKS, thread_link},
    state::{group, thread_flag},
};
use flob_image::{Flob, Link, Place, State};
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, Thread, any},
    nester::{Environment, list::Listed},
};

/// What the nester knows of what lies outside.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What it has handed out, and the name of each.
    pub tags: &'a [(&'a str, FlobAt<Reference>)],
    /// Its own marks on the environment (its debug port, its threads): links to these read as null.
    pub hidden: &'a [FlobAt<Reference>],
    /// Clients whose connection crosses the border, and the service that each has asked.
    pub clients: &'a [(Place, &'a str)],
}

/// The flobs whose kind is among `kinds`, ascending by place. Looking changes nothing: a thread that runs is stopped
/// only while it is looked at. `groups` are the field groups of threads that are wanted.
pub fn look(
    environment: &Environment,
    surroundings: &Surroundings<'_>,
    groups: u64,
    kinds: &[FlobKind],
) -> Result<Vec<Flob>, Status> {
    let listed = environment.flobs()?.into_iter().filter(|flob| kinds.contains(&flob.kind));
    look_at(environment, surroundings, groups, &listed.collect::<Vec<_>>())
}

/// These flobs, for who has listed them already.
pub fn look_at(
    environment: &Environment,
    surroundings: &Surroundings<'_>,
    groups: u64,
    listed: &[Listed],
) -> Result<Vec<Flob>, Status> {
    let mut references = Vec::new();
    for _ in 0..MAX_LINKS {
        references.push(OwnedReference::new()?);
    }
    let tags = surroundings.tags.iter().map(|(name, reference)| (*name, Outside::of(*reference)));
    let hidden = surroundings.hidden.iter().map(|reference| Outside::of(*reference));
    let looker = Looker {
        environment,
        clients: surroundings.clients,
        tags: tags.collect(),
        hidden: hidden.collect(),
        references,
    };
    listed.iter().map(|flob| looker.flob(*flob, groups)).collect()
}

/// Something outside that is known. Its hash, though others may have the same, spares most comparisons.
struct Outside {
    hash: u64,
    reference: FlobAt<Reference>,
}

impl Outside {
    fn of(reference: FlobAt<Reference>) -> Self {
        Self { hash: reference.target_hash(), reference }
    }

    fn is(&self, hash: u64, reference: FlobAt<Reference>) -> bool {
        self.hash == hash && self.reference.same_as(reference)
    }
}

struct Looker<'a> {
    environment: &'a Environment,
    clients: &'a [(Place, &'a str)],
    tags: Vec<(&'a str, Outside)>,
    hidden: Vec<Outside>,
    /// One for each link.
    references: Vec<OwnedReference>,
}

impl Looker<'_> {
    fn flob(&self, Listed { place, kind }: Listed, groups: u64) -> Result<Flob, Status> {
        let addresses: Vec<_> = self.references.iter().map(OwnedReference::at).collect();
        let mut bytes = alloc::vec![0; any::state_size(kind)];
        let address = self.environment.memory().address(place);
        if kind == FlobKind::Reference {
            return self.reference(place, FlobAt::new(address));
        }
        let mask = if kind == FlobKind::Thread { groups } else { group::ALL };
        any::get_state(kind, address, &mut bytes, &Links::of(&addresses), mask)?;
        let state = State::from_bytes(kind, &bytes).ok_or(Status::InvalidState)?;
        if let State::Thread(thread) = &state
            && thread.flags & thread_flag::STOPPED == 0
        {
            let enabled = thread.flags & thread_flag::EXCEPTIONS_ENABLED != 0;
            self.environment.flob::<Thread>(place).resume(enabled)?;
        }
        let links = addresses.iter().take(kind.links().len()).enumerate();
        let links = links.map(|(index, reference)| self.link(place, kind, index, *reference)).collect();
        Ok(Flob { place, state, links })
    }

    /// A reference has no state but its link, and that is looked at where it is.
    fn reference(&self, place: Place, flob: FlobAt<Reference>) -> Result<Flob, Status> {
        let link = self.link(place, FlobKind::Reference, 0, flob);
        Ok(Flob { place, state: State::Reference(ReferenceState::default()), links: alloc::vec![link] })
    }

    fn link(&self, place: Place, kind: FlobKind, index: usize, reference: FlobAt<Reference>) -> Link {
        let hash = reference.target_hash();
        if hash == 0 {
            return Link::Null;
        }
        if let Ok(place) = reference.locate(self.environment.region()) {
            return Link::Flob(place);
        }
        let is_hidden = self.hidden.iter().any(|hidden| hidden.is(hash, reference));
        match self.tags.iter().find(|(_, tag)| tag.is(hash, reference)) {
            Some(_) if is_hidden => Link::Null,
            Some((tag, _)) => Link::External(String::from(*tag)),
            None => self.outside(place, kind, index, is_hidden),
        }
    }

    /// A link that leads to nothing that was handed out. Links of a thread to threads outside are connections across
    /// the border; an idempotent one is simply made again by its repeat, and needs no record.
    fn outside(&self, place: Place, kind: FlobKind, index: usize, is_hidden: bool) -> Link {
        let connects =
            kind == FlobKind::Thread && matches!(index, thread_link::CLIENT_PEER | thread_link::WAITING_FOR);
        let client = self.clients.iter().find(|(client, _)| *client == place);
        match client.filter(|_| connects) {
            Some((_, service)) => Link::External(String::from(*service)),
            None if is_hidden => Link::Null,
            None => Link::Unknown,
        }
    }
}

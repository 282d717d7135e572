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

/// The flobs of these kinds, one kind after the other, ascending by place. Looking changes nothing: a thread that runs is stopped
/// only while it is looked at. `groups` are the field groups of threads that are wanted.
pub fn look(
    environment: &Environment,
    surroundings: &Surroundings<'_>,
    groups: u64,
    kinds: &[FlobKind],
) -> Result<Vec<Flob>, Status> {
    let mut listed = Vec::new();
    for kind in kinds.iter().copied() {
        listed.extend(environment.flobs_of(kind)?.into_iter().map(|place| Listed { place, kind }));
    }
    let bearings = Bearings::new(surroundings.tags, surroundings.hidden)?;
    let mut flobs = Vec::new();
    look_at_each(environment, (&bearings, surroundings.clients), groups, listed, |flob| {
        flobs.push(flob);
        Ok(())
    })?;
    Ok(flobs)
}

/// Looks at these flobs, one after the other, for who has listed them and found its bearings already. With the clients as
/// in [`Surroundings`].
pub fn look_at_each(
    environment: &Environment,
    (bearings, clients): (&Bearings<'_>, &[(Place, &str)]),
    groups: u64,
    listed: impl IntoIterator<Item = Listed>,
    mut act: impl FnMut(Flob) -> Result<(), Status>,
) -> Result<(), Status> {
    let looker = Looker { environment, bearings, clients };
    listed.into_iter().try_for_each(|flob| act(looker.flob(flob, groups)?))
}

/// What the nester knows of what lies outside, and room for links: what one look needs like the other.
pub struct Bearings<'a> {
    tags: Vec<(&'a str, Outside)>,
    hidden: Vec<Outside>,
    /// One for each link.
    references: Vec<OwnedReference>,
}

impl<'a> Bearings<'a> {
    /// Of these tags and hidden things, as in [`Surroundings`]. True as long as each reference names what it names now.
    pub fn new(tags: &[(&'a str, FlobAt<Reference>)], hidden: &[FlobAt<Reference>]) -> Result<Self, Status> {
        Ok(Self {
            tags: tags.iter().map(|(name, reference)| (*name, Outside::of(*reference))).collect(),
            hidden: hidden.iter().map(|reference| Outside::of(*reference)).collect(),
            references: (0..MAX_LINKS).map(|_| OwnedReference::new()).collect::<Result<_, _>>()?,
        })
    }
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

/// Where a link leads, while it is not put into words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    Null,
    Flob(Place),
    /// The tag with this number.
    Tag(usize),
    /// The service that the client with this number has asked.
    Client(usize),
    Unknown,
}

impl Bearings<'_> {
    /// A link to what was handed out by this name.
    pub(crate) fn tag(&self, name: &str) -> Aim {
        self.tags.iter().position(|(tag, _)| *tag == name).map_or(Aim::Unknown, Aim::Tag)
    }

    /// The room for links.
    pub(crate) fn links(&self) -> Links {
        let references = self.references.iter().enumerate();
        references.fold(Links::NONE, |links, (index, reference)| links.with(index, reference.at()))
    }

    /// The room for the link at this index.
    pub fn reference(&self, index: usize) -> FlobAt<Reference> {
        self.references.get(index).map_or(FlobAt::new(0), OwnedReference::at)
    }

    /// Where a link leads, given as a reference and the hash of its target: that of the flob at a place, of this kind and at this
    /// index.
    pub(crate) fn aim(
        &self,
        environment: &Environment,
        (place, kind, index): (Place, FlobKind, usize),
        (hash, reference): (u64, FlobAt<Reference>),
        clients: &[(Place, &str)],
    ) -> Aim {
        // What is known lies outside; to look for it inside would take longer.
        // In a reference of the program's own a mark of the nester's is none, but something that the program has got hold of.
        let is_hidden =
            kind != FlobKind::Reference && self.hidden.iter().any(|hidden| hidden.is(hash, reference));
        match self.tags.iter().position(|(_, tag)| tag.is(hash, reference)) {
            Some(_) if is_hidden => return Aim::Null,
            Some(tag) => return Aim::Tag(tag),
            None => {}
        }
        if let Ok(place) = reference.locate(environment.region()) {
            return Aim::Flob(place);
        }
        // Nothing that was handed out. Links of a thread to threads outside are connections across the border; an idempotent one
        // is simply made again by its repeat, and needs no record.
        let connects =
            kind == FlobKind::Thread && matches!(index, thread_link::CLIENT_PEER | thread_link::WAITING_FOR);
        match clients.iter().position(|(client, _)| *client == place).filter(|_| connects) {
            Some(client) => Aim::Client(client),
            None if is_hidden => Aim::Null,
            None => Aim::Unknown,
        }
    }

    /// The same in words.
    pub(crate) fn link(&self, aim: Aim, clients: &[(Place, &str)]) -> Link {
        let named = match aim {
            Aim::Null => return Link::Null,
            Aim::Flob(place) => return Link::Flob(place),
            Aim::Tag(tag) => self.tags.get(tag).map(|(tag, _)| *tag),
            Aim::Client(client) => clients.get(client).map(|(_, service)| *service),
            Aim::Unknown => None,
        };
        named.map_or(Link::Unknown, |name| Link::External(String::from(name)))
    }
}

struct Looker<'a> {
    environment: &'a Environment,
    bearings: &'a Bearings<'a>,
    clients: &'a [(Place, &'a str)],
}

impl Looker<'_> {
    fn flob(&self, Listed { place, kind }: Listed, groups: u64) -> Result<Flob, Status> {
        let addresses: Vec<_> = self.bearings.references.iter().map(OwnedReference::at).collect();
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
        let Self { environment, bearings, clients } = self;
        let aim = bearings.aim(environment, (place, kind, index), (hash, reference), clients);
        bearings.link(aim, clients)
    }
}

//! Creating every flob of an image at its place, and setting its state and links. The memory is there before.

use alloc::{string::String, vec::Vec};
use core::fmt;

use flob_abi::{
    FlobKind, SpaceState, Status, ThreadState,
    flob::{GRANULE, MAX_LINKS, space_link, thread_link},
    state::{group, thread_flag},
};
use flob_image::{self as image, Flob, Link, Place, State};
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, any},
    nester::Environment,
};

use crate::record::Flobs;

/// What is done about links that lead out of the image to nobody knows what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The image is refused.
    Refuse,
    /// They become null.
    Null,
}

/// The surroundings that an image is joined to.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What the tags of the image mean here.
    pub tags: &'a [(&'a str, FlobAt<Reference>)],
    /// The thread of the nester that will serve the connections across the border.
    pub server: FlobAt<Reference>,
    /// The debug port of all spaces that the image has none for.
    pub debug_port: Option<FlobAt<Reference>>,
    /// No space gets a higher ceiling.
    pub ceiling: u32,
    /// What is done about unknown links.
    pub unknown: Unknown,
}

/// Why an image cannot be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildError {
    /// No flob of its kind can be at this place.
    Place(Place),
    /// The link of this number leads to nothing, or to a flob that it cannot lead to.
    Link(Place, usize),
    /// Nothing here has this tag.
    Tag(Place, String),
    /// The link of this number leads to something unknown.
    Unknown(Place, usize),
    /// The kernel refused the flob.
    Kernel(Place, Status),
}

impl fmt::Display for RebuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => write!(formatter, "no flob can be at {place:#x}"),
            Self::Link(place, index) => {
                write!(formatter, "link {index} of the flob at {place:#x} cannot lead there")
            }
            Self::Tag(place, tag) => {
                write!(formatter, "the flob at {place:#x} needs '{tag}', which is not here")
            }
            Self::Unknown(place, index) => {
                write!(
                    formatter,
                    "link {index} of the flob at {place:#x} leads to something unknown (force makes it null)"
                )
            }
            Self::Kernel(place, status) => {
                write!(formatter, "the kernel refused the flob at {place:#x}: {}", status.text())
            }
        }
    }
}

/// Creates all flobs of the image in an environment that holds its memory and no flobs, and then sets their states
/// and links. All threads are stopped afterwards; those to let go are returned, in the order of their ranks.
pub fn rebuild(
    environment: &Environment,
    image: &impl Flobs,
    world: &World<'_>,
) -> Result<Vec<Place>, RebuildError> {
    let (mut running, mut highest) = (Vec::new(), 0);
    check(image, environment.size())?;
    image.each(|flob| {
        running.extend(rank_of_running(flob));
        highest = highest.max(ceiling(flob));
        create(environment, flob)
    })?;
    let builder = Builder::new(environment, image, world, highest)?;
    let is_thread = |flob: &Flob| matches!(flob.state, State::Thread(_));
    image.each(|flob| if is_thread(flob) { Ok(()) } else { builder.set(flob) })?;
    image.each(|flob| if is_thread(flob) { builder.set(flob) } else { Ok(()) })?;
    Ok(in_order(running))
}

/// The same in any order: the flobs of the image as they are to be created, and as they are to be set.
pub fn rebuild_in_order(
    environment: &Environment,
    image: &image::Environment,
    world: &World<'_>,
    (to_create, to_set): (&[&Flob], &[&Flob]),
) -> Result<Vec<Place>, RebuildError> {
    check(image, environment.size())?;
    to_create.iter().try_for_each(|flob| create(environment, flob))?;
    let highest = image.flobs.iter().map(ceiling).max().unwrap_or(0);
    let builder = Builder::new(environment, image, world, highest)?;
    to_set.iter().try_for_each(|flob| builder.set(flob))?;
    Ok(in_order(image.flobs.iter().filter_map(rank_of_running).collect()))
}

/// Everything that would be misuse of a call, or harm the nester, is found here, before anything is touched.
fn check(image: &impl Flobs, size: u64) -> Result<(), RebuildError> {
    let mut free_from = 0;
    image.each(|flob| {
        let kind = flob.state.kind();
        let end = flob.place.checked_add(kind.size()).filter(|end| *end <= size);
        let is_aligned = flob.place.is_multiple_of(kind.size().max(GRANULE));
        match end.filter(|_| flob.place >= free_from && is_aligned) {
            Some(end) => free_from = end,
            None => return Err(RebuildError::Place(flob.place)),
        }
        Ok(())
    })?;
    image.each(|flob| {
        let kind = flob.state.kind();
        if flob.links.len() != kind.links().len() {
            return Err(RebuildError::Link(flob.place, flob.links.len()));
        }
        let leads = |index, target| image.kind(target).is_some_and(|to| kind.may_lead(index, to));
        let wrong =
            |(index, link): (usize, &Link)| matches!(link, Link::Flob(target) if !leads(index, *target));
        match flob.links.iter().enumerate().position(wrong) {
            Some(index) => Err(RebuildError::Link(flob.place, index)),
            None => Ok(()),
        }
    })
}

fn create(environment: &Environment, flob: &Flob) -> Result<(), RebuildError> {
    let address = environment.memory().address(flob.place);
    any::create(flob.state.kind(), address, hash(&flob.state))
        .map_err(|status| RebuildError::Kernel(flob.place, status))
}

/// Every state begins with its hash.
fn hash(state: &State) -> u64 {
    state.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Rank and place of a thread that is to be let go.
fn rank_of_running(flob: &Flob) -> Option<(u64, Place)> {
    match &flob.state {
        State::Thread(state) if state.flags & thread_flag::STOPPED == 0 => Some((state.rank, flob.place)),
        _ => None,
    }
}

/// The ceiling that a flob sets for others.
fn ceiling(flob: &Flob) -> u32 {
    if let State::Space(space) = &flob.state { space.ceiling } else { 0 }
}

fn in_order(mut running: Vec<(u64, Place)>) -> Vec<Place> {
    running.sort_unstable();
    running.into_iter().map(|(_, place)| place).collect()
}

struct Builder<'a, F> {
    environment: &'a Environment,
    image: &'a F,
    world: &'a World<'a>,
    /// The highest ceiling of the image.
    highest: u32,
    /// One for each link.
    references: Vec<OwnedReference>,
}

impl<'a, F: Flobs> Builder<'a, F> {
    fn new(
        environment: &'a Environment,
        image: &'a F,
        world: &'a World<'a>,
        highest: u32,
    ) -> Result<Self, RebuildError> {
        let references = (0..MAX_LINKS).map(|_| OwnedReference::new()).collect::<Result<_, _>>();
        let references = references.map_err(|status| RebuildError::Kernel(0, status))?;
        Ok(Self { environment, image, world, highest, references })
    }

    fn set(&self, flob: &Flob) -> Result<(), RebuildError> {
        let refused = |status| RebuildError::Kernel(flob.place, status);
        let kind = flob.state.kind();
        let address = self.environment.memory().address(flob.place);
        let mut links = Links::NONE;
        for (index, (link, reference)) in flob.links.iter().zip(&self.references).enumerate() {
            self.aim(flob, index, link, reference.at())?;
            links = links.with(index, reference.at());
        }
        if let State::Reference(_) = flob.state {
            let [target, ..] = self.references.as_slice() else { return Ok(()) };
            return target.at().copy_to(FlobAt::new(address)).map_err(refused);
        }
        let state = self.adapted(&flob.state);
        any::set_state(kind, address, Some(state.as_bytes()), &links, group::ALL).map_err(refused)
    }

    /// The state as it is set: threads stopped, and everything lower by as much as our ceiling is: nesters of the image stay
    /// above their children.
    fn adapted(&self, state: &State) -> State {
        match state {
            State::Thread(thread) => {
                let priority = lowered(thread.priority, self.highest, self.world.ceiling);
                State::Thread(ThreadState { priority, flags: thread.flags | thread_flag::STOPPED, ..*thread })
            }
            State::Space(space) => {
                let ceiling = lowered(space.ceiling, self.highest, self.world.ceiling);
                State::Space(SpaceState { ceiling: ceiling.min(self.world.ceiling), ..*space })
            }
            other => other.clone(),
        }
    }

    /// Makes `reference` name what the link leads to.
    fn aim(
        &self,
        flob: &Flob,
        index: usize,
        link: &Link,
        reference: FlobAt<Reference>,
    ) -> Result<(), RebuildError> {
        let refused = |status| RebuildError::Kernel(flob.place, status);
        match link {
            Link::Null => match self.world.debug_port {
                Some(port) if flob.state.kind() == FlobKind::Space && index == space_link::DEBUG_PORT => {
                    port.copy_to(reference).map_err(refused)
                }
                _ => clear(reference).map_err(refused),
            },
            Link::Flob(target) => {
                let kind = self.image.kind(*target);
                let kind = kind.ok_or(RebuildError::Link(flob.place, index))?;
                any::reference(kind, self.environment.memory().address(*target), reference).map_err(refused)
            }
            Link::External(tag) => {
                let target = self.outside(flob, index, tag)?;
                target.copy_to(reference).map_err(refused)
            }
            Link::Unknown if self.world.unknown == Unknown::Null => clear(reference).map_err(refused),
            Link::Unknown => Err(RebuildError::Unknown(flob.place, index)),
        }
    }

    /// What a tag means for this link: a connection across the border leads to the nester's server thread, everything
    /// else to what has the tag.
    fn outside(&self, flob: &Flob, index: usize, tag: &str) -> Result<FlobAt<Reference>, RebuildError> {
        let kind = flob.state.kind();
        let is_connected = kind == FlobKind::Thread
            && matches!(flob.links.get(thread_link::CLIENT_PEER), Some(Link::External(_)));
        if is_connected && matches!(index, thread_link::CLIENT_PEER | thread_link::WAITING_FOR) {
            return Ok(self.world.server);
        }
        let known = self.world.tags.iter().find(|(known, _)| *known == tag);
        let target = known.map(|(_, reference)| *reference);
        let target = target.ok_or_else(|| RebuildError::Tag(flob.place, String::from(tag)))?;
        let fits = target.target_kind().is_some_and(|to| kind.may_lead(index, to));
        if fits { Ok(target) } else { Err(RebuildError::Link(flob.place, index)) }
    }
}

/// A priority or ceiling of an image whose highest ceiling is `highest`, where no more than `allowed` may be. A thread that
/// was to run as high as it may still is.
fn lowered(priority: u32, highest: u32, allowed: u32) -> u32 {
    if priority > highest { priority } else { priority.saturating_sub(highest.saturating_sub(allowed)) }
}

/// Makes a reference null.
fn clear(reference: FlobAt<Reference>) -> Result<(), Status> {
    reference.destroy()?;
    reference.create()
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, PAGE_SIZE};

    use super::*;

    fn mutex(place: Place, owner: Link) -> Flob {
        Flob { place, state: State::Mutex(MutexState::default()), links: vec![owner] }
    }

    fn thread(place: Place) -> Flob {
        Flob { place, state: State::Thread(ThreadState::default()), links: vec![Link::Null; MAX_LINKS] }
    }

    fn checked(flobs: Vec<Flob>) -> Result<(), RebuildError> {
        let image = image::Environment { flobs, ..image::Environment::default() };
        check(&image, 4 * PAGE_SIZE)
    }

    #[test]
    fn below_a_lower_ceiling_everything_is_lower_by_as_much() {
        let below = |priority| lowered(priority, 25, 21);
        assert_eq!([31, 25, 24, 23, 3].map(below), [31, 21, 20, 19, 0]);
        assert_eq!([31, 25, 0].map(|priority| lowered(priority, 25, 27)), [31, 25, 0]);
    }

    #[test]
    fn a_sound_image_is_taken() {
        assert_eq!(
            checked(vec![thread(0), mutex(PAGE_SIZE, Link::Flob(0)), mutex(PAGE_SIZE + 512, Link::Null)]),
            Ok(())
        );
    }

    #[test]
    fn flobs_where_none_can_be_are_found_before_anything_is_touched() {
        for place in [1, 4 * PAGE_SIZE, u64::MAX - 511, 4 * PAGE_SIZE - 256] {
            assert_eq!(checked(vec![mutex(place, Link::Null)]), Err(RebuildError::Place(place)));
        }
        assert_eq!(checked(vec![thread(512)]), Err(RebuildError::Place(512)));
        assert_eq!(checked(vec![thread(0), mutex(512, Link::Null)]), Err(RebuildError::Place(512)));
        assert_eq!(
            checked(vec![mutex(512, Link::Null), mutex(512, Link::Null)]),
            Err(RebuildError::Place(512))
        );
        assert_eq!(checked(vec![mutex(512, Link::Null), mutex(0, Link::Null)]), Err(RebuildError::Place(0)));
    }

    #[test]
    fn links_to_nothing_or_to_the_wrong_kind_are_found() {
        assert_eq!(checked(vec![mutex(0, Link::Flob(512))]), Err(RebuildError::Link(0, 0)));
        assert_eq!(checked(vec![mutex(0, Link::Flob(0))]), Err(RebuildError::Link(0, 0)));
        let mut short = thread(0);
        short.links.pop();
        assert_eq!(checked(vec![short]), Err(RebuildError::Link(0, MAX_LINKS - 1)));
    }
}

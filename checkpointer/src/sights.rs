//! The states and links of all flobs at once, as `region_export` tells them, for an environment of which all below this program is
//! stopped or waits: kept as they were told, and made a record of when nobody waits for that any more.

use alloc::{vec, vec::Vec};

use flob_abi::{
    FlobKind, ReferenceState, Status, ThreadHead, call::Exported, flob::MAX_LINKS, state::thread_flag,
};
use flob_image::{Flob, Place, State};
use flob_runtime::{
    flob::{FlobAt, any},
    nester::Environment,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::look::{Aim, Bearings};
use crate::stop::Standing;

/// Words of room at first, and at most.
const ROOM: usize = 8 << 10;
const MOST_ROOM: usize = 256 << 10;

/// What was told of an environment. Its room is kept from one time to the next.
#[derive(Default)]
pub struct Sights {
    words: Vec<u64>,
    /// Bytes of them that were filled.
    filled: usize,
    /// Of each link that leads out, in the order in which they were told, where it leads.
    outside: Vec<Aim>,
    /// All threads, ascending by place.
    pub threads: Vec<Standing>,
    /// Threads that ran, or waited.
    pub ran: Vec<Place>,
}

impl Sights {
    /// With room for what most environments have.
    pub fn with_room() -> Self {
        let (outside, threads) = (Vec::with_capacity(MOST_ROOM / ROOM), Vec::with_capacity(MOST_ROOM / ROOM));
        let ran = Vec::with_capacity(MOST_ROOM / ROOM);
        Self { words: vec![0; ROOM], filled: 0, outside, threads, ran }
    }

    /// Looks at all flobs; all threads are stopped by that. `false` if they are too many: then the rest of the threads are not.
    pub fn take(&mut self, environment: &Environment) -> Result<bool, Status> {
        if self.words.is_empty() {
            self.words = vec![0; ROOM];
        }
        self.filled = 0;
        let (mut offset, mut left) = (0, environment.size());
        while left > 0 {
            let room = self.words.get_mut(self.filled / size_of::<u64>()..).unwrap_or_default();
            let round = environment.region().export_flobs(offset, left, room)?;
            self.filled += round.count;
            (offset, left) = (round.offset, round.size);
            if left > 0 && self.words.len() < MOST_ROOM {
                self.words.resize(2 * self.words.len(), 0);
            } else if left > 0 {
                break;
            }
        }
        self.note_threads();
        Ok(left == 0)
    }

    fn note_threads(&mut self) {
        self.threads.clear();
        self.ran.clear();
        for (head, state) in flobs(&self.words, self.filled) {
            if head.kind == FlobKind::Thread as u32
                && let Ok((thread, _)) = ThreadHead::ref_from_prefix(state)
            {
                let enabled = thread.flags & thread_flag::EXCEPTIONS_ENABLED != 0;
                self.threads.push(Standing { rank: thread.rank, place: head.offset, enabled });
                if thread.flags & thread_flag::STOPPED == 0 {
                    self.ran.push(head.offset);
                }
            }
        }
    }

    /// Finds out where links lead that lead out. The environment must be as it was told.
    pub fn find_bearings(
        &mut self,
        environment: &Environment,
        bearings: &Bearings<'_>,
        clients: &[(Place, &str)],
    ) -> Result<(), Status> {
        self.outside.clear();
        for (head, _) in flobs(&self.words, self.filled) {
            if !(0..MAX_LINKS).any(|index| told(head, index) == Told::Outside) {
                continue;
            }
            let Some(kind) = FlobKind::from_number(head.kind) else { continue };
            let address = environment.memory().address(head.offset);
            let at_hand = bearings.links();
            if kind != FlobKind::Reference {
                any::get_links(kind, address, &at_hand)?;
            }
            for (index, hash) in head.links.into_iter().enumerate() {
                if told(head, index) == Told::Outside {
                    let own = bearings.reference(index);
                    let reference = if kind == FlobKind::Reference { FlobAt::new(address) } else { own };
                    let aim =
                        bearings.aim(environment, (head.offset, kind, index), (hash, reference), clients);
                    self.outside.push(aim);
                }
            }
        }
        Ok(())
    }

    /// How many flobs there are.
    pub fn count(&self) -> usize {
        flobs(&self.words, self.filled).count()
    }

    /// Does something with each flob, ascending by place, until that fails. `region` is the tag of the environment's region.
    pub fn each<E>(
        &self,
        (bearings, region): (&Bearings<'_>, &str),
        clients: &[(Place, &str)],
        mut act: impl FnMut(Flob) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut outside = self.outside.iter().copied();
        let itself = bearings.tag(region);
        for (head, state) in flobs(&self.words, self.filled) {
            let Some(kind) = FlobKind::from_number(head.kind) else { continue };
            // A reference has no state but its link.
            let state = match kind {
                FlobKind::Reference => Some(State::Reference(ReferenceState::default())),
                _ => State::from_bytes(kind, state),
            };
            // No iterator of its own: what leads out is taken in the order in which it was found.
            let mut links = Vec::with_capacity(MAX_LINKS);
            for index in 0..kind.links().len() {
                let aim = match told(head, index) {
                    Told::Outside => outside.next().unwrap_or(Aim::Unknown),
                    Told::Itself => itself,
                    Told::Inside(place) => Aim::Flob(place),
                    Told::Nowhere => Aim::Null,
                };
                links.push(bearings.link(aim, clients));
            }
            if let Some(state) = state {
                act(Flob { place: head.offset, state, links })?;
            }
        }
        Ok(())
    }
}

/// What is told of where a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nowhere,
    Inside(Place),
    /// To the region itself.
    Itself,
    /// Out, or inside memory of several pieces.
    Outside,
}

fn told(head: &Exported, index: usize) -> Told {
    let is_inside = head.inside & 1 << index != 0;
    match (is_inside, head.links.get(index).copied().unwrap_or(0)) {
        (true, Exported::ITSELF) => Told::Itself,
        (true, place) => Told::Inside(place),
        (false, 0) => Told::Nowhere,
        (false, _) => Told::Outside,
    }
}

/// All flobs that were told in so many bytes: the head of each, and its state.
fn flobs(words: &[u64], filled: usize) -> impl Iterator<Item = (&Exported, &[u8])> {
    let mut rest = words.as_bytes().get(..filled).unwrap_or_default();
    core::iter::from_fn(move || next(&mut rest))
}

/// The next of them.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a Exported, &'a [u8])> {
    let (head, behind) = Exported::ref_from_prefix(rest).ok()?;
    let (state, behind) =
        behind.split_at_checked((head.size as usize).checked_sub(size_of::<Exported>())?)?;
    *rest = behind;
    Some((head, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first thread of an environment lies at offset 0.
    #[test]
    fn a_link_to_the_first_flob_is_not_one_that_leads_nowhere() {
        let head =
            Exported { inside: 0b101, links: [0, 0, Exported::ITSELF, 7, 0, 0], ..Exported::default() };
        let all = [0, 1, 2, 3].map(|index| told(&head, index));
        assert_eq!(all, [Told::Inside(0), Told::Nowhere, Told::Itself, Told::Outside]);
    }
}

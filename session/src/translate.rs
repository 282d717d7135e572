//! Where the memory of an environment is seen: virtual addresses of its spaces ↔ offsets in the environment, by its mappings
//! and regions.

use std::collections::HashMap;

use flob_image::{Environment, Link, Place, State};

/// The tag of the environment's own memory: what the first space's mappings lead to.
pub const MEMORY_TAG: &str = "memory";
/// As deep as the kernel looks.
const LEVELS: usize = flob_abi::memory::MAX_LEVELS;

/// A range of a space and the part of the environment that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The space.
    pub space: Place,
    /// First address in it.
    pub address: u64,
    /// In bytes.
    pub size: u64,
    /// Offset of the first byte in the environment.
    pub place: Place,
}

/// All segments of all spaces.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    spaces: HashMap<Place, Vec<Segment>>,
    /// In the order of spaces and addresses.
    all: Vec<Segment>,
    /// The same in the order of places: each with its number among all, and the furthest end of those up to it.
    by_place: Vec<(Segment, usize, Place)>,
}

impl Translation {
    /// Of this environment.
    pub fn new(environment: &Environment) -> Self {
        let mut walk = Walk::new(environment);
        let spaces = environment.flobs.iter().filter(|flob| matches!(flob.state, State::Space(_)));
        let mut all = Vec::new();
        for space in spaces {
            all.extend(walk.segments(space.place, LEVELS));
        }
        let by_place = sorted_by_place(&all);
        Self { spaces: walk.known, all, by_place }
    }

    /// The offset in the environment that an address of a space leads to.
    pub fn place(&self, space: Place, address: u64) -> Option<Place> {
        let segment = self.segment(space, address)?;
        Some(segment.place + (address - segment.address))
    }

    /// The segment that an address of a space is in.
    pub fn segment(&self, space: Place, address: u64) -> Option<Segment> {
        let segments = self.spaces.get(&space)?;
        let after = segments.partition_point(|segment| segment.address <= address);
        let segment = segments.get(after.checked_sub(1)?)?;
        (address - segment.address < segment.size).then_some(*segment)
    }

    /// All that a space sees, in the order of addresses.
    pub fn segments(&self, space: Place) -> &[Segment] {
        self.spaces.get(&space).map_or(&[], Vec::as_slice)
    }

    /// Every (space, address) at which an offset of the environment is seen, the lowest space first.
    pub fn addresses(&self, place: Place) -> impl Iterator<Item = (Place, u64)> {
        let after = self.by_place.partition_point(|(segment, ..)| segment.place <= place);
        let before = self.by_place.get(..after).unwrap_or_default().iter().rev();
        let near = before.take_while(|(.., furthest)| *furthest > place);
        let mut found: Vec<usize> = near
            .filter(|(segment, ..)| place - segment.place < segment.size)
            .map(|(_, number, _)| *number)
            .collect();
        found.sort_unstable();
        found
            .into_iter()
            .filter_map(|number| self.all.get(number))
            .map(move |segment| (segment.space, segment.address + (place - segment.place)))
    }

    /// A range of a space in pieces of the environment, up to the first byte that is not there.
    pub fn pieces(&self, space: Place, address: u64, count: u64) -> Vec<(Place, u64)> {
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < count
            && let Some(next) = address.checked_add(done)
            && let Some(segment) = self.segment(space, next)
        {
            let skipped = next - segment.address;
            let size = (segment.size - skipped).min(count - done);
            pieces.push((segment.place + skipped, size));
            done += size;
        }
        pieces
    }
}

fn sorted_by_place(all: &[Segment]) -> Vec<(Segment, usize, Place)> {
    let mut sorted: Vec<_> = all.iter().zip(0..).map(|(segment, number)| (*segment, number, 0)).collect();
    sorted.sort_by_key(|(segment, ..)| segment.place);
    let mut furthest = 0;
    for (segment, _, end) in &mut sorted {
        furthest = furthest.max(segment.place.saturating_add(segment.size));
        *end = furthest;
    }
    sorted
}

struct Walk<'a> {
    environment: &'a Environment,
    /// Mappings by their space, in the order of their starts.
    mappings: HashMap<Place, Vec<&'a flob_image::Flob>>,
    known: HashMap<Place, Vec<Segment>>,
}

impl<'a> Walk<'a> {
    fn new(environment: &'a Environment) -> Self {
        let mut mappings: HashMap<Place, Vec<_>> = HashMap::new();
        for flob in &environment.flobs {
            if let (State::Mapping(_), Some(Link::Flob(space))) = (&flob.state, flob.links.get(1)) {
                mappings.entry(*space).or_default().push(flob);
            }
        }
        for of_space in mappings.values_mut() {
            of_space.sort_by_key(|flob| start_of(flob));
        }
        Self { environment, mappings, known: HashMap::new() }
    }

    fn segments(&mut self, space: Place, levels: usize) -> Vec<Segment> {
        if let Some(known) = self.known.get(&space) {
            return known.clone();
        }
        if levels == 0 {
            return Vec::new();
        }
        // A cycle finds nothing here.
        self.known.insert(space, Vec::new());
        let mut segments = Vec::new();
        let mut taken_to = 0;
        for mapping in self.mappings.get(&space).cloned().unwrap_or_default() {
            let Some((start, size, offset)) = range_of(mapping) else { continue };
            // Where mappings overlap, the one at the lower start wins.
            let skipped = taken_to.max(start) - start;
            if skipped < size
                && let Some(offset) = offset.checked_add(skipped)
            {
                taken_to = start + size;
                segments.extend(self.seen(mapping, space, (start + skipped, size - skipped, offset), levels));
            }
        }
        self.known.insert(space, segments.clone());
        segments
    }

    fn seen(
        &mut self,
        mapping: &flob_image::Flob,
        space: Place,
        (address, size, offset): (u64, u64, u64),
        levels: usize,
    ) -> Vec<Segment> {
        match mapping.links.first() {
            Some(Link::External(tag)) if tag == MEMORY_TAG => {
                vec![Segment { space, address, size, place: offset }]
            }
            Some(Link::Flob(region)) => self.through(*region, space, (address, size, offset), levels),
            _ => Vec::new(),
        }
    }

    fn through(
        &mut self,
        region: Place,
        space: Place,
        (address, size, offset): (u64, u64, u64),
        levels: usize,
    ) -> Vec<Segment> {
        let Some(flob) = self.environment.flob(region) else { return Vec::new() };
        let (State::Region(state), Some(Link::Flob(below))) = (&flob.state, flob.links.first()) else {
            return Vec::new();
        };
        let Some(from) = state.start.checked_add(offset) else { return Vec::new() };
        let size = size.min(state.size.saturating_sub(offset));
        let end = from.saturating_add(size);
        let overlap = |segment: Segment| {
            let first = segment.address.max(from);
            let last = (segment.address + segment.size).min(end);
            (first < last).then(|| Segment {
                space,
                address: address + (first - from),
                size: last - first,
                place: segment.place + (first - segment.address),
            })
        };
        self.segments(*below, levels - 1).into_iter().filter_map(overlap).collect()
    }
}

fn start_of(mapping: &flob_image::Flob) -> u64 {
    range_of(mapping).map_or(u64::MAX, |(start, ..)| start)
}

/// Start, size and offset of a mapping; none if it reaches beyond all addresses.
fn range_of(mapping: &flob_image::Flob) -> Option<(u64, u64, u64)> {
    let State::Mapping(state) = &mapping.state else { return None };
    state.start.checked_add(state.size)?;
    state.offset.checked_add(state.size)?;
    Some((state.start, state.size, state.offset))
}

#[cfg(test)]
mod tests {
    use flob_abi::{MappingState, RegionState, SpaceState};
    use flob_image::Flob;

    use super::*;

    fn space(place: Place) -> Flob {
        Flob { place, state: State::Space(SpaceState::default()), links: vec![Link::Null, Link::Null] }
    }

    fn mapping(place: Place, region: Link, space: Place, (offset, start, size): (u64, u64, u64)) -> Flob {
        let state = MappingState { offset, start, size, ..MappingState::default() };
        Flob { place, state: State::Mapping(state), links: vec![region, Link::Flob(space)] }
    }

    fn region(place: Place, space: Place, (start, size): (u64, u64)) -> Flob {
        let state = RegionState { start, size, ..RegionState::default() };
        Flob { place, state: State::Region(state), links: vec![Link::Flob(space), Link::Null] }
    }

    fn memory() -> Link {
        Link::External(MEMORY_TAG.into())
    }

    fn environment(flobs: Vec<Flob>) -> Environment {
        Environment { flobs, size: 0x10_0000, ..Environment::default() }
    }

    #[test]
    fn addresses_lead_through_regions_to_places_and_back() {
        let environment = environment(vec![
            space(0x200),
            space(0x400),
            mapping(0x600, memory(), 0x200, (0x8000, 0x40_0000, 0x4000)),
            region(0x800, 0x200, (0x40_1000, 0x2000)),
            mapping(0xa00, Link::Flob(0x800), 0x400, (0x1000, 0x10_0000, 0x1000)),
        ]);
        let translation = Translation::new(&environment);
        assert_eq!(translation.place(0x200, 0x40_0010), Some(0x8010));
        assert_eq!(translation.place(0x400, 0x10_0010), Some(0xa010));
        assert_eq!(translation.place(0x400, 0x10_1000), None);
        assert_eq!(
            translation.addresses(0xa010).collect::<Vec<_>>(),
            [(0x200, 0x40_2010), (0x400, 0x10_0010)]
        );
        assert_eq!(translation.pieces(0x200, 0x40_3ff0, 0x20), [(0xbff0, 0x10)]);
    }

    #[test]
    fn where_mappings_overlap_the_lower_start_wins() {
        let environment = environment(vec![
            space(0x200),
            mapping(0x400, memory(), 0x200, (0x2000, 0x1000, 0x1000)),
            mapping(0x600, memory(), 0x200, (0x8000, 0, 0x2000)),
        ]);
        assert_eq!(Translation::new(&environment).place(0x200, 0x1000), Some(0x9000));
    }

    #[test]
    fn a_cycle_is_no_memory() {
        let environment = environment(vec![
            space(0x200),
            region(0x400, 0x200, (0x1000, 0x1000)),
            mapping(0x600, Link::Flob(0x400), 0x200, (0, 0x1000, 0x1000)),
        ]);
        assert_eq!(Translation::new(&environment).place(0x200, 0x1000), None);
    }
}

//! From an address in a space to its place in the environment, by the mappings and regions of the model.

use alloc::{collections::BTreeMap, vec::Vec};

use flob_abi::{MappingState, PAGE_SIZE, RegionState, memory::MAX_LEVELS};
use flob_image::{Flob, Link, Place, State};

/// The tag of the region over the environment's memory.
pub const MEMORY_TAG: &str = flob_image::tags::MEMORY;

struct Mapped {
    state: MappingState,
    region: Source,
}

/// Where a mapping's memory comes from.
enum Source {
    /// The environment's memory itself.
    Environment,
    /// A region of the environment.
    Region(Place),
}

/// The mappings and regions of an environment, ready for translating.
#[derive(Default)]
pub struct Translator {
    /// By space, ascending by start.
    mappings: BTreeMap<Place, Vec<Mapped>>,
    regions: BTreeMap<Place, (RegionState, Place)>,
}

impl Translator {
    /// From the spaces, mappings and regions among these flobs.
    pub fn new(flobs: &[Flob]) -> Self {
        let mut translator = Self::default();
        for flob in flobs {
            match (&flob.state, flob.links.as_slice()) {
                (State::Mapping(state), [region, Link::Flob(space)]) => {
                    let region = match region {
                        Link::Flob(place) => Source::Region(*place),
                        Link::External(tag) if tag.as_str() == MEMORY_TAG => Source::Environment,
                        _ => continue,
                    };
                    translator.mappings.entry(*space).or_default().push(Mapped { state: *state, region });
                }
                (State::Region(state), [Link::Flob(space), ..]) => {
                    translator.regions.insert(flob.place, (*state, *space));
                }
                _ => {}
            }
        }
        for mappings in translator.mappings.values_mut() {
            mappings.sort_by_key(|mapped| mapped.state.start);
        }
        translator
    }

    /// The place of this address, or `None` where the space has no memory.
    pub fn place(&self, space: Place, address: u64) -> Option<Place> {
        let (mut space, mut address) = (space, address);
        for _ in 0..MAX_LEVELS {
            let mapped = self.mappings.get(&space)?.iter().find(|mapped| {
                address.checked_sub(mapped.state.start).is_some_and(|offset| offset < mapped.state.size)
            })?;
            let offset = mapped.state.offset.checked_add(address - mapped.state.start)?;
            match mapped.region {
                Source::Environment => return Some(offset),
                Source::Region(region) => {
                    let (region, owner) = self.regions.get(&region)?;
                    if offset >= region.size {
                        return None;
                    }
                    address = region.start.checked_add(offset)?;
                    space = *owner;
                }
            }
        }
        None
    }

    /// The pieces of memory behind `count` bytes at `address`: place and size each, up to the first that is missing.
    pub fn pieces(&self, space: Place, address: u64, count: u64) -> Vec<(Place, u64)> {
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < count {
            let Some(place) = address.checked_add(done).and_then(|address| self.place(space, address)) else {
                break;
            };
            let size = (PAGE_SIZE - (address + done) % PAGE_SIZE).min(count - done);
            pieces.push((place, size));
            done += size;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(place: Place, region: Link, space: Place, (offset, start, size): (u64, u64, u64)) -> Flob {
        let state = MappingState { offset, start, size, ..MappingState::default() };
        Flob { place, state: State::Mapping(state), links: vec![region, Link::Flob(space)] }
    }

    fn region(place: Place, space: Place, start: u64, size: u64) -> Flob {
        let state = RegionState { start, size, ..RegionState::default() };
        Flob { place, state: State::Region(state), links: vec![Link::Flob(space), Link::Null] }
    }

    fn memory() -> Link {
        Link::External(MEMORY_TAG.into())
    }

    #[test]
    fn an_address_is_followed_through_regions_to_the_environment() {
        let flobs = [
            mapping(1, memory(), 100, (0x8000, 0x40_0000, 0x4000)),
            region(2, 100, 0x40_1000, 0x2000),
            mapping(3, Link::Flob(2), 200, (0x1000, 0x10_0000, 0x1000)),
        ];
        let translator = Translator::new(&flobs);
        assert_eq!(translator.place(100, 0x40_0010), Some(0x8010));
        assert_eq!(translator.place(200, 0x10_0010), Some(0xa010));
        assert_eq!(translator.place(200, 0x10_1000), None);
        assert_eq!(translator.place(300, 0x10_0010), None);
        assert_eq!(translator.pieces(100, 0x40_3ff0, 0x20), [(0xbff0, 0x10)]);
        assert_eq!(translator.pieces(100, 0x40_0ff0, 0x20), [(0x8ff0, 0x10), (0x9000, 0x10)]);
    }

    #[test]
    fn where_mappings_overlap_the_lower_start_wins() {
        let flobs = [
            mapping(1, memory(), 100, (0x2000, 0x1000, 0x1000)),
            mapping(2, memory(), 100, (0x8000, 0x0, 0x2000)),
        ];
        assert_eq!(Translator::new(&flobs).place(100, 0x1000), Some(0x9000));
    }

    #[test]
    fn cycles_and_overflows_are_no_memory() {
        let flobs = [
            region(2, 100, 0x1000, 0x1000),
            mapping(3, Link::Flob(2), 100, (0, 0x1000, 0x1000)),
            mapping(4, Link::Flob(2), 200, (u64::MAX - 1, 0x1000, 0x1000)),
        ];
        let translator = Translator::new(&flobs);
        assert_eq!(translator.place(100, 0x1000), None);
        assert_eq!(translator.place(200, 0x1010), None);
        assert!(translator.pieces(100, u64::MAX - 3, 100).is_empty());
    }
}

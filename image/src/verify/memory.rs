//! Regions and mappings.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use flob_abi::{PAGE_SIZE, memory::USER_END};

use super::{Code, Finding, name};
use crate::{Environment, Flob, Link, State, fields};

pub(super) fn ranges(environment: &Environment, flob: &Flob, findings: &mut Vec<Finding>) {
    let (start, size, offset) = match &flob.state {
        State::Region(state) => (state.start, state.size, 0),
        State::Mapping(state) => (state.start, state.size, state.offset),
        _ => return,
    };
    let mut found = |code, text: String| findings.push(Finding { code, place: flob.place, text });
    if [start, size, offset].iter().any(|number| number % PAGE_SIZE != 0) {
        found(Code::NotPaged, format!("the {} does not begin and end on a page", name(flob)));
    }
    if start.checked_add(size).is_none_or(|end| end > USER_END) {
        found(Code::NotUser, format!("the {} reaches beyond user addresses", name(flob)));
    }
    for link in ["space", "region"] {
        if fields::link(flob, link) == Some(&Link::Null) {
            found(Code::Loose, format!("the {} belongs to no {link}", name(flob)));
        }
    }
    if let (State::Mapping(_), Some(Link::Flob(place))) = (&flob.state, fields::link(flob, "region"))
        && let Some(State::Region(region)) = environment.flob(*place).map(|target| &target.state)
        && offset.checked_add(size).is_none_or(|end| end > region.size)
    {
        found(Code::MappingBeyond, format!("the {} maps more than its region at {place:#x} has", name(flob)));
    }
}

pub(super) fn overlaps(environment: &Environment, findings: &mut Vec<Finding>) {
    let mapping = |flob: &Flob| match (&flob.state, fields::link(flob, "space")) {
        (State::Mapping(state), Some(space)) if *space != Link::Null && state.size != 0 => {
            Some((space.to_string(), state.start, state.start.saturating_add(state.size), flob.place))
        }
        _ => None,
    };
    let mut mappings: Vec<_> = environment.flobs.iter().filter_map(mapping).collect();
    mappings.sort();
    // The one of this space that reaches farthest so far.
    let mut farthest: Option<(&String, u64, u64)> = None;
    for (space, start, end, place) in &mappings {
        match farthest {
            Some((before, reach, other)) if before == space && *start < reach => {
                let text = format!(
                    "the mapping at {place:#x} overlaps the mapping at {other:#x} in the space {space}"
                );
                findings.push(Finding { code: Code::MappingOverlap, place: *place, text });
                if *end > reach {
                    farthest = Some((space, *end, *place));
                }
            }
            _ => farthest = Some((space, *end, *place)),
        }
    }
}

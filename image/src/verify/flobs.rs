//! What holds for flobs of every kind: place, links, defined bits; and mutexes.

use alloc::{format, string::String, vec::Vec};

use super::{Code, Finding, name};
use crate::fields::{self, Format};
use crate::{Environment, Flob, Link, State, tags};

pub(super) fn places(environment: &Environment, findings: &mut Vec<Finding>) {
    let mut end = 0_u64;
    let mut last = None;
    for flob in &environment.flobs {
        let size = flob.state.kind().size();
        let mut found = |code, text: String| findings.push(Finding { code, place: flob.place, text });
        if last.is_some_and(|last| flob.place <= last) {
            found(Code::Order, format!("the {} is not in the order of places", name(flob)));
        } else if flob.place < end {
            found(Code::Overlap, format!("the {} overlaps the flob before it", name(flob)));
        }
        if flob.place % size != 0 {
            found(Code::Misaligned, format!("the {} is not on a multiple of {size}", name(flob)));
        }
        if flob.place.checked_add(size).is_none_or(|end| end > environment.size) {
            found(
                Code::Outside,
                format!("the {} is outside the {:#x} bytes of memory", name(flob), environment.size),
            );
        }
        last = Some(flob.place);
        end = end.max(flob.place.saturating_add(size));
    }
}

pub(super) fn links(environment: &Environment, flob: &Flob, findings: &mut Vec<Finding>) {
    let kind = flob.state.kind();
    let mut found = |code, text: String| findings.push(Finding { code, place: flob.place, text });
    if flob.links.len() != kind.links().len() {
        found(
            Code::LinkCount,
            format!("the {} has {} links, not {}", name(flob), flob.links.len(), kind.links().len()),
        );
    }
    for (index, (link_name, link)) in kind.links().iter().zip(&flob.links).enumerate() {
        match link {
            Link::Null => {}
            Link::Unknown => found(
                Code::LinkUnknown,
                format!("`{link_name}` of the {} leads to something outside that nobody knows", name(flob)),
            ),
            Link::External(service) if is_service(environment, service) => {}
            Link::External(service) => {
                found(
                    Code::ServiceUnknown,
                    format!("`{link_name}` of the {} names the unknown service `{service}`", name(flob)),
                );
            }
            Link::Flob(place) => match environment.flob(*place) {
                None => found(
                    Code::LinkToNothing,
                    format!("`{link_name}` of the {} leads to {place:#x}, where no flob is", name(flob)),
                ),
                Some(target) => {
                    if !kind.may_lead(index, target.state.kind()) {
                        found(
                            Code::LinkKind,
                            format!("`{link_name}` of the {} leads to a {}", name(flob), name(target)),
                        );
                    }
                }
            },
        }
    }
}

fn is_service(environment: &Environment, service: &str) -> bool {
    // `stdin.client` is the nester's own thread behind `stdin`, and the like.
    let base = service.split(['.', ':', '/']).next().unwrap_or_default();
    tags::ALL.contains(&base)
        || environment.streams.iter().any(|stream| stream.name == service)
        || environment.borders.iter().any(|border| border.service == service)
}

pub(super) fn bits(flob: &Flob, findings: &mut Vec<Finding>) {
    for field in fields::of(flob.state.kind()) {
        let value = field.value(&flob.state);
        let known = match field.format {
            Format::Flags(flags) => flags.iter().fold(0, |known, flag| known | flag.bit),
            Format::Protection => 7,
            Format::Bool => 1,
            _ if field.is_reserved() => 0,
            _ => continue,
        };
        if value.number() & !known != 0 {
            let text = format!("`{}` of the {} has undefined bits: {value}", field.name, name(flob));
            findings.push(Finding { code: Code::UndefinedBits, place: flob.place, text });
        }
    }
}

pub(super) fn mutex(flob: &Flob, findings: &mut Vec<Finding>) {
    let State::Mutex(state) = &flob.state else { return };
    let owner = flob.links.first().unwrap_or(&Link::Null);
    let mut found = |code, text| findings.push(Finding { code, place: flob.place, text });
    match (state.locked != 0, owner) {
        (true, Link::Null) => {
            found(Code::LockedWithoutOwner, format!("the {} is locked, but nobody owns it", name(flob)));
        }
        (false, Link::Flob(_) | Link::External(_)) => {
            found(Code::OwnerOfUnlocked, format!("the {} is not locked, but owned by {owner}", name(flob)));
        }
        _ => {}
    }
}

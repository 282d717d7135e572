//! Listing the flobs of an environment, and finding out what a link means.

use alloc::vec::Vec;

use flob_abi::{FlobKind, Status, call::Found, flob::GRANULE};

use crate::flob::{FlobAt, Reference, Region};

/// Entries that one round of the search has room for: on the stack, which is had at once.
const ROUND: usize = 64;

/// A flob of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its offset in the region.
    pub place: u64,
    /// Its kind.
    pub kind: FlobKind,
}

/// All flobs in the first `size` bytes of `region`, or those of one kind, ascending by place.
pub fn flobs(region: FlobAt<Region>, size: u64, kind: Option<FlobKind>) -> Result<Vec<Listed>, Status> {
    let mut round = [Found::default(); ROUND];
    let mut all = Vec::new();
    let (mut offset, mut left) = (0, size);
    while left > 0 {
        let search = region.search(offset, left, &mut round, kind)?;
        let found = round.get(..search.count).unwrap_or_default();
        all.extend(found.iter().filter_map(|found| {
            FlobKind::from_number(found.kind).map(|kind| Listed { place: found.offset, kind })
        }));
        let progress = search.count > 0 || search.size < left;
        (offset, left) = (search.offset, search.size);
        if !progress {
            return Err(Status::InvalidState);
        }
    }
    all.sort_unstable_by_key(|listed| listed.place);
    Ok(all)
}

/// What a reference means to the nester of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// It names nothing.
    Null,
    /// A flob of the environment, at this place.
    Flob(u64),
    /// Something the nester handed out, by its tag.
    Tag(&'a str),
    /// Something outside that the nester does not know.
    Unknown,
}

/// What `reference` means in the environment behind `region`, where the nester has handed out `tags`.
pub fn meaning<'a>(
    reference: FlobAt<Reference>,
    region: FlobAt<Region>,
    tags: impl IntoIterator<Item = (&'a str, FlobAt<Reference>)>,
) -> Meaning<'a> {
    if reference.is_null() {
        return Meaning::Null;
    }
    if let Ok(place) = reference.locate(region) {
        return Meaning::Flob(place);
    }
    let known = tags.into_iter().find(|(_, tagged)| tagged.same_as(reference));
    known.map_or(Meaning::Unknown, |(tag, _)| Meaning::Tag(tag))
}

/// The kind of the flob that begins at this place, if one does. Unlike any call on a flob this cannot be misuse, whatever
/// the child has done meanwhile.
pub fn kind_at(region: FlobAt<Region>, place: u64) -> Option<FlobKind> {
    if !place.is_multiple_of(GRANULE) {
        return None;
    }
    let mut found = [Found::default()];
    let search = region.search(place, GRANULE, &mut found, None).ok()?;
    let [found] = found;
    if search.count == 1 && found.offset == place { FlobKind::from_number(found.kind) } else { None }
}

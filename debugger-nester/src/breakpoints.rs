//! Software breakpoints: who asked for them, where in the environment's memory they are, and what they hide.

use alloc::{collections::BTreeMap, vec::Vec};

use flob_image::Place;

/// The instruction byte of a breakpoint.
pub const INT3: u8 = 0xcc;

/// Who wants a breakpoint: a space and an address in it.
pub type Wanted = (Place, u64);

/// Programs, one of which must hold for a stop; none: it always stops.
pub type Conditions = Vec<Vec<u8>>;

/// A breakpoint in memory.
#[derive(Debug)]
struct Inserted {
    /// The program's own byte.
    original: u8,
    wanted: BTreeMap<Wanted, Conditions>,
}

/// All breakpoints, by their places.
#[derive(Debug, Default)]
pub struct Breakpoints {
    at: BTreeMap<Place, Inserted>,
}

impl Breakpoints {
    /// Notes that `wanted` lies at `place`, where memory reads `byte`. Returns whether `INT3` has to be written there.
    pub fn set(&mut self, wanted: Wanted, conditions: Conditions, place: Place, byte: u8) -> bool {
        let is_new = !self.at.contains_key(&place);
        let inserted = self.at.entry(place).or_insert(Inserted { original: byte, wanted: BTreeMap::new() });
        inserted.wanted.insert(wanted, conditions);
        is_new
    }

    /// Takes it out. Returns place and byte to be written back, unless somebody else still wants it.
    pub fn clear(&mut self, wanted: Wanted) -> Option<(Place, u8)> {
        let place = self.place(wanted)?;
        let inserted = self.at.get_mut(&place)?;
        inserted.wanted.remove(&wanted);
        if !inserted.wanted.is_empty() {
            return None;
        }
        self.at.remove(&place).map(|inserted| (place, inserted.original))
    }

    /// The program's own byte at a breakpoint.
    pub fn original(&self, place: Place) -> Option<u8> {
        self.at.get(&place).map(|inserted| inserted.original)
    }

    /// Where the breakpoint lay when it was asked for, if a stop at exactly this address of this space was. Mappings may have
    /// changed since.
    pub fn place(&self, wanted: Wanted) -> Option<Place> {
        self.at.iter().find(|(_, inserted)| inserted.wanted.contains_key(&wanted)).map(|(place, _)| *place)
    }

    /// Whether a stop at this address of this space was asked for without any condition.
    pub fn always_stops(&self, wanted: Wanted) -> bool {
        self.at.values().any(|inserted| inserted.wanted.get(&wanted).is_some_and(Vec::is_empty))
    }

    /// On what conditions a stop at this address of this space was asked for, if it was.
    pub fn conditions(&self, place: Place, wanted: Wanted) -> Option<&Conditions> {
        self.at.get(&place)?.wanted.get(&wanted)
    }

    /// Whether anybody asked for a stop at this address, in whatever space.
    pub fn is_any_at(&self, address: u64) -> bool {
        self.at.values().any(|inserted| inserted.wanted.keys().any(|(_, wanted)| *wanted == address))
    }

    /// Whether there is one in these bytes of memory.
    pub fn is_any_within(&self, place: Place, bytes: u64) -> bool {
        self.at.range(place..place.saturating_add(bytes)).next().is_some()
    }

    /// Puts the program's own bytes into what was read at `place`.
    pub fn hide(&self, place: Place, bytes: &mut [u8]) {
        for (at, inserted) in self.at.range(place..place.saturating_add(bytes.len() as u64)) {
            if let Some(byte) = usize::try_from(at - place).ok().and_then(|index| bytes.get_mut(index)) {
                *byte = inserted.original;
            }
        }
    }

    /// Takes what is about to be written at `place` as the program's own, and leaves the breakpoints in it.
    pub fn keep(&mut self, place: Place, bytes: &mut [u8]) {
        for (at, inserted) in self.at.range_mut(place..place.saturating_add(bytes.len() as u64)) {
            if let Some(byte) = usize::try_from(at - place).ok().and_then(|index| bytes.get_mut(index)) {
                inserted.original = *byte;
                *byte = INT3;
            }
        }
    }

    /// Who wants one, and where.
    pub fn all_wanted(&self) -> Vec<Wanted> {
        self.at.values().flat_map(|inserted| inserted.wanted.keys().copied()).collect()
    }

    /// Forgets all and returns who wanted them: after a restore they are set again.
    pub fn take(&mut self) -> Vec<(Wanted, Conditions)> {
        core::mem::take(&mut self.at).into_values().flat_map(|inserted| inserted.wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_code_keeps_its_breakpoint_until_nobody_wants_it() {
        let mut breakpoints = Breakpoints::default();
        assert!(breakpoints.set((1, 0x1000), vec![vec![1]], 0x50, 0x90));
        assert!(!breakpoints.set((2, 0x2000), vec![], 0x50, INT3));
        assert_eq!(breakpoints.conditions(0x50, (1, 0x1000)), Some(&vec![vec![1]]));
        assert_eq!(breakpoints.conditions(0x50, (3, 0x1000)), None);
        assert_eq!(breakpoints.place((2, 0x2000)), Some(0x50));
        assert!(breakpoints.always_stops((2, 0x2000)) && !breakpoints.always_stops((1, 0x1000)));
        assert_eq!(breakpoints.place((2, 0x1000)), None);
        assert_eq!(breakpoints.clear((1, 0x1000)), None);
        assert_eq!(breakpoints.clear((2, 0x2000)), Some((0x50, 0x90)));
        assert_eq!(breakpoints.clear((2, 0x2000)), None);
    }

    #[test]
    fn readers_see_the_programs_own_bytes_and_writers_change_them() {
        let mut breakpoints = Breakpoints::default();
        breakpoints.set((1, 0), vec![], 0x10, b'a');
        let mut bytes = [INT3, INT3, INT3];
        breakpoints.hide(0xf, &mut bytes);
        assert_eq!(bytes, [INT3, b'a', INT3]);
        assert!(breakpoints.is_any_within(0xf, 2) && breakpoints.is_any_within(0x10, 1));
        assert!(!breakpoints.is_any_within(0xf, 1) && !breakpoints.is_any_within(0x11, 9));
        let mut bytes = *b"xyz";
        breakpoints.keep(0xf, &mut bytes);
        assert_eq!(bytes, [b'x', INT3, b'z']);
        assert_eq!(breakpoints.clear((1, 0)), Some((0x10, b'y')));
    }
}

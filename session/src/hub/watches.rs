//! Who wants which memory watched. The guest knows each once.

use std::collections::BTreeMap;

use flob_image::Place;
use flob_link::{Hit, Watch};

use crate::Owner;

/// All that is watched.
pub type Watches = Wanted<Watch>;

/// Things that owners want.
#[derive(Debug)]
pub struct Wanted<T>(BTreeMap<T, Vec<Owner>>);

impl<T> Default for Wanted<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Copy> Wanted<T> {
    /// Adds one.
    pub fn add(&mut self, location: T, owner: &Owner) {
        let owners = self.0.entry(location).or_default();
        if !owners.contains(owner) {
            owners.push(owner.clone());
        }
    }

    /// Takes one away; whether nobody wants it any more.
    pub fn remove(&mut self, location: T, owner: &Owner) -> bool {
        let Some(owners) = self.0.get_mut(&location) else { return true };
        owners.retain(|other| other != owner);
        let unwanted = owners.is_empty();
        if unwanted {
            self.0.remove(&location);
        }
        unwanted
    }
}

impl Watches {
    /// Who wants to hear of any of these accesses to a space.
    pub fn interested(&self, space: Place, hits: &[Hit]) -> Vec<Owner> {
        let meant = |watch: &Watch| watch.space == space && hits.iter().any(|hit| watch.is_hit(*hit));
        let mut owners = Vec::new();
        for owner in self.0.iter().filter(|(watch, _)| meant(watch)).flat_map(|(_, owners)| owners) {
            if !owners.contains(owner) {
                owners.push(owner.clone());
            }
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use flob_link::Access;

    use super::*;

    #[test]
    fn an_access_is_told_to_those_who_watch_it_and_to_nobody_else() {
        let (one, two) = (Owner::User, Owner::Client("gdb".into()));
        let watch = |address, access| Watch { space: 1, address, bytes: 8, access };
        let mut watches = Watches::default();
        watches.add(watch(0x1000, Access::Write), &one);
        watches.add(watch(0x1004, Access::Write), &two);
        watches.add(watch(0x1000, Access::ReadWrite), &two);
        let hit = |address, access| Hit { address, access };
        let first = hit(0x1000, Access::Write);
        assert_eq!(watches.interested(1, &[first]), vec![one.clone()]);
        assert_eq!(watches.interested(1, &[hit(0x1004, Access::Write)]), [one.clone(), two.clone()]);
        assert_eq!(watches.interested(1, &[hit(0x1007, Access::ReadWrite)]), std::slice::from_ref(&two));
        assert_eq!(watches.interested(1, &[first, hit(0x1007, Access::ReadWrite)]), [one.clone(), two]);
        assert!(watches.interested(2, &[first]).is_empty());
        assert!(watches.remove(watch(0x1000, Access::Write), &one), "nobody else wants it");
    }
}

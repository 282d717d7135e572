//! Who wants which breakpoint. The guest knows each once.

use std::collections::BTreeMap;

use flob_image::Place;

use crate::Owner;

/// Where a breakpoint is: the space and the address in it.
pub type Location = (Place, u64);

/// All breakpoints.
#[derive(Debug, Default)]
pub struct Breakpoints(BTreeMap<Location, Vec<Owner>>);

impl Breakpoints {
    /// Adds one.
    pub fn add(&mut self, location: Location, owner: &Owner) {
        let owners = self.0.entry(location).or_default();
        if !owners.contains(owner) {
            owners.push(owner.clone());
        }
    }

    /// Takes one away; whether nobody wants it any more.
    pub fn remove(&mut self, location: Location, owner: &Owner) -> bool {
        let Some(owners) = self.0.get_mut(&location) else { return true };
        owners.retain(|other| other != owner);
        let unwanted = owners.is_empty();
        if unwanted {
            self.0.remove(&location);
        }
        unwanted
    }

    /// Who wants this one.
    pub fn owners(&self, location: Location) -> Vec<Owner> {
        self.0.get(&location).cloned().unwrap_or_default()
    }

    /// Those that this owner wants.
    pub fn of(&self, owner: &Owner) -> Vec<Location> {
        self.0.iter().filter(|(_, owners)| owners.contains(owner)).map(|(location, _)| *location).collect()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Location> {
        self.0.keys().copied().collect()
    }
}

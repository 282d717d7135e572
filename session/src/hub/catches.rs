//! Who wants to be told of which kernel calls. The guest knows one list a space.

use std::collections::{BTreeMap, BTreeSet};

use flob_abi::ipc;
use flob_image::Place;

use crate::Owner;

/// All that is caught.
#[derive(Debug, Default)]
pub struct Catches(BTreeMap<Place, Vec<(Owner, BTreeSet<u64>)>>);

impl Catches {
    /// These calls of the space and no others are to be told to this owner.
    pub fn set(&mut self, space: Place, owner: &Owner, calls: &[u64]) {
        let wanted = self.0.entry(space).or_default();
        wanted.retain(|(other, _)| other != owner);
        if !calls.is_empty() {
            wanted.push((owner.clone(), calls.iter().copied().collect()));
        }
        if wanted.is_empty() {
            self.0.remove(&space);
        }
    }

    /// What the guest is to catch there.
    pub fn calls(&self, space: Place) -> Vec<u64> {
        let wanted = self.0.get(&space).into_iter().flatten();
        wanted.flat_map(|(_, calls)| calls).copied().collect::<BTreeSet<u64>>().into_iter().collect()
    }

    /// Who is to hear of this call.
    pub fn interested(&self, space: Place, call: u64) -> Vec<Owner> {
        let number = if call & ipc::IPC == 0 { call } else { ipc::IPC };
        let wanted = self.0.get(&space).into_iter().flatten();
        wanted.filter(|(_, calls)| calls.contains(&number)).map(|(owner, _)| owner.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_catches_what_anybody_wants_and_each_hears_of_its_own() {
        let (user, gdb) = (Owner::User, Owner::Client("gdb".into()));
        let mut catches = Catches::default();
        catches.set(7, &user, &[0x31, ipc::IPC]);
        catches.set(7, &gdb, &[0x31]);
        assert_eq!(catches.calls(7), vec![0x31, ipc::IPC]);
        assert_eq!(catches.interested(7, 0x31), vec![user.clone(), gdb.clone()]);
        assert_eq!(catches.interested(7, ipc::IPC | 0x15), vec![user.clone()]);
        catches.set(7, &user, &[]);
        assert_eq!(catches.calls(7), vec![0x31]);
        assert!(catches.interested(7, ipc::IPC | 0x15).is_empty());
    }
}

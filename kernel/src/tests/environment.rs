//! A whole environment as a nester handles it: all flobs found by `region_search`, their state and links taken out, links
//! turned into offsets by `reference_locate`; everything destroyed and made anew, in any order.

use std::vec::Vec;

use flob_abi::call::Found;
use flob_abi::flob::MAX_LINKS;
use flob_abi::{Call, FlobKind, Status, group, thread_flag};
use zerocopy::FromBytes;

use super::build::common;
use super::random::Random;
use super::sim::Sim;

/// Where a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Null,
    /// To a flob of the environment, by its place in the list.
    Inside(usize),
    /// Elsewhere: a reference flob of the nester holds it.
    Outside(u64),
}

/// A flob that has been taken out.
#[derive(Clone, Debug)]
struct Saved {
    place: u64,
    kind: FlobKind,
    state: Vec<u8>,
    links: Vec<Link>,
}

/// Memory of an environment in the first space, a region over it, and references of the nester's own.
pub struct Environment {
    pub memory: u64,
    pub size: u64,
    pub region: u64,
    references: Vec<u64>,
    used: usize,
}

impl Environment {
    pub fn new(memory: u64, size: u64, region: u64) -> Self {
        Self { memory, size, region, references: Vec::new(), used: 0 }
    }

    /// A reference flob of the nester.
    fn reference(&mut self, sim: &mut Sim) -> u64 {
        if self.used == self.references.len() {
            self.references.push(sim.null());
        }
        self.used += 1;
        self.references[self.used - 1]
    }

    /// All flobs in it, by `region_search`.
    pub fn flobs(&self, sim: &mut Sim) -> Vec<(u64, FlobKind)> {
        let (scratch, mut flobs) = (sim.scratch(), Vec::new());
        let (mut offset, mut left) = (0, self.size);
        while left > 0 {
            let end =
                sim.try_call(Call::RegionSearch, &[self.region, offset, left, scratch, 8]).expect("a status");
            (offset, left) = (end.rsi, end.rdx);
            for entry in sim.read(scratch, 16 * (8 - end.r8 as usize)).chunks(16) {
                let found = Found::read_from_bytes(entry).expect("an entry");
                flobs.push((self.memory + found.offset, FlobKind::from_number(found.kind).expect("a kind")));
            }
        }
        flobs
    }

    /// Takes the state and links of one flob; a thread is stopped by that.
    fn save(&mut self, sim: &mut Sim, (place, kind): (u64, FlobKind), all: &[(u64, FlobKind)]) -> Saved {
        let links: Vec<u64> = kind.links().iter().map(|_| self.reference(sim)).collect();
        let state = if kind == FlobKind::Reference {
            sim.ok(Call::ReferenceCopy, &[place, links[0]]);
            Vec::new()
        } else {
            sim.get_raw(kind, place, &links)
        };
        let links = links.into_iter().map(|reference| self.link(sim, reference, all)).collect();
        Saved { place, kind, state, links }
    }

    fn link(&self, sim: &mut Sim, reference: u64, all: &[(u64, FlobKind)]) -> Link {
        if sim.is_null(reference) {
            return Link::Null;
        }
        let end = sim.try_call(Call::ReferenceLocate, &[reference, self.region]).expect("a status");
        match Status::from_number(end.rax) {
            Some(Status::Success) => {
                let place = self.memory + end.rdi;
                Link::Inside(
                    all.iter().position(|(other, _)| *other == place).expect("found by the search too"),
                )
            }
            _ => Link::Outside(reference),
        }
    }

    /// Destroys all flobs and makes them again, each time in another order.
    pub fn rebuild(&mut self, sim: &mut Sim, random: &mut Random) {
        self.used = 0;
        let flobs = self.flobs(sim);
        let mut saved: Vec<Option<Saved>> = flobs.iter().map(|_| None).collect();
        for index in shuffled(flobs.len(), random) {
            saved[index] = Some(self.save(sim, flobs[index], &flobs));
        }
        let saved: Vec<Saved> = saved.into_iter().flatten().collect();
        for index in shuffled(saved.len(), random) {
            sim.ok(common(saved[index].kind, 1), &[saved[index].place]);
        }
        assert_eq!(self.flobs(sim), []);
        for index in shuffled(saved.len(), random) {
            let flob = &saved[index];
            let hash = flob.state.first_chunk().map_or(0, |hash| u64::from_le_bytes(*hash));
            sim.ok(common(flob.kind, 0), &[flob.place, hash]);
        }
        for index in shuffled(saved.len(), random) {
            self.restore(sim, &saved[index], &saved);
        }
        for index in shuffled(saved.len(), random) {
            let flob = &saved[index];
            if flob.kind == FlobKind::Thread {
                assert_eq!(
                    sim.set_raw(flob.kind, flob.place, &flob.state, group::CONTROL, &[]),
                    Status::Success
                );
            }
        }
    }

    /// Puts state and links back; threads stay stopped.
    fn restore(&mut self, sim: &mut Sim, flob: &Saved, all: &[Saved]) {
        let mut links = Vec::new();
        for link in &flob.links {
            links.push(match *link {
                Link::Null => sim.null_reference(),
                Link::Outside(reference) => reference,
                Link::Inside(index) => {
                    let reference = self.reference(sim);
                    sim.ok(common(all[index].kind, 3), &[all[index].place, reference]);
                    reference
                }
            });
        }
        if flob.kind == FlobKind::Reference {
            return sim.ok(Call::ReferenceCopy, &[links[0], flob.place]);
        }
        let mut state = flob.state.clone();
        if flob.kind == FlobKind::Thread {
            state[8] |= thread_flag::STOPPED as u8;
        }
        assert!(links.len() <= MAX_LINKS);
        assert_eq!(
            sim.set_raw(flob.kind, flob.place, &state, group::ALL, &links),
            Status::Success,
            "{:?}",
            flob.kind
        );
    }

    /// Stops one thread, takes it out, writes nonsense over it and puts it back.
    pub fn scramble(&mut self, sim: &mut Sim, thread: u64, random: &mut Random) {
        self.used = 0;
        let flobs = self.flobs(sim);
        let saved = self.save(sim, (thread, FlobKind::Thread), &flobs);
        let mut nonsense = saved.state.clone();
        for byte in nonsense.iter_mut().skip(16) {
            *byte = random.next() as u8;
        }
        nonsense[8] |= thread_flag::STOPPED as u8;
        let mask = random.below(group::ALL + 1) | group::CONTROL;
        sim.set_raw(FlobKind::Thread, thread, &nonsense, mask, &[]);
        let links: Vec<u64> =
            saved.links.iter().zip(self.references.clone()).map(|(_, reference)| reference).collect();
        assert_eq!(sim.set_raw(FlobKind::Thread, thread, &saved.state, group::ALL, &links), Status::Success);
    }
}

fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    random.shuffle(&mut order);
    order
}

//! Threads in several spaces that share pages with a mutex and a number in them, each space at an address of its own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_runtime::abi::{PAGE_SIZE, Protection, Status};
use flob_runtime::flob::{FlobAt, Mapping, Mutex, Reference, Region};
use flob_runtime::start;
use flob_runtime::thread::Builder;

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Failure, another, leak, mix, refer};

/// Spaces besides the first.
const MORE: u64 = 2;
/// Where space number 0 sees the shared pages; the others so much further up each.
const WINDOW: u64 = 0x5000_0000_0000;
const APART: u64 = 0x0001_2345_6000;

/// What is shared.
#[repr(C, align(4096))]
struct Shared {
    mutex: Mutex,
    number: AtomicU64,
}

/// A space and where it sees the shared pages.
#[derive(Clone, Copy)]
struct Place {
    space: FlobAt<Reference>,
    window: u64,
}

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    let shared: &'static Shared = leak(Shared { mutex: Mutex::new(), number: AtomicU64::new(0) });
    shared.mutex.at().create()?;
    let region = leak(Region::new()).at();
    let start = core::ptr::from_ref(shared).expose_provenance() as u64;
    region.export(start::space(), start, PAGE_SIZE, Protection::ALL)?;
    let region = refer(region)?;
    let mut places = Vec::new();
    for number in 0..=MORE {
        let space = if number == 0 { start::space() } else { another()? };
        let window = WINDOW + number * APART;
        let to = (space, window);
        leak(Mapping::new()).at().map((region, 0), to, PAGE_SIZE, Protection::READ_WRITE)?;
        places.push(Place { space, window });
    }
    Ok(Box::new(move |random| {
        shared.number.store(0, Ordering::SeqCst);
        let (seed, turns) = (random.word(), 30 + random.below(60));
        let adders: Vec<_> = places
            .iter()
            .map(|place| {
                let window = place.window;
                Builder::new().space(place.space).spawn(move || add(window, seed ^ window, turns))
            })
            .collect::<Result<_, Status>>()?;
        for adder in adders {
            adder.join()??;
        }
        Ok(shared.number.load(Ordering::SeqCst))
    }))
}

/// Adds to the number where the calling thread's space sees it.
fn add(window: u64, seed: u64, turns: u64) -> Result<(), Failure> {
    let mutex = FlobAt::<Mutex>::new(window + core::mem::offset_of!(Shared, mutex) as u64);
    let at = window + core::mem::offset_of!(Shared, number) as u64;
    let number = core::ptr::with_exposed_provenance::<AtomicU64>(at as usize);
    for turn in 0..turns {
        mutex.lock()?;
        // SAFETY: mapped, aligned, and an atomic wherever it is seen.
        let number = unsafe { &*number };
        let before = number.load(Ordering::Relaxed);
        (0..turn % 32).for_each(|_| core::hint::spin_loop());
        number.store(before.wrapping_add(mix(seed, turn)), Ordering::Relaxed);
        mutex.unlock()?;
    }
    Ok(())
}

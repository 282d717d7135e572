//! Flobs that are just there: mutexes, conditions, and references to the first mutex.

use alloc::boxed::Box;
use alloc::vec::Vec;

use flob_runtime::abi::Status;
use flob_runtime::flob::{Condition, Mutex, Reference};

use flob_program_shared::{Failure, expect};

/// The hash that all have, if they are to have the same.
const HASH: u64 = 0x5a5a_5a5a;

/// All of them.
pub struct Flobs {
    mutexes: &'static [Mutex],
    references: &'static [Reference],
    hash: u64,
}

/// Memory for so many flobs.
fn memory<T>(count: u64, new: fn() -> T) -> &'static [T] {
    let mut all = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    all.resize_with(all.capacity(), new);
    Box::leak(all.into_boxed_slice())
}

/// Makes so many.
pub fn make(count: u64, one_hash: bool) -> Result<Flobs, Status> {
    let hash = if one_hash { HASH } else { 0 };
    let mutexes = memory(count / 2, Mutex::new);
    let conditions = memory(count / 4, Condition::new);
    let references = memory(count - count / 2 - count / 4, Reference::new);
    mutexes.iter().try_for_each(|mutex| mutex.at().create_with_hash(hash))?;
    conditions.iter().try_for_each(|condition| condition.at().create_with_hash(hash))?;
    for (reference, mutex) in references.iter().zip(mutexes.iter().cycle()) {
        reference.at().create()?;
        mutex.at().reference(reference.at())?;
    }
    for mutex in mutexes.iter().step_by(3) {
        mutex.at().lock()?;
    }
    Ok(Flobs { mutexes, references, hash })
}

impl Flobs {
    /// Whether they are as they were made; by the thread that made them.
    pub fn check(&self) -> Result<(), Failure> {
        for (index, mutex) in self.mutexes.iter().enumerate() {
            let is_free = mutex.at().try_lock().is_ok();
            expect("free", u64::from(is_free), u64::from(index % 3 != 0))?;
            mutex.at().unlock()?;
        }
        for reference in self.references {
            let hash = reference.at().target_hash();
            expect("hash", hash, if self.hash == 0 { hash.max(1) } else { self.hash })?;
        }
        Ok(())
    }
}

//! Locks and condition variables over flobs, for statics and heap data alike.
//!
//! The flob is created at the first use and destroyed with its owner. Once used, a [`Lock`] or [`Condition`] must stay
//! where it is (statics, [`alloc::sync::Arc`], boxes); one that was moved says so by a panic.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flob_abi::Status;

use crate::flob::{self, Flob, FlobAt};
use crate::heap;

/// No flob yet.
const UNUSED: u64 = 0;

/// Where the flob of a lock was created: its address, or [`UNUSED`].
struct Created(AtomicU64);

impl Created {
    const fn new() -> Self {
        Self(AtomicU64::new(UNUSED))
    }

    /// Creates the flob unless that is done.
    fn ensure<F: Flob>(&self, flob: FlobAt<F>) {
        match self.0.load(Ordering::Acquire) {
            at if at == flob.address() => {}
            UNUSED => self.create(flob),
            _ => panic!("a lock was moved after its first use"),
        }
    }

    /// Creates the flob, unless another thread was first. Who comes while it is being created sleeps until that is done: who
    /// went round meanwhile would keep a creator of lower priority from ever ending it.
    #[cold]
    fn create<F: Flob>(&self, flob: FlobAt<F>) {
        let result = heap::alone(|| {
            if self.0.load(Ordering::Relaxed) == UNUSED {
                flob.create()?;
                self.0.store(flob.address(), Ordering::Release);
            }
            Ok::<(), Status>(())
        });
        assert!(result.is_ok(), "the kernel has no memory for another lock");
    }

    /// Destroys the flob, if there is one.
    fn undo<F: Flob>(&mut self) {
        let at = core::mem::replace(self.0.get_mut(), UNUSED);
        if at != UNUSED {
            let _ = FlobAt::<F>::new(at).destroy();
        }
    }
}

/// Data under a mutex flob. The flob comes first, so that a debugger names it by the symbol of the lock.
#[repr(C)]
pub struct Lock<T: ?Sized> {
    flob: flob::Mutex,
    created: Created,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex lets one thread at a time reach the value.
unsafe impl<T: ?Sized + Send> Sync for Lock<T> {}
// SAFETY: as a whole it is only its value and plain memory.
unsafe impl<T: ?Sized + Send> Send for Lock<T> {}

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { flob: flob::Mutex::new(), created: Created::new(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits until nobody else holds it. A thread that locks twice dies of a misuse.
    pub fn lock(&self) -> Guard<'_, T> {
        // An exception's handler may make the call return early only with `Success`; anything else: try again.
        while self.flob().lock().is_err() {}
        Guard { lock: self }
    }

    /// `None` if somebody (the caller, perhaps) holds it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.flob().try_lock().ok().map(|()| Guard { lock: self })
    }

    /// Its mutex flob.
    pub fn flob(&self) -> FlobAt<flob::Mutex> {
        self.created.ensure(self.flob.at());
        self.flob.at()
    }
}

impl<T: ?Sized> Drop for Lock<T> {
    fn drop(&mut self) {
        self.created.undo::<flob::Mutex>();
    }
}

/// The right to use what a [`Lock`] guards.
pub struct Guard<'a, T: ?Sized> {
    lock: &'a Lock<T>,
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard holds the mutex.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the mutex.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        let _ = self.lock.flob.at().unlock();
    }
}

/// A value that is set once and for all, and read without a lock.
pub struct Once<T> {
    is_set: AtomicBool,
    setting: Lock<()>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written under the lock, before anybody is told that it is there; then it is only read.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not set yet.
    pub const fn new() -> Self {
        Self { is_set: AtomicBool::new(false), setting: Lock::new(()), value: UnsafeCell::new(None) }
    }

    /// The value, if it is set.
    pub fn get(&self) -> Option<&T> {
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written before `is_set`, and nobody writes it again.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// Sets it, unless it is set.
    pub fn set(&self, value: T) {
        let Ok(()) = self.try_set(|| Ok::<T, core::convert::Infallible>(value));
    }

    /// Sets it to what `make` makes, unless it is set. If that fails it can be tried again.
    pub fn try_set<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        if self.is_set.load(Ordering::Acquire) {
            return Ok(());
        }
        let _alone = self.setting.lock();
        if !self.is_set.load(Ordering::Acquire) {
            let value = make()?;
            // SAFETY: whoever sets holds the lock, and nobody reads before `is_set`.
            unsafe { *self.value.get() = Some(value) };
            self.is_set.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A condition variable, to be used with one [`Lock`].
#[repr(C)]
pub struct Condition {
    flob: flob::Condition,
    created: Created,
}

impl Condition {
    /// Nobody waits yet.
    pub const fn new() -> Self {
        Self { flob: flob::Condition::new(), created: Created::new() }
    }

    /// Releases the lock, sleeps until signalled, locks again. May return without a signal.
    pub fn wait<'a, T: ?Sized>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        let status = self.flob().wait(guard.lock.flob.at());
        debug_assert_eq!(status, Ok::<(), Status>(()));
        guard
    }

    /// Waits until `ready` says true.
    pub fn wait_until<'a, T: ?Sized>(
        &self,
        mut guard: Guard<'a, T>,
        mut ready: impl FnMut(&mut T) -> bool,
    ) -> Guard<'a, T> {
        while !ready(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// The first waiter goes on.
    pub fn signal(&self) {
        let _ = self.flob().signal();
    }

    /// All waiters go on.
    pub fn broadcast(&self) {
        let _ = self.flob().broadcast();
    }

    /// Its flob.
    pub fn flob(&self) -> FlobAt<flob::Condition> {
        self.created.ensure(self.flob.at());
        self.flob.at()
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.created.undo::<flob::Condition>();
    }
}

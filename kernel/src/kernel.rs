//! The kernel's whole state, and the way in: [`Kernel::event`] and [`Kernel::current`].

use alloc::vec;
use alloc::vec::Vec;
use core::array::from_fn;
use core::ptr::NonNull;

use flob_abi::Protection;

use crate::Event;
use crate::arena::Arena;
use crate::list::{List, NONE};
use crate::lookup::{FrameSet, KINDS, NO_FLOB};
use crate::machine::{Context, Frame, Grants, Machine};
use crate::outcome::Trap;
use crate::record::{Body, FlobId, NOWHERE, Object, Place, Queue, Space, Thread, ThreadId, Waiters};
use crate::schedule::Ready;

/// Granules in a frame.
pub(crate) const GRANULES: usize = (flob_abi::PAGE_SIZE / flob_abi::flob::GRANULE) as usize;
/// Interrupt lines.
pub(crate) const LINES: usize = 16;

/// The kernel over a machine. Copies are for those who want to know what would have become of it.
#[derive(Clone)]
pub struct Kernel<M> {
    pub(crate) machine: M,
    pub(crate) threads: Arena<Thread>,
    pub(crate) objects: Arena<Object>,
    /// Which flob covers each granule of memory: see `lookup`.
    pub(crate) granules: Vec<u32>,
    /// The frames in which there are flobs: of any kind, and of each, by its number.
    pub(crate) frames_with: [FrameSet; KINDS],
    pub(crate) root: Option<FlobId>,
    /// Frames that the first space sees.
    pub(crate) window: core::ops::Range<u32>,
    pub(crate) current: Option<ThreadId>,
    /// Whether the current thread may have to make room, or what it runs with may have changed: see [`Kernel::goes_on`].
    pub(crate) reconsider: bool,
    /// The space that user code was entered in last, which is that of the current thread, and whether it has its calls reflected.
    /// [`NOWHERE`] once it has changed or is gone.
    pub(crate) current_space: FlobId,
    /// The ceiling of that space.
    current_ceiling: u32,
    /// Its priority as it was then: who is ready below it changes nothing.
    pub(crate) current_priority: u8,
    pub(crate) current_reflects: bool,
    pub(crate) ready: Ready,
    /// Whether something is left to do for the next entries: see `arrears`.
    pub(crate) arrears: bool,
    /// Threads that waited for a flob that is gone and have not heard of it.
    pub(crate) released: Waiters,
    /// Threads that wait for a time, a tree sorted by that: its root.
    pub(crate) timers: u32,
    pub(crate) lines: [List; LINES],
    /// Ticket of the next thread that waits for something.
    pub(crate) next_rank: u64,
    /// The ticket and the rank that imported ranks count from, while none of the imported threads has run.
    pub(crate) import_base: Option<(u64, u64)>,
    pub(crate) next_hash: u64,
    pub(crate) epochs: crate::dirty::Epochs,
    /// What a stale thread id reads and writes.
    void: Thread,
}

impl<M: Machine> Kernel<M> {
    /// Bytes of pools for a machine whose first space sees `frames` frames, `end` being one past the last.
    pub const fn pool_bytes(frames: usize, end: usize) -> usize {
        frames * Arena::<Thread>::SLOT_SIZE
            + frames * GRANULES * Arena::<Object>::SLOT_SIZE
            + end * (GRANULES * size_of::<u32>() + crate::dirty::Epochs::FRAME_SIZE)
            + KINDS * FrameSet::bytes(end)
    }

    /// A kernel with nothing in it. `window` is the range of frames that the first space will see: the pools are
    /// made for all of them full of flobs, here and never again.
    pub fn new(machine: M, window: core::ops::Range<Frame>) -> Self {
        let frames = window.end.0.saturating_sub(window.start.0) as usize;
        let epochs = crate::dirty::Epochs::new(machine.run_number(), window.end.0 as usize);
        let mut objects = Arena::with_capacity(frames * GRANULES);
        objects.seed = machine.now();
        let mut threads = Arena::with_capacity(frames);
        threads.seed = objects.seed.rotate_left(17);
        Self {
            machine,
            epochs,
            threads,
            objects,
            granules: vec![NO_FLOB; window.end.0 as usize * GRANULES],
            frames_with: from_fn(|_| FrameSet::new(window.end.0 as usize)),
            root: None,
            window: window.start.0..window.end.0,
            current: None,
            reconsider: true,
            current_space: NOWHERE,
            current_ceiling: 0,
            current_priority: 0,
            current_reflects: false,
            ready: Ready::EMPTY,
            arrears: false,
            released: Waiters::EMPTY,
            timers: NONE,
            lines: [List::EMPTY; LINES],
            next_rank: 1,
            import_base: None,
            next_hash: 1,
            void: Thread::new(Place { frame: Frame(0), offset: 0 }, 0),
        }
    }

    /// The machine.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Something happened, in the current thread or outside.
    #[inline(always)]
    pub fn event(&mut self, event: Event) {
        match (event, self.current) {
            (Event::Call, Some(_)) => drop(self.call()),
            (Event::Fault { address, access }, Some(thread)) => self.page_fault(thread, address, access),
            _ => self.other_event(event),
        }
    }

    #[inline(never)]
    fn other_event(&mut self, event: Event) {
        match (event, self.current) {
            (Event::Interrupt { line }, _) => self.interrupt(line),
            (Event::Tick, _) => self.tick(),
            (Event::Trap { code, detail }, Some(thread)) => {
                self.raise(thread, code, detail, 0, Protection::NONE);
            }
            (Event::Call | Event::Fault { .. } | Event::Trap { .. }, _) => {}
        }
    }

    /// Whether nothing has happened since [`Kernel::current`] that could change its answer: the same thread goes on, with
    /// the same translations and grants.
    #[inline]
    pub fn goes_on(&self) -> bool {
        !self.reconsider
    }

    /// Whom to run now: its context, for which the machine has been prepared. `None`: wait for an interrupt.
    #[inline(always)]
    pub fn current(&mut self) -> Option<NonNull<Context>> {
        let before = if self.goes_on() { self.current } else { None };
        if self.arrears {
            self.catch_up();
        }
        let index = match self.current {
            Some(current) => current.0.index(),
            None => self.choose()?,
        };
        match self.enter(index, before) {
            Some(context) => Some(context),
            None => self.enter_another(),
        }
    }

    /// The same where the one that came first cannot run. What it was woken for is for somebody else: its space may be gone.
    #[inline(never)]
    fn enter_another(&mut self) -> Option<NonNull<Context>> {
        loop {
            if let Some(current) = self.current.take() {
                let woken = self.woken_for(current);
                self.pass_on(woken);
            }
            let index = self.choose()?;
            if let Some(context) = self.enter(index, None) {
                return Some(context);
            }
        }
    }

    /// The same where a thread could run, but for one of a higher priority that is ready: it goes before its equals.
    #[inline(never)]
    fn enter_higher(&mut self, thread: ThreadId, own: u8) -> Option<NonNull<Context>> {
        let higher = self.choose()?;
        // Not before the other one has left: so there is room for it where no list is needed.
        self.ready_again(thread, own);
        self.enter(higher, None)
    }

    /// Makes a thread the current one, and prepares the machine for it if nothing keeps it from running. It is that already, or
    /// was taken from those that are ready.
    #[inline(always)]
    fn enter(&mut self, index: u32, before: Option<ThreadId>) -> Option<NonNull<Context>> {
        let Self { threads, objects, .. } = self;
        let (id, record) = threads.entry_mut(index)?;
        let thread = ThreadId(id);
        self.current = Some(thread);
        if !matches!(record.queue, Queue::None | Queue::Ready(_)) {
            return None;
        }
        record.queue = Queue::None;
        if !record.is_free() {
            return None;
        }
        if record.space != Some(self.current_space) {
            debug_assert!(before.is_none(), "a change of what the current thread runs with was not noticed");
            let id = record.space?;
            let Body::Space(space) = &objects.get(id.0)?.body else { return None };
            self.current_space = id;
            self.current_ceiling = space.ceiling;
            self.current_reflects = space.flags & flob_abi::space_flag::REFLECT_CALLS != 0;
            self.machine.enter_space(id.key(), space.grants());
        }
        let priority = record.priority_below(self.current_ceiling);
        self.current_priority = priority;
        if self.ready.has_above(priority) {
            record.queue = Queue::Ready(priority);
            return self.enter_higher(thread, priority);
        }
        debug_assert!(before.is_none_or(|before| before == thread), "a change of who runs was not noticed");
        record.wait_no_more();
        if record.imported {
            record.imported = false;
            self.import_base = None;
        }
        self.machine.enter_thread(&mut record.context);
        self.reconsider = self.arrears;
        Some(NonNull::from(&mut record.context))
    }

    /// The context of the thread to run: see [`Kernel::current`].
    #[cfg(test)]
    pub fn context(&mut self) -> Option<&mut Context> {
        self.current()?;
        let thread = self.current?;
        self.threads.get_mut(thread.0).map(|record| &mut record.context)
    }

    /// A thread. A stale id reads as one that was never set.
    #[inline]
    pub(crate) fn thread(&self, id: ThreadId) -> &Thread {
        match self.threads.get(id.0) {
            Some(thread) => thread,
            None => no_thread(&self.void),
        }
    }

    /// A thread, to change. Changes through a stale id are lost.
    #[inline]
    pub(crate) fn thread_mut(&mut self, id: ThreadId) -> &mut Thread {
        match self.threads.get_mut(id.0) {
            Some(thread) => thread,
            None => nobody(&mut self.void),
        }
    }

    /// Whether a flob still exists.
    #[inline]
    pub(crate) fn exists(&self, id: FlobId) -> bool {
        match id.as_thread() {
            Some(thread) => self.threads.get(thread.0).is_some(),
            None => self.objects.get(id.0).is_some(),
        }
    }

    /// A link, or `None` if what it named is gone.
    #[inline]
    pub(crate) fn live(&self, link: Option<FlobId>) -> Option<FlobId> {
        link.filter(|id| self.exists(*id))
    }

    /// A link to a thread, or `None` if it is gone or no thread.
    #[inline]
    pub(crate) fn live_thread(&self, link: Option<FlobId>) -> Option<ThreadId> {
        self.live(link)?.as_thread()
    }

    /// The space that a thread runs in.
    #[inline]
    pub(crate) fn space_of(&self, thread: ThreadId) -> Option<FlobId> {
        self.live(self.thread(thread).space)
    }

    /// What a call of the current thread needs to be about memory: its space.
    #[inline(always)]
    pub(crate) fn callers_space(&self) -> FlobId {
        self.current_space
    }

    /// The same of any thread.
    #[inline]
    pub(crate) fn own_space(&self, thread: ThreadId) -> Result<FlobId, Trap> {
        if self.current == Some(thread) && self.current_space != NOWHERE {
            return Ok(self.current_space);
        }
        self.space_of(thread).ok_or(Trap::NoSpace)
    }

    /// Forgets everything derived from flob state and builds it again. Law 3: nobody can tell.
    pub fn forget_derived(&mut self) {
        self.reconsider = true;
        self.machine.forget_all();
        self.rebuild_lists();
        self.rebuild_queues();
    }
}

#[cold]
fn no_thread(void: &Thread) -> &Thread {
    void
}

#[cold]
fn nobody(void: &mut Thread) -> &mut Thread {
    *void = Thread::new(Place { frame: Frame(0), offset: 0 }, 0);
    void
}

impl Space {
    /// What the exit stub must know.
    #[inline(always)]
    fn grants(&self) -> Grants<'_> {
        Grants { ports: &self.ports, trap_time: self.flags & flob_abi::space_flag::TRAP_TIME != 0 }
    }
}

macro_rules! bodies {
    ($($name:ident, $name_mut:ident, $variant:ident;)*) => {
        impl<M: Machine> Kernel<M> {
            $(
                #[inline]
                pub(crate) fn $name(&self, id: FlobId) -> Option<&crate::record::$variant> {
                    match &self.objects.get(id.0)?.body {
                        Body::$variant(body) => Some(body),
                        _ => None,
                    }
                }

                #[allow(dead_code, reason = "made for every kind alike")]
                #[inline]
                pub(crate) fn $name_mut(&mut self, id: FlobId) -> Option<&mut crate::record::$variant> {
                    match &mut self.objects.get_mut(id.0)?.body {
                        Body::$variant(body) => Some(body),
                        _ => None,
                    }
                }
            )*
        }
    };
}

bodies! {
    space, space_mut, Space;
    region, region_mut, Region;
    mapping, mapping_mut, Mapping;
    port, port_mut, Port;
    port_set, port_set_mut, PortSet;
    mutex, mutex_mut, Mutex;
    reference, reference_mut, Reference;
}

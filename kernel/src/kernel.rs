//! The kernel's whole state, and the way in: [`Kernel::event`] and [`Kernel::current`].

use alloc::vec;
use alloc::vec::Vec;

use flob_abi::Protection;

use crate::Event;
use crate::arena::Arena;
use crate::list::List;
use crate::machine::{Context, Frame, Grants, Machine, SpaceKey};
use crate::outcome::Trap;
use crate::record::{Body, FlobId, Object, Place, Space, Thread, ThreadId};
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
    pub(crate) root: Option<FlobId>,
    /// Frames that the first space sees.
    pub(crate) window: core::ops::Range<u32>,
    pub(crate) current: Option<ThreadId>,
    pub(crate) ready: Ready,
    pub(crate) timers: List,
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
    }

    /// A kernel with nothing in it. `window` is the range of frames that the first space will see: the pools are
    /// made for all of them full of flobs, here and never again.
    pub fn new(machine: M, window: core::ops::Range<Frame>) -> Self {
        let frames = window.end.0.saturating_sub(window.start.0) as usize;
        let epochs = crate::dirty::Epochs::new(machine.run_number(), window.end.0 as usize);
        Self {
            machine,
            epochs,
            threads: Arena::with_capacity(frames),
            objects: Arena::with_capacity(frames * GRANULES),
            granules: vec![0; window.end.0 as usize * GRANULES],
            root: None,
            window: window.start.0..window.end.0,
            current: None,
            ready: Ready::EMPTY,
            timers: List::EMPTY,
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
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Interrupt { line } => self.interrupt(line),
            Event::Tick => self.tick(),
            Event::Call | Event::Fault { .. } | Event::Trap { .. } => {
                let Some(thread) = self.current else { return };
                match event {
                    Event::Call => self.call(thread),
                    Event::Fault { address, access } => self.page_fault(thread, address, access),
                    Event::Trap { code, detail } => self.raise(thread, code, detail, 0, Protection::NONE),
                    _ => (),
                }
            }
        }
    }

    /// Whom to run now: its context, its translations and what it may do with devices. `None`: wait for an interrupt.
    pub fn current(&mut self) -> Option<(&mut Context, SpaceKey, Grants)> {
        let thread = self.choose()?;
        let space = self.threads.get(thread.0)?.space?;
        let grants = self.space(space)?.grants();
        let key = SpaceKey(space.0.index);
        let thread = self.threads.get_mut(thread.0)?;
        self.machine.check_context(&thread.context);
        Some((&mut thread.context, key, grants))
    }

    /// A thread. A stale id reads as one that was never set.
    pub(crate) fn thread(&self, id: ThreadId) -> &Thread {
        self.threads.get(id.0).unwrap_or(&self.void)
    }

    /// A thread, to change. Changes through a stale id are lost.
    pub(crate) fn thread_mut(&mut self, id: ThreadId) -> &mut Thread {
        match self.threads.get_mut(id.0) {
            Some(thread) => thread,
            None => {
                self.void = Thread::new(Place { frame: Frame(0), offset: 0 }, 0);
                &mut self.void
            }
        }
    }

    /// Whether a flob still exists.
    pub(crate) fn exists(&self, id: FlobId) -> bool {
        match id.as_thread() {
            Some(thread) => self.threads.get(thread.0).is_some(),
            None => self.objects.get(id.0).is_some(),
        }
    }

    /// A link, or `None` if what it named is gone.
    pub(crate) fn live(&self, link: Option<FlobId>) -> Option<FlobId> {
        link.filter(|id| self.exists(*id))
    }

    /// A link to a thread, or `None` if it is gone or no thread.
    pub(crate) fn live_thread(&self, link: Option<FlobId>) -> Option<ThreadId> {
        self.live(link)?.as_thread()
    }

    /// The space that a thread runs in.
    pub(crate) fn space_of(&self, thread: ThreadId) -> Option<FlobId> {
        self.live(self.thread(thread).space)
    }

    /// What a call needs to be about memory: its thread's space.
    pub(crate) fn own_space(&self, thread: ThreadId) -> Result<FlobId, Trap> {
        self.space_of(thread).ok_or(Trap::NoSpace)
    }

    /// Forgets everything derived from flob state and builds it again. Law 3: nobody can tell.
    pub fn forget_derived(&mut self) {
        self.machine.forget_all();
        self.rebuild_lists();
        self.rebuild_queues();
    }
}

impl Space {
    /// What the exit stub must know.
    fn grants(&self) -> Grants {
        Grants {
            ports: self.ports.map(|range| (range.first, range.count)),
            trap_time: self.flags & flob_abi::space_flag::TRAP_TIME != 0,
        }
    }
}

macro_rules! bodies {
    ($($name:ident, $name_mut:ident, $variant:ident;)*) => {
        impl<M: Machine> Kernel<M> {
            $(
                pub(crate) fn $name(&self, id: FlobId) -> Option<&crate::record::$variant> {
                    match &self.objects.get(id.0)?.body {
                        Body::$variant(body) => Some(body),
                        _ => None,
                    }
                }

                #[allow(dead_code, reason = "made for every kind alike")]
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

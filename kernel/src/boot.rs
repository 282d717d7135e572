//! The first space and thread, made before anything runs.

use flob_abi::{MAX_PRIORITY, PORT_RANGES, PortRange, start::start_reference, thread_flag};

use crate::Boot;
use crate::kernel::Kernel;
use crate::machine::{Frame, Machine};
use crate::record::{Body, FlobId, Object, Place, Reference, Space, Thread, ThreadId, Waiters};

impl<M: Machine> Kernel<M> {
    /// Makes the first space, which sees physical memory and owns every device, and its first thread.
    pub fn start(&mut self, boot: Boot) {
        let space = Space {
            ceiling: MAX_PRIORITY,
            interrupts: u64::MAX,
            ports: [PortRange { first: 0, count: u16::MAX }; PORT_RANGES],
            ..Space::default()
        };
        let behind = |frames: u32| Frame(boot.flobs.0.saturating_add(frames));
        let Some(space) = self.place(Place { frame: behind(1), offset: 0 }, Body::Space(space)) else {
            return;
        };
        self.root = Some(space);
        let Some(thread) = self.place_thread(Place { frame: boot.flobs, offset: 0 }) else { return };
        let record = self.thread_mut(thread);
        record.space = Some(space);
        record.context.registers.rip = boot.entry;
        record.context.registers.rsp = boot.stack;
        record.context.registers.rdi = boot.start_info;
        record.flags &= !thread_flag::STOPPED;
        let references = [
            (start_reference::PARENT, None),
            (start_reference::SPACE, Some(space)),
            (start_reference::THREAD, Some(thread.into())),
        ];
        for (offset, target) in references {
            let place = Place { frame: behind(2), offset: offset as u16 };
            self.place(place, Body::Reference(Reference { target }));
        }
        self.make_ready(thread);
    }

    fn place(&mut self, place: Place, body: Body) -> Option<FlobId> {
        let hash = self.new_hash(0);
        let id = FlobId(self.objects.insert(Object { place, hash, waiters: Waiters::EMPTY, body })?);
        self.occupy(place, id);
        Some(id)
    }

    fn place_thread(&mut self, place: Place) -> Option<ThreadId> {
        let hash = self.new_hash(0);
        let id = ThreadId(self.threads.insert(Thread::new(place, hash))?);
        self.occupy(place, id.into());
        Some(id)
    }
}

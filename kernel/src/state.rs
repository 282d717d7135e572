//! The calls that all kinds share: create, destroy, move, reference, get_state, set_state. Everything that can fail is
//! resolved first; then the change is made in one piece.

use flob_abi::flob::MAX_LINKS;
use flob_abi::{
    ConditionState, FlobKind, Misuse, PortSetState, Protection, SpaceState, Status, THREAD_STATE_HEAD,
    ThreadHead, VECTORS_SIZE, group,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::Kernel;
use crate::list::List;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap, status};
use crate::record::{Body, FlobId, Mutex, Object, PortSet, Reference, Thread, ThreadId, Waiters};
use crate::user::Buffer;

/// A link as `set_state` is to set it: `None` leaves it, `Some(None)` clears it.
pub(crate) type NewLinks = [Option<Option<FlobId>>; MAX_LINKS];

/// Flobs that one kernel entry takes out of the lists of a flob that is destroyed.
pub(crate) const BATCH: usize = 32;

/// Most bytes in the state of a flob that is no thread.
const MOST_PLAIN: usize = size_of::<SpaceState>();

/// The state of a flob that is no thread, as bytes.
pub(crate) struct PlainState {
    bytes: [u8; MOST_PLAIN],
    len: usize,
}

impl PlainState {
    #[inline]
    fn of<T: IntoBytes + zerocopy::Immutable>(state: &T) -> Self {
        let mut bytes = [0; MOST_PLAIN];
        let from = state.as_bytes();
        if let Some(to) = bytes.get_mut(..from.len()) {
            to.copy_from_slice(from);
        }
        Self { bytes, len: from.len() }
    }

    /// The struct that these bytes are.
    #[inline]
    fn read<T: FromBytes>(&self) -> Option<T> {
        T::read_from_prefix(&self.bytes).ok().map(|(state, _)| state)
    }
}

/// What comes of setting the flags of a kind that has none.
fn without_flags(flags: Option<u64>) -> Status {
    if flags.unwrap_or(0) == 0 { Status::Success } else { Status::InvalidState }
}

/// Bytes that a state buffer must have.
fn state_size(kind: FlobKind, mask: u64) -> usize {
    match kind {
        FlobKind::Thread if mask & group::VECTORS == 0 => THREAD_STATE_HEAD,
        _ => flob_abi::state_size(kind),
    }
}

impl<M: Machine> Kernel<M> {
    /// `X_create`.
    pub(crate) fn create(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let place = self.place_at(space, args.rdi, kind, Protection::WRITE)?;
        if !self.is_free(place, kind) {
            return Trap::misuse(Misuse::FlobExists, args.rdi);
        }
        let hash = self.new_hash(args.rsi);
        let id = if kind == FlobKind::Thread {
            let new = Thread::new(place, hash).watching(&self.thread(thread).context.debug);
            self.threads.insert(new).map(|id| ThreadId(id).into())
        } else {
            let body = self.new_body(kind, space);
            self.objects.insert(Object { place, hash, waiters: Waiters::EMPTY, body }).map(FlobId)
        };
        let Some(id) = id else { return status(Status::NoMemory) };
        self.occupy(place, id);
        SUCCESS
    }

    fn new_body(&self, kind: FlobKind, creator: FlobId) -> Body {
        match kind {
            FlobKind::Space => Body::Space(self.new_space(creator)),
            FlobKind::Region => Body::Region(crate::region::EMPTY),
            FlobKind::Mapping => Body::Mapping(crate::mapping::EMPTY),
            FlobKind::Port => Body::Port(crate::port::EMPTY),
            FlobKind::PortSet => {
                Body::PortSet(PortSet { flags: 0, ports: List::EMPTY, pending: List::EMPTY })
            }
            FlobKind::Mutex => Body::Mutex(Mutex::default()),
            FlobKind::Condition | FlobKind::Thread => Body::Condition,
            FlobKind::Reference => Body::Reference(Reference::default()),
        }
    }

    /// `X_destroy`.
    pub(crate) fn destroy(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let id = self.find(space, args.rdi, kind, Protection::WRITE)?;
        if id == thread.into() {
            return Trap::misuse(Misuse::CurrentThread, args.rdi);
        }
        // One flob's waiters at a time are told that it is gone.
        if self.arrears || !self.detach(id, kind) {
            return Ok(Done::Again);
        }
        self.destroy_flob(id, kind);
        SUCCESS
    }

    /// Takes a flob that is to be destroyed out of all lists. False if there is more to do than one entry may.
    fn detach(&mut self, id: FlobId, kind: FlobKind) -> bool {
        match kind {
            FlobKind::Space => return self.detach_space(id),
            FlobKind::Region => return self.detach_region(id),
            FlobKind::PortSet => return self.detach_port_set(id),
            FlobKind::Thread => self.detach_thread(id),
            FlobKind::Mapping => self.detach_mapping(id),
            FlobKind::Port => self.detach_port(id),
            FlobKind::Mutex | FlobKind::Condition | FlobKind::Reference => {}
        }
        true
    }

    fn destroy_flob(&mut self, id: FlobId, kind: FlobKind) {
        if let Some(place) = self.place_of(id) {
            self.vacate(place, kind);
        }
        let waiters = self.waiters(id);
        match id.as_thread() {
            Some(thread) => self.threads.remove(thread.0),
            None => self.objects.remove(id.0),
        };
        self.release_waiters(waiters);
    }

    /// `X_move`: the flob is at another place now; all links to it hold.
    pub(crate) fn move_flob(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let id = self.find(space, args.rdi, kind, Protection::WRITE)?;
        if id == thread.into() {
            return Trap::misuse(Misuse::CurrentThread, args.rdi);
        }
        let to = self.place_at(space, args.rsi, kind, Protection::WRITE)?;
        let Some(from) = self.place_of(id) else { return Trap::misuse(Misuse::NoFlob, args.rdi) };
        if to == from {
            return SUCCESS;
        }
        if !self.is_free(to, kind) {
            return Trap::misuse(Misuse::FlobExists, args.rsi);
        }
        self.vacate(from, kind);
        match id.as_thread() {
            Some(thread) => self.thread_mut(thread).place = to,
            None => {
                if let Some(object) = self.objects.get_mut(id.0) {
                    object.place = to;
                }
            }
        }
        self.occupy(to, id);
        SUCCESS
    }

    /// `X_reference`.
    pub(crate) fn make_reference(&mut self, _: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let id = self.find(space, args.rdi, kind, Protection::READ)?;
        let reference = self.find(space, args.rsi, FlobKind::Reference, Protection::WRITE)?;
        if let Some(reference) = self.reference_mut(reference) {
            reference.target = Some(id);
        }
        SUCCESS
    }

    /// `X_get_state`.
    #[inline(never)]
    pub(crate) fn get_state(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let access = if kind == FlobKind::Thread { Protection::WRITE } else { Protection::READ };
        let id = self.find(space, args.rdi, kind, access)?;
        if id == thread.into() {
            return Trap::misuse(Misuse::CurrentThread, args.rdi);
        }
        let buffer = self.state_buffer(space, args, kind, Protection::WRITE)?;
        if args.rdx != 0 {
            self.get_links(space, id, args.rdx, kind)?;
        }
        if let Some(buffer) = buffer {
            self.export_state(id, buffer, args.r10);
            self.thread_mut(thread).note(Protection::WRITE, args.rsi, state_size(kind, args.r10));
        } else if let Some(target) = id.as_thread() {
            self.stop(target);
        }
        SUCCESS
    }

    /// Writes a flob's state; a thread is stopped then.
    #[inline(always)]
    pub(crate) fn export_state(&mut self, id: FlobId, buffer: Buffer, mask: u64) {
        if let Some(target) = id.as_thread() {
            self.export_thread(target, buffer, mask);
            self.stop(target);
        } else if let Some(state) = self.plain_state(id) {
            self.write_buffer(buffer, state.bytes.get(..state.len).unwrap_or_default());
        }
    }

    /// Sets reference flobs to a flob's links.
    #[inline(never)]
    fn get_links(&mut self, space: FlobId, id: FlobId, array: u64, kind: FlobKind) -> Result<(), Trap> {
        let references = self.link_references(space, array, kind, Protection::WRITE)?;
        let links = self.links(id);
        for (reference, link) in references.into_iter().zip(links) {
            if let Some(reference) = reference.and_then(|id| self.reference_mut(id)) {
                reference.target = link;
            }
        }
        Ok(())
    }

    fn export_thread(&mut self, id: ThreadId, buffer: Buffer, mask: u64) {
        let head_part = buffer.part(0, THREAD_STATE_HEAD);
        let Self { threads, machine, epochs, .. } = self;
        let Some(record) = threads.get(id.0) else { return };
        match head_part.view_mut(machine, epochs) {
            Some(head) => record.export(head),
            None => {
                let head = record.head();
                self.write_buffer(head_part, head.as_bytes());
            }
        }
        if mask & group::VECTORS != 0 {
            let vectors = self.thread(id).context.vectors;
            self.write_buffer(buffer.part(THREAD_STATE_HEAD, vectors.len()), &vectors);
        }
    }

    /// `X_set_state`.
    #[inline(never)]
    pub(crate) fn set_state(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Outcome {
        let space = self.callers_space();
        let id = self.find(space, args.rdi, kind, Protection::WRITE)?;
        if id == thread.into() {
            return Trap::misuse(Misuse::CurrentThread, args.rdi);
        }
        let buffer = self.state_buffer(space, args, kind, Protection::READ)?;
        let mut links: NewLinks = [None; MAX_LINKS];
        if args.rdx != 0 && !self.read_links(space, args.rdx, kind, &mut links)? {
            return status(Status::InvalidState);
        }
        let status = match id.as_thread() {
            Some(target) => Some(self.import_thread(target, buffer, args.r10, links)),
            None => {
                let state = buffer.map(|buffer| {
                    let mut state = PlainState { bytes: [0; MOST_PLAIN], len: flob_abi::state_size(kind) };
                    self.read_buffer(buffer, state.bytes.get_mut(..state.len).unwrap_or_default());
                    state
                });
                self.apply_state(thread, id, kind, state.as_ref(), links)
            }
        };
        Ok(status.map_or(Done::Again, Done::Status))
    }

    /// The links that an array of references says to set. False if one of them does not fit.
    #[inline(never)]
    fn read_links(
        &mut self,
        space: FlobId,
        array: u64,
        kind: FlobKind,
        links: &mut NewLinks,
    ) -> Result<bool, Trap> {
        let references = self.link_references(space, array, kind, Protection::READ)?;
        for ((reference, link), index) in references.into_iter().zip(links).zip(0..) {
            let Some(reference) = reference.and_then(|id| self.reference(id)) else { continue };
            let target = self.live(reference.target);
            if target.is_some_and(|target| !self.link_fits(kind, index, target)) {
                return Ok(false);
            }
            *link = Some(target);
        }
        Ok(true)
    }

    fn import_thread(
        &mut self,
        target: ThreadId,
        buffer: Option<Buffer>,
        mask: u64,
        links: NewLinks,
    ) -> Status {
        let Some(buffer) = buffer else { return self.set_thread(target, None, mask, links) };
        let head_part = buffer.part(0, THREAD_STATE_HEAD);
        let Self { threads, machine, .. } = self;
        if mask & group::VECTORS == 0
            && let Some(record) = threads.get_mut(target.0)
            && let Some(head) = head_part.view(machine)
        {
            let Some(rank) = record.import(head, mask, links) else { return Status::InvalidState };
            self.set_links(target, rank, links);
            return Status::Success;
        }
        let mut head = ThreadHead::default();
        self.read_buffer(head_part, head.as_mut_bytes());
        let mut vectors = None;
        if mask & group::VECTORS != 0 {
            let vectors = vectors.insert([0; VECTORS_SIZE]);
            self.read_buffer(buffer.part(THREAD_STATE_HEAD, VECTORS_SIZE), vectors);
        }
        self.set_thread(target, Some((&head, vectors.as_ref())), mask, links)
    }

    fn state_buffer(
        &mut self,
        space: FlobId,
        args: Args,
        kind: FlobKind,
        access: Protection,
    ) -> Result<Option<Buffer>, Trap> {
        if args.rsi == 0 {
            return Ok(None);
        }
        self.user_buffer(space, args.rsi, state_size(kind, args.r10), access).map(Some)
    }

    /// The reference flobs that an array names; 0 stands for none.
    fn link_references(
        &mut self,
        space: FlobId,
        array: u64,
        kind: FlobKind,
        access: Protection,
    ) -> Result<[Option<FlobId>; MAX_LINKS], Trap> {
        let count = kind.links().len();
        let mut addresses = [0_u64; MAX_LINKS];
        let buffer = self.user_buffer(space, array, count * size_of::<u64>(), Protection::READ)?;
        let wanted = addresses.get_mut(..count).unwrap_or_default();
        self.read_buffer(buffer, wanted.as_mut_bytes());
        let mut references = [None; MAX_LINKS];
        for (slot, address) in references.iter_mut().zip(addresses).filter(|(_, address)| *address != 0) {
            *slot = Some(self.find(space, address, FlobKind::Reference, access)?);
        }
        Ok(references)
    }

    /// Whether a link of this kind may lead to such a flob.
    fn link_fits(&self, kind: FlobKind, index: usize, target: FlobId) -> bool {
        let Some(target) = self.kind_of(target) else { return false };
        let Some(name) = kind.links().get(index) else { return false };
        match *name {
            "space" => target == FlobKind::Space,
            "keeper" | "debug_port" => target == FlobKind::Port,
            "region" => target == FlobKind::Region,
            "port_set" => target == FlobKind::PortSet,
            "waiting_for" => !matches!(target, FlobKind::Mapping | FlobKind::Reference),
            _ => target == FlobKind::Thread,
        }
    }

    fn apply_state(
        &mut self,
        setter: ThreadId,
        id: FlobId,
        kind: FlobKind,
        state: Option<&PlainState>,
        links: NewLinks,
    ) -> Option<Status> {
        Some(match kind {
            FlobKind::Space => return self.set_space(setter, id, state.and_then(PlainState::read), links),
            FlobKind::Region => self.set_region(id, state.and_then(PlainState::read), links),
            FlobKind::Mapping => self.set_mapping(id, state.and_then(PlainState::read), links),
            FlobKind::Port => self.set_port(id, state.and_then(PlainState::read), links),
            FlobKind::PortSet => {
                without_flags(state.and_then(PlainState::read).map(|state: PortSetState| state.flags))
            }
            FlobKind::Mutex => self.set_mutex(id, state.and_then(PlainState::read), links),
            FlobKind::Condition => {
                without_flags(state.and_then(PlainState::read).map(|state: ConditionState| state.flags))
            }
            FlobKind::Thread | FlobKind::Reference => Status::InvalidState,
        })
    }

    /// A flob's links; those to what is gone are null.
    pub(crate) fn links(&self, id: FlobId) -> [Option<FlobId>; MAX_LINKS] {
        let mut links = [None; MAX_LINKS];
        if let Some(thread) = id.as_thread() {
            let thread = self.thread(thread);
            links = [
                thread.space,
                thread.waiting_for,
                thread.client_peer,
                thread.server_peer,
                thread.idempotent_client,
                thread.idempotent_server,
            ];
        } else if let Some(object) = self.objects.get(id.0) {
            [links[0], links[1]] = match &object.body {
                Body::Space(space) => [space.keeper, space.debug_port],
                Body::Region(region) => [region.space, region.keeper],
                Body::Mapping(mapping) => [mapping.region, mapping.space],
                Body::Port(port) => [port.set, None],
                Body::Mutex(mutex) => [mutex.owner.map(FlobId::from), None],
                Body::Reference(reference) => [reference.target, None],
                Body::PortSet(_) | Body::Condition => [None, None],
            };
        }
        links.map(|link| self.live(link))
    }

    #[inline]
    fn plain_state(&self, id: FlobId) -> Option<PlainState> {
        let object = self.objects.get(id.0)?;
        let hash = object.hash;
        Some(match &object.body {
            Body::Space(space) => PlainState::of(&space.state(hash)),
            Body::Region(region) => PlainState::of(&region.state(hash)),
            Body::Mapping(mapping) => PlainState::of(&mapping.state(hash)),
            Body::Port(port) => PlainState::of(&flob_abi::PortState { hash, alias: port.alias }),
            Body::PortSet(set) => PlainState::of(&PortSetState { hash, flags: set.flags }),
            Body::Mutex(mutex) => PlainState::of(&mutex.state(hash)),
            Body::Condition => PlainState::of(&ConditionState { hash, flags: 0 }),
            Body::Reference(_) => PlainState::of(&flob_abi::ReferenceState { hash }),
        })
    }
}

#[cfg(test)]
impl<M: Machine> Kernel<M> {
    /// The state of any flob, as `get_state` writes it with all groups.
    pub(crate) fn state_bytes(&self, id: FlobId) -> Option<alloc::vec::Vec<u8>> {
        if let Some(thread) = id.as_thread() {
            let record = self.thread(thread);
            return Some([record.head().as_bytes(), &record.context.vectors].concat());
        }
        let state = self.plain_state(id)?;
        state.bytes.get(..state.len).map(<[u8]>::to_vec)
    }
}

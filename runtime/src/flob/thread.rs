//! Threads, the bare flobs; [`crate::thread`] starts them with a stack.

use flob_abi::state::{group, thread_flag};
use flob_abi::{Call, Status, ThreadHead, ThreadState};

use super::{Common, Flob, FlobAt, Links, Referable, Reference, storage};
use crate::call;

storage! {
    /// Memory for a thread flob: a page. Links: see [`flob_abi::flob::thread_link`].
    Thread, ThreadState, 4096
}
impl Referable for Thread {}

/// FXSAVE's control word of the x87 unit, all exceptions masked, as at power-up after `fninit`.
const X87_CONTROL: [u8; 2] = 0x037fu16.to_le_bytes();
/// MXCSR with all exceptions masked, and where it is in FXSAVE's image.
const MXCSR: (usize, [u8; 4]) = (24, 0x1f80u32.to_le_bytes());

impl FlobAt<Thread> {
    /// The state of a thread that is to begin at `entry` with `argument` in rdi and an empty stack that ends at
    /// `stack` (a multiple of 16). It runs as high as its space's ceiling lets it; it is stopped.
    pub fn fresh_state(self, entry: u64, stack: u64, argument: u64) -> ThreadState {
        let mut state = ThreadState {
            flags: thread_flag::STOPPED,
            priority: flob_abi::MAX_PRIORITY,
            own_address: self.address(),
            ..ThreadState::default()
        };
        state.registers.rip = entry;
        state.registers.rsp = stack;
        state.registers.rdi = argument;
        state.registers.rflags = 2;
        let (at, mxcsr) = MXCSR;
        for (to, from) in state.vectors.iter_mut().zip(X87_CONTROL) {
            *to = from;
        }
        for (to, from) in state.vectors.iter_mut().skip(at).zip(mxcsr) {
            *to = from;
        }
        state
    }

    /// Creates it in `space`, stopped, with this state; its debug registers stay as they were made.
    pub fn prepare(self, space: FlobAt<Reference>, state: &ThreadState) -> Result<(), Status> {
        self.create()?;
        self.set_groups(state, &Links::of(&[space]), group::ALL & !group::DEBUG)
    }

    /// `get_state` without the vectors.
    pub fn head(self, links: &Links) -> Result<ThreadHead, Status> {
        let (call, links) = (Common::GetState.of(Thread::KIND), links.for_kind(Thread::KIND));
        // SAFETY: without the vectors a thread's state is a `ThreadHead`.
        unsafe { call::read_state(call, self.address(), links, group::ALL & !group::VECTORS) }
    }

    /// `get_state` of the links alone: it is stopped, too.
    pub fn links(self, links: &Links) -> Result<(), Status> {
        let links = links.for_kind(Thread::KIND);
        call::get_links(Common::GetState.of(Thread::KIND), self.address(), links).result()
    }

    /// `set_state` of the field groups in `mask` ([`group`]); the vectors are never among them.
    pub fn set_head(self, head: &ThreadHead, links: &Links, mask: u64) -> Result<(), Status> {
        let links = links.for_kind(Thread::KIND);
        let mask = mask & !group::VECTORS;
        call::set_state(Common::SetState.of(Thread::KIND), self.address(), Some(head), links, mask).result()
    }

    /// Stops it.
    pub fn halt(self) -> Result<(), Status> {
        self.links(&Links::NONE)
    }

    /// Stops it and says whether it was stopped already.
    pub fn stop(self) -> Result<bool, Status> {
        Ok(self.head(&Links::NONE)?.flags & thread_flag::STOPPED != 0)
    }

    /// `thread_interrupt`: posts an `Interrupt` exception to it; not to the caller itself.
    pub fn interrupt(self) -> Result<(), Status> {
        call::run(Call::ThreadInterrupt, self.address(), 0)
    }

    /// Lets it run. Exceptions are enabled if `exceptions_enabled` says so (the two flags are one group).
    pub fn resume(self, exceptions_enabled: bool) -> Result<(), Status> {
        let flags = if exceptions_enabled { thread_flag::EXCEPTIONS_ENABLED } else { 0 };
        self.set_head(&ThreadHead { flags, ..ThreadHead::default() }, &Links::NONE, group::CONTROL)
    }
}

/// `thread_get_server`: parks the server end of the caller's connection in `reference`; the client goes on waiting.
pub fn park_connection(reference: FlobAt<Reference>) -> Result<(), Status> {
    call::run(Call::ThreadGetServer, reference.address(), 0)
}

/// `thread_set_server`: takes a parked connection up.
pub fn take_connection(reference: FlobAt<Reference>) -> Result<(), Status> {
    call::run(Call::ThreadSetServer, reference.address(), 0)
}

/// `thread_get_client`: parks the client end of the caller's connection in `reference`; the server waits. Returns whether
/// the caller is the sender, for [`take_client_end`].
pub fn park_client_end(reference: FlobAt<Reference>) -> Result<bool, Status> {
    let outcome = call::plain(u64::from(Call::ThreadGetClient as u32), reference.address(), 0);
    let [_, sends, ..] = outcome.values;
    outcome.result().map(|()| sends != 0)
}

/// `thread_set_client`: takes a parked client end up, as the sender or the receiver that it was.
pub fn take_client_end(reference: FlobAt<Reference>, sends: bool) -> Result<(), Status> {
    call::run(Call::ThreadSetClient, reference.address(), u64::from(sends))
}

/// `thread_self`: the caller's own flob.
pub fn current() -> FlobAt<Thread> {
    let [address, ..] = call::plain(u64::from(Call::ThreadSelf as u32), 0, 0).values;
    FlobAt::new(address)
}

/// `thread_self`: how many exceptions the caller has had. A page that somebody keeps back is one.
pub fn exceptions() -> u64 {
    let [_, exceptions, ..] = call::plain(u64::from(Call::ThreadSelf as u32), 0, 0).values;
    exceptions
}

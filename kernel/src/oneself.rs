//! Calls of a thread about itself: its address, its handlers, its saved area, whether it takes exceptions.

use flob_abi::memory::is_canonical;
use flob_abi::{Handlers, Protection, SavedArea, Status, thread_flag};
use zerocopy::{Immutable, IntoBytes};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, status};
use crate::record::ThreadId;

/// Whether all handlers are addresses that RIP can hold.
#[inline(always)]
pub(crate) fn are_handlers(handlers: &Handlers) -> bool {
    are_canonical([handlers.trap, handlers.interrupt, handlers.client_alert, handlers.server_alert])
}

/// Whether each of these is canonical: half of all such addresses are added, so that no bit is set above them.
#[inline(always)]
pub(crate) fn are_canonical<const N: usize>(addresses: [u64; N]) -> bool {
    const BITS: u32 = 48;
    addresses.into_iter().fold(0, |bits, address| bits | address.wrapping_add(1 << (BITS - 1))) >> BITS == 0
}

impl<M: Machine> Kernel<M> {
    /// `thread_self`.
    pub(crate) fn thread_self(&mut self, thread: ThreadId, _: Args) -> Outcome {
        let record = self.thread_mut(thread);
        let registers = &mut record.context.registers;
        (registers.rdi, registers.rsi) = (record.own_address, record.exception.number);
        SUCCESS
    }

    /// `thread_return_from_exception`.
    pub(crate) fn thread_return_from_exception(&mut self, thread: ThreadId, _: Args) -> Outcome {
        self.return_from_exception(thread);
        Ok(Done::Kept)
    }

    /// `thread_enable_exceptions`: the call is over before a deferred exception comes.
    pub(crate) fn thread_enable_exceptions(&mut self, thread: ThreadId, _: Args) -> Outcome {
        self.complete(thread, Status::Success);
        self.enable_exceptions(thread);
        Ok(Done::Kept)
    }

    /// `thread_disable_exceptions`.
    pub(crate) fn thread_disable_exceptions(&mut self, thread: ThreadId, _: Args) -> Outcome {
        self.thread_mut(thread).flags &= !thread_flag::EXCEPTIONS_ENABLED;
        SUCCESS
    }

    /// `thread_get_handlers`.
    pub(crate) fn thread_get_handlers(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let handlers = self.thread(thread).handlers;
        self.give_own(thread, args.rdi, &handlers)
    }

    /// `thread_set_handlers`. What was deferred for want of a handler comes now.
    pub(crate) fn thread_set_handlers(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let handlers: Handlers = self.read_user(space, args.rdi)?;
        if !are_handlers(&handlers) {
            return status(Status::InvalidState);
        }
        self.thread_mut(thread).handlers = handlers;
        self.complete(thread, Status::Success);
        self.take_deferred(thread);
        Ok(Done::Kept)
    }

    /// `thread_get_saved_state`.
    pub(crate) fn thread_get_saved_state(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let saved = self.thread(thread).saved;
        self.give_own(thread, args.rdi, &saved)
    }

    /// `thread_set_saved_state`.
    pub(crate) fn thread_set_saved_state(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let saved: SavedArea = self.read_user(space, args.rdi)?;
        if !is_canonical(saved.rip) {
            return status(Status::InvalidState);
        }
        let rflags = crate::thread::settable_rflags(saved.rflags);
        self.thread_mut(thread).saved = SavedArea { rflags, ..saved };
        SUCCESS
    }

    /// Writes a part of a thread's own state where it wants it.
    fn give_own<T: IntoBytes + Immutable>(&mut self, thread: ThreadId, address: u64, value: &T) -> Outcome {
        let space = self.own_space(thread)?;
        let buffer = self.user_buffer(space, address, size_of::<T>(), Protection::WRITE)?;
        self.write_buffer(buffer, value.as_bytes());
        self.thread_mut(thread).note(Protection::WRITE, address, size_of::<T>());
        SUCCESS
    }
}

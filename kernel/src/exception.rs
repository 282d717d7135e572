//! Exceptions: raising one, finding who is asked, and how it ends. A thread with a pending exception does not run; it
//! waits, with its waiting-for link, for a port, for the thread that serves it, or, where there is no keeper, for
//! the space whose keeper is missing.

use flob_abi::{
    ExceptionCode, ExceptionReply, PAGE_SIZE, Protection, SavedArea, exception::reply_action, thread_flag,
};

use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, Page, SpaceKey};
use crate::record::{FlobId, ThreadId};
use crate::resolve::Miss;

/// DR6: the exception is a single step.
const DR6_STEP: u32 = 1 << 14;
/// Bytes below a stack pointer that compiled code may be using (System V ABI).
const RED_ZONE: u64 = 128;

impl<M: Machine> Kernel<M> {
    /// The hardware could not do an access: enter the translation if there is one, else it is a hard fault.
    pub(crate) fn page_fault(&mut self, thread: ThreadId, address: u64, access: Protection) {
        let Some(space) = self.space_of(thread) else { return };
        if address < flob_abi::memory::USER_END
            && let Ok(found) = self.resolve(space, address, access, None)
        {
            let key = SpaceKey(space.0.index);
            self.machine.install(key, Page(address / PAGE_SIZE), found.frame, found.access, Caching::WriteBack);
            return;
        }
        self.raise(thread, ExceptionCode::PageFault, 0, address, access);
    }

    /// Interrupts a thread with an exception and finds who is asked.
    pub(crate) fn raise(
        &mut self,
        thread: ThreadId,
        code: ExceptionCode,
        detail: u32,
        address: u64,
        access: Protection,
    ) {
        self.leave_queue(thread);
        let record = self.thread_mut(thread);
        record.waiting_for = None;
        record.exception.number = record.exception.number.wrapping_add(1);
        record.exception.code = code as u32;
        record.exception.detail = detail;
        record.exception.address = address;
        record.exception.access = access.0;
        record.exception.offset = 0;
        if !record.is_stopped() {
            self.dispatch_exception(thread);
        }
    }

    /// A single-stepped call has completed.
    pub(crate) fn raise_step(&mut self, thread: ThreadId) {
        self.thread_mut(thread).context.debug.dr6 |= u64::from(DR6_STEP);
        self.raise(thread, ExceptionCode::Debug, DR6_STEP, 0, Protection::NONE);
    }

    /// Whether another thread has this one's exception in its hands.
    pub(crate) fn is_being_served(&self, thread: ThreadId) -> bool {
        let record = self.thread(thread);
        let server = self.live_thread(record.idempotent_server);
        server.is_some_and(|server| {
            record.waiting_for == Some(server.into())
                && self.thread(server).idempotent_client == Some(thread.into())
        })
    }

    /// Finds whom a pending exception goes to; nobody has it now.
    pub(crate) fn dispatch_exception(&mut self, thread: ThreadId) {
        let Some(space) = self.space_of(thread) else { return };
        let record = self.thread(thread);
        let Some(code) = ExceptionCode::from_number(record.exception.code) else {
            return self.end_exception(thread);
        };
        let (address, access) = (record.exception.address, Protection::from_bits(record.exception.access));
        if code == ExceptionCode::PageFault {
            match self.resolve(space, address, access, None) {
                Ok(_) => return self.end_exception(thread),
                Err(Miss::Region { region, offset }) => {
                    self.thread_mut(thread).exception.offset = offset;
                    if let Some(keeper) = self.live(self.region(region).and_then(|region| region.keeper)) {
                        return self.ask(thread, keeper);
                    }
                }
                Err(Miss::Mapping) => {}
            }
        }
        let debug_port = self.live(self.space(space).and_then(|space| space.debug_port));
        if let Some(port) = debug_port.filter(|_| code.is_debug()) {
            return self.ask(thread, port);
        }
        if self.enter_handler(thread, code) {
            return;
        }
        match self.live(self.space(space).and_then(|space| space.keeper)) {
            Some(keeper) => self.ask(thread, keeper),
            None => self.wait(thread, space),
        }
    }

    /// Sends the exception to a port: the thread waits there until a server takes it.
    fn ask(&mut self, thread: ThreadId, port: FlobId) {
        self.wait(thread, port);
        self.notify_servers(port);
    }

    /// The exception is over: the thread runs its instruction or call again.
    pub(crate) fn end_exception(&mut self, thread: ThreadId) {
        self.thread_mut(thread).exception.code = 0;
        self.wake(thread);
    }

    /// Lets the thread's own handler take it, if it has one and wants it.
    fn enter_handler(&mut self, thread: ThreadId, code: ExceptionCode) -> bool {
        let record = self.thread_mut(thread);
        let handler = match code {
            ExceptionCode::Interrupt => record.handlers.interrupt,
            ExceptionCode::ClientAlert => record.handlers.client_alert,
            ExceptionCode::ServerAlert => record.handlers.server_alert,
            _ => record.handlers.trap,
        };
        if record.flags & thread_flag::EXCEPTIONS_ENABLED == 0 || handler == 0 {
            return false;
        }
        let exception = record.exception;
        let registers = &mut record.context.registers;
        record.saved = SavedArea {
            rax: registers.rax,
            rcx: registers.rcx,
            rdx: registers.rdx,
            rsi: registers.rsi,
            rdi: registers.rdi,
            r11: registers.r11,
            rip: registers.rip,
            rflags: registers.rflags,
        };
        registers.rip = handler;
        registers.rdi = record.own_address;
        registers.rsi = u64::from(exception.code) | u64::from(exception.detail) << 32;
        registers.rdx = exception.address;
        registers.rcx = u64::from(exception.access);
        // The handler's stub makes room below the interrupted red zone itself; rax tells it how much.
        registers.rax = RED_ZONE;
        record.flags &= !thread_flag::EXCEPTIONS_ENABLED;
        self.end_exception(thread);
        true
    }

    /// Back to where the saved area says.
    pub(crate) fn return_from_exception(&mut self, thread: ThreadId) {
        let record = self.thread_mut(thread);
        let saved = record.saved;
        let registers = &mut record.context.registers;
        (registers.rax, registers.rcx, registers.rdx) = (saved.rax, saved.rcx, saved.rdx);
        (registers.rsi, registers.rdi, registers.r11) = (saved.rsi, saved.rdi, saved.r11);
        registers.rip = saved.rip;
        registers.rflags = crate::thread::settable_rflags(saved.rflags);
        record.flags |= thread_flag::EXCEPTIONS_ENABLED;
    }

    /// A server answers the exception it holds: it ends, if the number fits; a denial may be lifted.
    pub(crate) fn answer_exception(&mut self, client: ThreadId, reply: ExceptionReply) {
        let record = self.thread(client);
        if !record.has_exception() || record.exception.number != reply.number {
            return;
        }
        let exception = record.exception;
        if reply.action == reply_action::LIFT && exception.code == ExceptionCode::PageFault as u32 {
            self.lift(client, exception.address, Protection::from_bits(reply.access));
        }
        self.end_exception(client);
    }

    /// Enters a translation in spite of the one region that denies it: a page-table entry and nothing more.
    fn lift(&mut self, thread: ThreadId, address: u64, access: Protection) {
        let Some(space) = self.space_of(thread) else { return };
        let Err(Miss::Region { region, .. }) = self.resolve(space, address, access, None) else { return };
        if let Ok(found) = self.resolve(space, address, access, Some(region)) {
            let key = SpaceKey(space.0.index);
            let granted = access.or(Protection::READ).and(found.access);
            self.machine.install(key, Page(address / PAGE_SIZE), found.frame, granted, Caching::WriteBack);
        }
    }
}

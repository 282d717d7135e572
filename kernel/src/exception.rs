//! Exceptions: raising one, finding who is asked, and how it ends. A thread with a pending exception does not run; it
//! waits, with its waiting-for link, for a port, for the thread that serves it, or, where there is no keeper, for
//! the space whose keeper is missing.

use flob_abi::{ExceptionCode, ExceptionReply, Protection, SavedArea, exception::reply_action, thread_flag};

use crate::kernel::Kernel;
use crate::machine::{Context, Machine};
use crate::record::{FlobId, Queue, ThreadId};
use crate::resolve::Miss;
use crate::thread::{TRAP_FLAG, WATCHED};

/// DR6: the exception is a single step.
const DR6_STEP: u64 = 1 << 14;
/// Bytes below a stack pointer that compiled code may be using (System V ABI).
const RED_ZONE: u64 = 128;

/// Who is to handle an exception.
enum Whom {
    /// A keeper's or debug port.
    Port(FlobId),
    /// The thread itself, at this address.
    Handler(u64),
    /// Its space should have a keeper and has none.
    Nobody { space: FlobId },
    /// Nobody: what was missing is there by now.
    Over,
    /// The thread itself, once it can: the exception is asynchronous.
    Later,
}

impl<M: Machine> Kernel<M> {
    /// The hardware could not do an access: enter the translation if there is one, else it is a hard fault.
    #[inline(always)]
    pub(crate) fn page_fault(&mut self, thread: ThreadId, address: u64, access: Protection) {
        let Ok(space) = self.own_space(thread) else { return };
        match self.resolve(space, address, access, None) {
            Ok(found) => {
                self.enter_translation(space, address, found, found.access, access);
                if !access.allows(Protection::WRITE) {
                    self.read_ahead(space, address, found);
                }
            }
            Err(miss) => {
                self.interrupt_with(thread, ExceptionCode::PageFault, 0, address, access);
                self.hard_fault(thread, space, miss);
            }
        }
    }

    #[inline(never)]
    fn hard_fault(&mut self, thread: ThreadId, space: FlobId, miss: Miss) {
        if !self.thread(thread).is_stopped() {
            let whom = self.whom_to_ask_of(thread, space, ExceptionCode::PageFault, Some(miss));
            self.dispatch_to(thread, whom);
        }
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
        self.interrupt_with(thread, code, detail, address, access);
        if !self.thread(thread).is_stopped() {
            self.dispatch_exception(thread);
        }
    }

    /// Enters a new exception in a thread's state, and nothing more.
    #[inline(always)]
    fn interrupt_with(
        &mut self,
        thread: ThreadId,
        code: ExceptionCode,
        detail: u32,
        address: u64,
        access: Protection,
    ) {
        self.reconsider = true;
        let record = self.thread(thread);
        if record.waiting_for.is_some() || !matches!(record.queue, Queue::None) {
            self.break_off(thread);
        }
        let record = self.thread_mut(thread);
        record.exception.number = record.exception.number.wrapping_add(1);
        record.exception.code = code as u32;
        record.exception.detail = detail;
        record.exception.address = address;
        record.exception.access = access.0;
        record.exception.offset = 0;
        record.lift = None;
        record.idempotent_server = None;
    }

    /// A thread waits no more; what it was woken for is for somebody else.
    #[inline(never)]
    fn break_off(&mut self, thread: ThreadId) {
        let woken = self.woken_for(thread);
        self.leave_queue(thread);
        self.thread_mut(thread).waiting_for = None;
        self.pass_on(woken);
    }

    /// A call has written what the thread watches, or is over and was stepped.
    pub(crate) fn raise_debug(&mut self, thread: ThreadId, is_over: bool) {
        let Context { debug, registers, .. } = &mut self.thread_mut(thread).context;
        let step = if is_over && registers.rflags & TRAP_FLAG != 0 { DR6_STEP } else { 0 };
        let detail = debug.dr6 & WATCHED | step;
        debug.dr6 = debug.dr6 & !WATCHED | step;
        self.raise(thread, ExceptionCode::Debug, detail as u32, 0, Protection::NONE);
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

    /// Whether a pending exception is where it belongs: with a server, or waiting at the port that must be asked.
    pub(crate) fn asks_already(&mut self, thread: ThreadId) -> bool {
        if self.is_being_served(thread) {
            return true;
        }
        let Queue::Waiters(on) = self.thread(thread).queue else { return false };
        match self.whom_to_ask(thread) {
            Some(Whom::Port(port)) => port == on,
            Some(Whom::Nobody { space }) => space == on,
            // What was missing is there by now: whoever was asked will say so. Or dropping queues would answer for him.
            Some(Whom::Over) => self.port(on).is_some(),
            _ => false,
        }
    }

    /// Nobody has a pending exception any more: it is dispatched once more, unless the thread is stopped.
    pub(crate) fn dispatch_again(&mut self, thread: ThreadId) {
        self.leave_queue(thread);
        self.thread_mut(thread).waiting_for = None;
        if !self.thread(thread).is_stopped() {
            self.dispatch_exception(thread);
        }
    }

    /// Finds whom a pending exception goes to; nobody has it now.
    pub(crate) fn dispatch_exception(&mut self, thread: ThreadId) {
        let whom = self.whom_to_ask(thread);
        self.dispatch_to(thread, whom);
    }

    #[inline(always)]
    fn dispatch_to(&mut self, thread: ThreadId, whom: Option<Whom>) {
        match whom {
            Some(Whom::Over) => self.end_exception(thread),
            Some(Whom::Port(port)) => self.ask(thread, port),
            Some(Whom::Handler(handler)) => self.enter_handler(thread, handler),
            Some(Whom::Nobody { space }) => self.wait(thread, space),
            Some(Whom::Later) => {
                let exception = &mut self.thread_mut(thread).exception;
                exception.deferred |= 1_u32.unbounded_shl(exception.code) & crate::asynchronous::DEFERRABLE;
                self.end_exception(thread);
            }
            None => {}
        }
    }

    /// Who is to handle a thread's pending exception, as things are. `None` for a thread without a space.
    fn whom_to_ask(&mut self, thread: ThreadId) -> Option<Whom> {
        let space = self.space_of(thread)?;
        let exception = self.thread(thread).exception;
        let Some(code) = ExceptionCode::from_number(exception.code) else { return Some(Whom::Over) };
        let mut miss = None;
        if code == ExceptionCode::PageFault {
            match self.resolve(space, exception.address, Protection::from_bits(exception.access), None) {
                Ok(_) => return Some(Whom::Over),
                Err(found) => miss = Some(found),
            }
        }
        self.whom_to_ask_of(thread, space, code, miss)
    }

    /// The same if there is something to be asked about, which is `miss` for a page fault.
    #[inline(always)]
    fn whom_to_ask_of(
        &mut self,
        thread: ThreadId,
        space: FlobId,
        code: ExceptionCode,
        miss: Option<Miss>,
    ) -> Option<Whom> {
        if let Some(Miss::Region { region, offset }) = miss {
            let keeper = self.live(self.region(region).and_then(|region| region.keeper));
            let record = self.thread_mut(thread);
            record.exception.offset = offset;
            record.lift = keeper.map(|_| region);
            if let Some(keeper) = keeper {
                return Some(Whom::Port(keeper));
            }
        }
        let (debug_port, keeper) = self.space(space).map(|space| (space.debug_port, space.keeper))?;
        if let Some(port) = self.live(debug_port).filter(|_| code.is_debug()) {
            return Some(Whom::Port(port));
        }
        if let Some(handler) = self.handler(thread, code) {
            return Some(Whom::Handler(handler));
        }
        if ExceptionCode::ASYNCHRONOUS.contains(&code) {
            return Some(Whom::Later);
        }
        Some(self.live(keeper).map_or(Whom::Nobody { space }, Whom::Port))
    }

    /// Sends the exception to a port: the thread waits there until a server takes it.
    fn ask(&mut self, thread: ThreadId, port: FlobId) {
        if !self.hand_in(thread, port) {
            self.wait(thread, port);
            self.notify_servers(port);
        }
    }

    /// The exception is over: the thread runs its instruction or call again.
    pub(crate) fn end_exception(&mut self, thread: ThreadId) {
        let code = core::mem::take(&mut self.thread_mut(thread).exception.code);
        let rflags = self.thread(thread).context.registers.rflags;
        self.wake(thread);
        if ExceptionCode::from_number(code).is_some_and(ExceptionCode::is_debug) {
            // Only what is executed again may pass a breakpoint.
            self.thread_mut(thread).context.registers.rflags = rflags;
        }
        if self.thread(thread).exception.deferred != 0 {
            self.take_deferred(thread);
        }
    }

    /// The thread's own handler for an exception, if it has one and wants it.
    pub(crate) fn handler(&self, thread: ThreadId, code: ExceptionCode) -> Option<u64> {
        let record = self.thread(thread);
        let handler = match code {
            ExceptionCode::Interrupt => record.handlers.interrupt,
            ExceptionCode::ClientAlert => record.handlers.client_alert,
            ExceptionCode::ServerAlert => record.handlers.server_alert,
            _ => record.handlers.trap,
        };
        (record.flags & thread_flag::EXCEPTIONS_ENABLED != 0 && handler != 0).then_some(handler)
    }

    /// The thread goes on in its own handler.
    fn enter_handler(&mut self, thread: ThreadId, handler: u64) {
        let space = self.space_of(thread).and_then(|space| self.space(space));
        let is_debugged = self.live(space.and_then(|space| space.debug_port)).is_some();
        let record = self.thread_mut(thread);
        let exception = record.exception;
        let registers = &mut record.context.registers;
        // A debugger's step goes on into the handler, and ends there: nobody expects it behind the handler's return.
        let step = if is_debugged { TRAP_FLAG } else { 0 };
        record.saved = SavedArea {
            rax: registers.rax,
            rcx: registers.rcx,
            rdx: registers.rdx,
            rsi: registers.rsi,
            rdi: registers.rdi,
            r11: registers.r11,
            rip: registers.rip,
            rflags: registers.rflags & !step,
        };
        // It starts with clear flags otherwise.
        registers.rflags = crate::thread::settable_rflags(registers.rflags & step);
        registers.rip = handler;
        registers.rdi = record.own_address;
        registers.rsi = u64::from(exception.code) | u64::from(exception.detail) << 32;
        registers.rdx = exception.address;
        registers.rcx = u64::from(exception.access);
        // The handler's stub makes room below the interrupted red zone itself; rax tells it how much.
        registers.rax = RED_ZONE;
        record.flags &= !thread_flag::EXCEPTIONS_ENABLED;
        self.end_exception(thread);
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
        self.enable_exceptions(thread);
    }

    /// A server answers the exception it holds: it ends, if the number fits; a denial may be lifted. False if this answers
    /// nothing.
    pub(crate) fn answer_exception(&mut self, client: ThreadId, reply: ExceptionReply) -> bool {
        let exception = self.thread(client).exception;
        if !self.thread(client).has_exception() || exception.number != reply.number {
            return false;
        }
        if reply.action == reply_action::LIFT && exception.code == ExceptionCode::PageFault as u32 {
            self.lift(client, exception.address, Protection::from_bits(reply.access));
        }
        let record = self.thread_mut(client);
        record.idempotent_server = None;
        record.lift = None;
        self.end_exception(client);
        true
    }

    /// Enters a translation in spite of the one region that denies it, if that region's keeper was asked: a page-table entry
    /// and nothing more.
    fn lift(&mut self, thread: ThreadId, address: u64, access: Protection) {
        let Some(space) = self.space_of(thread) else { return };
        let Some(asked) = self.thread(thread).lift else { return };
        if let Ok(found) = self.resolve(space, address, access, Some(asked)) {
            let granted = access.or(Protection::READ).and(found.access);
            self.enter_translation(space, address, found, granted, granted);
        }
    }
}

//! Asynchronous exceptions: interrupts and alerts. They are posted by somebody else, wait in the thread's state while it
//! cannot take them, and go to its own handler and nobody else.

use flob_abi::{Call, ExceptionCode, FlobKind, Misuse, Protection, thread_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Outcome, SUCCESS, Trap};
use crate::record::ThreadId;

/// The bits that `PendingException::deferred` can have.
pub(crate) const DEFERRABLE: u32 =
    ExceptionCode::Interrupt.bit() | ExceptionCode::ClientAlert.bit() | ExceptionCode::ServerAlert.bit();

impl<M: Machine> Kernel<M> {
    /// `thread_interrupt`.
    pub(crate) fn thread_interrupt(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, FlobKind::Thread, Protection::WRITE)?;
        match id.as_thread() {
            Some(target) if target != thread => self.post(target, ExceptionCode::Interrupt),
            _ => return Trap::misuse(Misuse::CurrentThread, args.rdi),
        }
        SUCCESS
    }

    /// Posts an asynchronous exception. One that is posted twice before it is taken comes once.
    pub(crate) fn post(&mut self, thread: ThreadId, code: ExceptionCode) {
        self.thread_mut(thread).exception.deferred |= code.bit();
        self.take_deferred(thread);
    }

    /// Sends a thread into its handler for the first deferred exception that it can take now. Whatever it waits for, its
    /// registers say what is left of that call.
    pub(crate) fn take_deferred(&mut self, thread: ThreadId) {
        let record = self.thread(thread);
        if record.exception.deferred == 0 || record.is_stopped() || record.has_exception() {
            return;
        }
        let deferred = |code: &ExceptionCode| record.exception.deferred & code.bit() != 0;
        let next = ExceptionCode::ASYNCHRONOUS
            .into_iter()
            .find(|code| deferred(code) && self.handler(thread, *code).is_some());
        let Some(code) = next.filter(|_| self.space_of(thread).is_some()) else { return };
        self.leave_sleep(thread);
        self.thread_mut(thread).exception.deferred &= !code.bit();
        self.raise(thread, code, 0, 0, Protection::NONE);
    }

    /// A sleeper on a condition variable that goes elsewhere would miss its signal there: it counts as signalled.
    fn leave_sleep(&mut self, thread: ThreadId) {
        let Some(on) = self.live(self.thread(thread).waiting_for) else { return };
        let registers = self.thread(thread).context.registers;
        if self.kind_of(on) == Some(FlobKind::Condition) && registers.rax == Call::ConditionSleep as u64 {
            self.begin_lock(thread);
        }
    }

    /// Lets the own handlers be asked, and what was deferred come.
    pub(crate) fn enable_exceptions(&mut self, thread: ThreadId) {
        self.thread_mut(thread).flags |= thread_flag::EXCEPTIONS_ENABLED;
        self.take_deferred(thread);
    }
}

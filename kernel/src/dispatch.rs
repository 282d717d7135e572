//! From a call number to its function: registers are decoded once, here, and every call has the same signature.

use flob_abi::{Call, ExceptionCode, FlobKind, Misuse, Protection, Registers, Status, ipc};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, Trap};
use crate::record::ThreadId;

/// A call's function, its end included; the arguments are in registers. (What every call's own function is: see
/// [`Kernel::run`].)
type Function<M> = fn(&mut Kernel<M>, ThreadId, u64, u64, u64, u64) -> bool;
/// The function of a call.
macro_rules! run {
    ($call:ident) => {
        |kernel, thread, rdi, rsi, rdx, r10| kernel.run(thread, Args { rdi, rsi, rdx, r10 }, Self::$call)
    };
}

/// That of one which all kinds of flob share.
macro_rules! run_common {
    ($call:ident) => {
        |kernel, thread, rdi, rsi, rdx, r10| {
            let of_kind = |kernel: &mut Self, thread, args| kernel.of_kind(thread, args, Self::$call);
            kernel.run(thread, Args { rdi, rsi, rdx, r10 }, of_kind)
        }
    };
}

/// Numbers of calls that are no IPC are less.
const NUMBERS: usize = 0x100;

impl<M: Machine> Kernel<M> {
    /// The current thread executed `syscall`. True if its call is over and it goes on, with what it had but for `rax`, RIP and
    /// the registers of arguments: none that functions keep for their callers.
    #[inline(always)]
    pub fn call(&mut self) -> bool {
        let Some(thread) = self.current else { return false };
        let Some(record) = self.threads.get(thread.0) else { return false };
        let Registers { rax: number, rdi, rsi, rdx, r10, .. } = record.context.registers;
        if self.current_reflects {
            self.reflect(thread);
            return false;
        }
        if number & ipc::IPC != 0 {
            self.ipc_call(thread, number);
            return false;
        }
        // The one call that needs nothing: neither arguments nor a space nor memory.
        if number != Call::Null as u64 {
            return match Self::FUNCTIONS.get(number as usize) {
                Some(function) => function(self, thread, rdi, rsi, rdx, r10),
                None => Self::run_unknown(self, thread, rdi, rsi, rdx, r10),
            };
        }
        self.end_current(thread, Status::Success)
    }

    /// The same once more, with what it needs at hand now.
    #[inline(never)]
    fn call_again(&mut self) -> bool {
        self.call()
    }

    #[cold]
    #[inline(never)]
    fn reflect(&mut self, thread: ThreadId) {
        self.raise(thread, ExceptionCode::ReflectedCall, 0, 0, Protection::NONE);
    }

    /// Runs a call. True if it is over and the thread goes on.
    #[inline(always)]
    fn run(
        &mut self,
        thread: ThreadId,
        args: Args,
        call: impl Fn(&mut Self, ThreadId, Args) -> Outcome,
    ) -> bool {
        // Each is the last thing that is done, so that the usual way has nothing to keep meanwhile.
        match call(self, thread, args) {
            Ok(Done::Status(status)) => self.end_current(thread, status),
            Ok(Done::Wait(on)) => {
                self.block(thread, on);
                false
            }
            Ok(Done::HandOver(mutex)) => self.end_unlock(thread, mutex),
            Err(Trap::Unsettled { address, kind }) => self.settle_address(thread, address, kind),
            Err(Trap::Misuse { misuse, address }) => self.blame(thread, misuse, address),
            other => {
                self.conclude(thread, other);
                false
            }
        }
    }

    fn run_unknown(&mut self, thread: ThreadId, rdi: u64, rsi: u64, rdx: u64, r10: u64) -> bool {
        self.run(thread, Args { rdi, rsi, rdx, r10 }, Self::unknown_call)
    }

    /// A call did not find its flob at once: the long way tells why. If it is there, the call runs again.
    #[cold]
    #[inline(never)]
    fn settle_address(&mut self, thread: ThreadId, address: u64, kind: FlobKind) -> bool {
        let found = self.find(self.callers_space(), address, kind, Protection::WRITE);
        match found {
            Ok(_) => self.call_again(),
            Err(trap) => {
                self.conclude(thread, Err(trap));
                false
            }
        }
    }

    /// The caller did what makes no sense.
    #[cold]
    #[inline(never)]
    fn blame(&mut self, thread: ThreadId, misuse: Misuse, address: u64) -> bool {
        self.conclude(thread, Trap::misuse(misuse, address));
        false
    }

    /// What becomes of a thread whose call is not over.
    #[inline(never)]
    pub(crate) fn conclude(&mut self, thread: ThreadId, outcome: Outcome) {
        self.reconsider = true;
        match outcome {
            Ok(Done::Status(status)) => self.complete(thread, status),
            Ok(Done::Wait(on)) => {
                self.wait(thread, on);
                if self.current == Some(thread) {
                    self.current = None;
                }
            }
            Ok(Done::HandOver(mutex)) => drop(self.end_unlock(thread, mutex)),
            Ok(Done::Kept) => {}
            Ok(Done::Again) => self.wake(thread),
            Err(Trap::Fault { address, access }) => self.call_fault(thread, address, access),
            Err(Trap::Misuse { misuse, address }) => {
                self.raise(thread, ExceptionCode::Misuse, misuse as u32, address, Protection::NONE);
            }
            Err(Trap::Unsettled { .. } | Trap::NoSpace) => {}
        }
    }

    /// Memory that a call needs is not there: as if the thread itself had touched it. The call then runs again.
    #[inline(never)]
    fn call_fault(&mut self, thread: ThreadId, address: u64, access: Protection) {
        self.page_fault(thread, address, access);
    }

    /// The function of each call that is no IPC, by its number.
    const FUNCTIONS: [Function<M>; NUMBERS] = {
        let mut functions: [Function<M>; NUMBERS] = [Self::run_unknown; NUMBERS];
        let mut number = 0;
        while number < NUMBERS {
            if let Some(call) = Call::from_number(number as u64) {
                functions[number] = if is_common(number as u64) {
                    Self::common(number as u64 & 0xf)
                } else {
                    Self::function(call)
                };
            }
            number += 1;
        }
        functions
    };

    /// The function of a call that all kinds of flob share.
    const fn common(which: u64) -> Function<M> {
        match which {
            0 => run_common!(create),
            1 => run_common!(destroy),
            2 => run_common!(move_flob),
            3 => run_common!(make_reference),
            4 => run_common!(get_state),
            _ => run_common!(set_state),
        }
    }

    /// Runs a call that all kinds of flob share: which kind it is about is part of its number.
    #[inline(always)]
    fn of_kind(
        &mut self,
        thread: ThreadId,
        args: Args,
        call: impl Fn(&mut Self, ThreadId, Args, FlobKind) -> Outcome,
    ) -> Outcome {
        let number = self.thread(thread).context.registers.rax as u32;
        match FlobKind::from_number(number >> 4) {
            Some(kind) => call(self, thread, args, kind),
            None => Trap::misuse(Misuse::UnknownCall, u64::from(number)),
        }
    }

    fn unknown_call(&mut self, thread: ThreadId, _: Args) -> Outcome {
        Trap::misuse(Misuse::UnknownCall, self.thread(thread).context.registers.rax)
    }

    /// The function of a call that is no other kind's too.
    const fn function(call: Call) -> Function<M> {
        match call {
            Call::TimerWait => run!(timer_wait),
            Call::InterruptWait => run!(interrupt_wait),
            Call::KernelLog => run!(kernel_log),
            Call::MachineExit => run!(machine_exit),
            Call::ThreadSelf => run!(thread_self),
            Call::ReturnFromException => run!(thread_return_from_exception),
            Call::ThreadGetServer => run!(thread_get_server),
            Call::ThreadSetServer => run!(thread_set_server),
            Call::ThreadGetClient => run!(thread_get_client),
            Call::ThreadSetClient => run!(thread_set_client),
            Call::ThreadInterrupt => run!(thread_interrupt),
            Call::ThreadEnableExceptions => run!(thread_enable_exceptions),
            Call::ThreadDisableExceptions => run!(thread_disable_exceptions),
            Call::ThreadGetHandlers => run!(thread_get_handlers),
            Call::ThreadSetHandlers => run!(thread_set_handlers),
            Call::ThreadGetSavedState => run!(thread_get_saved_state),
            Call::ThreadSetSavedState => run!(thread_set_saved_state),
            Call::RegionSearch => run!(region_search),
            Call::RegionProtect => run!(region_protect),
            Call::MappingProtect => run!(mapping_protect),
            Call::MutexLock => run!(mutex_lock),
            Call::MutexTryLock => run!(mutex_trylock),
            Call::MutexUnlock => run!(mutex_unlock),
            Call::ConditionWait => run!(condition_wait),
            Call::ConditionSleep => run!(condition_sleep),
            Call::ConditionSignal => run!(condition_signal),
            Call::ConditionBroadcast => run!(condition_broadcast),
            Call::ReferenceCopy => run!(reference_copy),
            Call::ReferenceCompare => run!(reference_compare),
            Call::ReferenceType => run!(reference_type),
            Call::ReferenceHash => run!(reference_hash),
            Call::ReferenceLocate => run!(reference_locate),
            Call::ReferenceCheck => run!(reference_check),
            Call::EpochBegin => run!(epoch_begin),
            Call::RegionDirty => run!(region_dirty),
            Call::RegionExport => run!(region_export),
            _ => Self::run_unknown,
        }
    }
}

/// Whether this is one of the calls that all kinds of flob share, but for references, which have but three of them.
const fn is_common(number: u64) -> bool {
    const REFERENCE: u64 = FlobKind::Reference as u64;
    let shared = match number >> 4 {
        REFERENCE => 3,
        1..REFERENCE => 6,
        _ => 0,
    };
    number & 0xf < shared
}

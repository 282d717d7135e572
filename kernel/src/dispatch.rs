//! From a call number to its function: registers are decoded once, here, and every call has the same signature.

use flob_abi::{Call, ExceptionCode, FlobKind, Misuse, Protection, Registers, Status, ipc};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, Trap};
use crate::record::ThreadId;

/// What every call is.
type Function<M> = fn(&mut Kernel<M>, ThreadId, Args) -> Outcome;
/// Numbers of calls that are no IPC are less.
const NUMBERS: usize = 0x100;

impl<M: Machine> Kernel<M> {
    /// The current thread executed `syscall`.
    #[inline(always)]
    pub(crate) fn call(&mut self, thread: ThreadId) {
        let Some(record) = self.threads.get_mut(thread.0) else { return };
        let registers = &mut record.context.registers;
        let number = registers.rax;
        if self.current_reflects {
            return self.reflect(thread);
        }
        if number & ipc::IPC != 0 {
            return self.ipc_call(thread, number);
        }
        // The one call that needs nothing: neither arguments nor a space nor memory.
        if number != Call::Null as u64 {
            return self.numbered_call(thread, number);
        }
        if crate::wait::step_over(registers, Status::Success) {
            self.raise_step(thread);
        }
    }

    #[cold]
    #[inline(never)]
    fn reflect(&mut self, thread: ThreadId) {
        self.raise(thread, ExceptionCode::ReflectedCall, 0, 0, Protection::NONE);
    }

    #[inline(never)]
    fn numbered_call(&mut self, thread: ThreadId, number: u64) {
        let Registers { rdi, rsi, rdx, r10, .. } = self.thread(thread).context.registers;
        let args = Args { rdi, rsi, rdx, r10 };
        let outcome = match Self::FUNCTIONS.get(number as usize) {
            Some(function) => function(self, thread, args),
            None => self.unknown_call(thread, args),
        };
        match outcome {
            Ok(Done::Status(status)) => self.complete_current(thread, status),
            other => self.conclude(thread, other),
        }
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
            Ok(Done::WaitPeer(peer)) => self.wait_for_peer(thread, peer),
            Ok(Done::Kept) => {}
            Ok(Done::Again) => self.thread_mut(thread).context.registers.rflags |= crate::wait::RESUME_FLAG,
            Err(Trap::Fault { address, access }) => self.call_fault(thread, address, access),
            Err(Trap::Misuse { misuse, address }) => {
                self.raise(thread, ExceptionCode::Misuse, misuse as u32, address, Protection::NONE);
            }
            Err(Trap::NoSpace) => {}
        }
    }

    /// Memory that a call needs is not there: as if the thread itself had touched it. The call then runs again.
    #[inline(never)]
    fn call_fault(&mut self, thread: ThreadId, address: u64, access: Protection) {
        self.page_fault(thread, address, access);
    }

    /// The function of each call that is no IPC, by its number.
    const FUNCTIONS: [Function<M>; NUMBERS] = {
        let mut functions: [Function<M>; NUMBERS] = [Self::unknown_call; NUMBERS];
        let mut number = 0;
        while number < NUMBERS {
            if let Some(call) = Call::from_number(number as u64) {
                functions[number] =
                    if is_common(number as u64) { Self::common_call } else { Self::function(call) };
            }
            number += 1;
        }
        functions
    };

    /// Runs a call that all kinds of flob share.
    fn common_call(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let number = self.thread(thread).context.registers.rax as u32;
        let Some(kind) = FlobKind::from_number(number >> 4) else {
            return Trap::misuse(Misuse::UnknownCall, u64::from(number));
        };
        match number & 0xf {
            0 => self.create(thread, args, kind),
            1 => self.destroy(thread, args, kind),
            2 => self.move_flob(thread, args, kind),
            3 => self.make_reference(thread, args, kind),
            4 => self.get_state(thread, args, kind),
            _ => self.set_state(thread, args, kind),
        }
    }

    fn unknown_call(&mut self, thread: ThreadId, _: Args) -> Outcome {
        Trap::misuse(Misuse::UnknownCall, self.thread(thread).context.registers.rax)
    }

    /// The function of a call that is no other kind's too.
    const fn function(call: Call) -> Function<M> {
        match call {
            Call::TimerWait => Self::timer_wait,
            Call::InterruptWait => Self::interrupt_wait,
            Call::KernelLog => Self::kernel_log,
            Call::MachineExit => Self::machine_exit,
            Call::ThreadSelf => Self::thread_self,
            Call::ReturnFromException => Self::thread_return_from_exception,
            Call::ThreadGetServer => Self::thread_get_server,
            Call::ThreadSetServer => Self::thread_set_server,
            Call::ThreadGetClient => Self::thread_get_client,
            Call::ThreadSetClient => Self::thread_set_client,
            Call::ThreadInterrupt => Self::thread_interrupt,
            Call::ThreadEnableExceptions => Self::thread_enable_exceptions,
            Call::ThreadDisableExceptions => Self::thread_disable_exceptions,
            Call::ThreadGetHandlers => Self::thread_get_handlers,
            Call::ThreadSetHandlers => Self::thread_set_handlers,
            Call::ThreadGetSavedState => Self::thread_get_saved_state,
            Call::ThreadSetSavedState => Self::thread_set_saved_state,
            Call::RegionSearch => Self::region_search,
            Call::RegionProtect => Self::region_protect,
            Call::MappingProtect => Self::mapping_protect,
            Call::MutexLock => Self::mutex_lock,
            Call::MutexTryLock => Self::mutex_trylock,
            Call::MutexUnlock => Self::mutex_unlock,
            Call::ConditionWait => Self::condition_wait,
            Call::ConditionSleep => Self::condition_sleep,
            Call::ConditionSignal => Self::condition_signal,
            Call::ConditionBroadcast => Self::condition_broadcast,
            Call::ReferenceCopy => Self::reference_copy,
            Call::ReferenceCompare => Self::reference_compare,
            Call::ReferenceType => Self::reference_type,
            Call::ReferenceHash => Self::reference_hash,
            Call::ReferenceLocate => Self::reference_locate,
            Call::ReferenceCheck => Self::reference_check,
            Call::EpochBegin => Self::epoch_begin,
            Call::RegionDirty => Self::region_dirty,
            _ => Self::unknown_call,
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

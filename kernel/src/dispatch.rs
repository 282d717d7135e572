//! From a call number to its function: registers are decoded once, here, and every call has the same signature.

use flob_abi::{Call, ExceptionCode, FlobKind, Misuse, Protection, Status, ipc, space_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, Trap, status};
use crate::record::ThreadId;

impl<M: Machine> Kernel<M> {
    /// The current thread executed `syscall`.
    pub(crate) fn call(&mut self, thread: ThreadId) {
        let reflects = self
            .space_of(thread)
            .and_then(|space| self.space(space))
            .is_some_and(|space| space.flags & space_flag::REFLECT_CALLS != 0);
        if reflects {
            return self.raise(thread, ExceptionCode::ReflectedCall, 0, 0, Protection::NONE);
        }
        let registers = &self.thread(thread).context.registers;
        let number = registers.rax;
        let args = Args { rdi: registers.rdi, rsi: registers.rsi, rdx: registers.rdx, r10: registers.r10 };
        let outcome = match (number & ipc::IPC != 0, Call::from_number(number)) {
            (true, _) => self.ipc_call(thread),
            (false, Some(call)) => self.perform(call, thread, args),
            (false, None) => Trap::misuse(Misuse::UnknownCall, number),
        };
        self.conclude(thread, outcome);
    }

    /// What becomes of the thread after its call.
    fn conclude(&mut self, thread: ThreadId, outcome: Outcome) {
        match outcome {
            Ok(Done::Status(status)) => self.complete(thread, status),
            Ok(Done::Wait(on)) => self.wait(thread, on),
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
    fn call_fault(&mut self, thread: ThreadId, address: u64, access: Protection) {
        self.page_fault(thread, address, access);
    }

    fn perform(&mut self, call: Call, thread: ThreadId, args: Args) -> Outcome {
        let number = call as u32;
        if let Some(kind) = FlobKind::from_number(number >> 4) {
            match number & 0xf {
                0 => return self.create(thread, args, kind),
                1 => return self.destroy(thread, args, kind),
                2 => return self.move_flob(thread, args, kind),
                3 if kind != FlobKind::Reference => return self.make_reference(thread, args, kind),
                4 if kind != FlobKind::Reference => return self.get_state(thread, args, kind),
                5 if kind != FlobKind::Reference => return self.set_state(thread, args, kind),
                _ => {}
            }
        }
        match call {
            Call::Null => status(Status::Success),
            Call::TimerWait => self.timer_wait(thread, args),
            Call::InterruptWait => self.interrupt_wait(thread, args),
            Call::KernelLog => self.kernel_log(thread, args),
            Call::MachineExit => self.machine_exit(thread, args),
            Call::EpochBegin => self.epoch_begin(thread, args),
            Call::ThreadSelf => self.thread_self(thread, args),
            Call::ReturnFromException => self.thread_return_from_exception(thread, args),
            Call::ThreadGetServer => self.thread_get_server(thread, args),
            Call::ThreadSetServer => self.thread_set_server(thread, args),
            Call::ThreadGetClient => self.thread_get_client(thread, args),
            Call::ThreadSetClient => self.thread_set_client(thread, args),
            Call::ThreadInterrupt => self.thread_interrupt(thread, args),
            Call::ThreadEnableExceptions => self.thread_enable_exceptions(thread, args),
            Call::ThreadDisableExceptions => self.thread_disable_exceptions(thread, args),
            Call::ThreadGetHandlers => self.thread_get_handlers(thread, args),
            Call::ThreadSetHandlers => self.thread_set_handlers(thread, args),
            Call::ThreadGetSavedState => self.thread_get_saved_state(thread, args),
            Call::ThreadSetSavedState => self.thread_set_saved_state(thread, args),
            Call::RegionSearch => self.region_search(thread, args),
            Call::RegionDirty => self.region_dirty(thread, args),
            Call::RegionProtect => self.region_protect(thread, args),
            Call::MappingProtect => self.mapping_protect(thread, args),
            Call::MutexLock => self.mutex_lock(thread, args),
            Call::MutexTryLock => self.mutex_trylock(thread, args),
            Call::MutexUnlock => self.mutex_unlock(thread, args),
            Call::ConditionWait => self.condition_wait(thread, args),
            Call::ConditionSleep => self.condition_sleep(thread, args),
            Call::ConditionSignal => self.condition_signal(thread, args),
            Call::ConditionBroadcast => self.condition_broadcast(thread, args),
            Call::ReferenceCopy => self.reference_copy(thread, args),
            Call::ReferenceCompare => self.reference_compare(thread, args),
            Call::ReferenceType => self.reference_type(thread, args),
            Call::ReferenceHash => self.reference_hash(thread, args),
            Call::ReferenceLocate => self.reference_locate(thread, args),
            Call::ReferenceCheck => self.reference_check(thread, args),
            _ => Trap::misuse(Misuse::UnknownCall, u64::from(number)),
        }
    }
}

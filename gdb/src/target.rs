//! The inferior as gdbstub's target: registers, memory, threads, resumption, breakpoints, `monitor`.
//!
//! No error here is fatal to gdbstub: what fails is answered with an error, or told as a stop.

use flob_link::{Access, Watch};
use flob_session::Error;
use gdbstub::{
    common::{Signal, Tid},
    target::{
        Target, TargetError, TargetResult,
        ext::{
            base::{
                BaseOps,
                multithread::{
                    MultiThreadBase, MultiThreadRangeStepping, MultiThreadRangeSteppingOps,
                    MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
                    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
                },
                single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps},
            },
            breakpoints::{
                Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps,
                SwBreakpoint, SwBreakpointOps, WatchKind,
            },
            monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps},
        },
    },
};

use crate::{
    arch::{FlobX86, RegisterNumber, Registers},
    guest::Guest,
    inferior::Inferior,
    monitor,
    resume::{Action, Plan},
};

/// Bad address.
const EFAULT: u8 = 14;
/// No such thread.
const ESRCH: u8 = 3;
/// Anything else.
const EIO: u8 = 5;

impl<G: Guest> Target for Inferior<G> {
    type Arch = FlobX86;
    type Error = Error;

    fn base_ops(&mut self) -> BaseOps<'_, FlobX86, Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    // The packet filter does it.
    fn use_no_ack_mode(&self) -> bool {
        false
    }

    fn use_target_description_xml(&self) -> bool {
        false
    }

    fn use_fork_stop_reason(&self) -> bool {
        false
    }

    fn use_vfork_stop_reason(&self) -> bool {
        false
    }

    fn use_vforkdone_stop_reason(&self) -> bool {
        false
    }
}

impl<G: Guest> Inferior<G> {
    /// An error of what was asked for about a thread. Its words go with the answer.
    fn refused(&mut self, error: &Error) -> TargetError<Error> {
        self.refusal = Some(error.to_string());
        TargetError::Errno(if matches!(error, Error::NotFound(_)) { ESRCH } else { EIO })
    }
}

impl<G: Guest> MultiThreadBase for Inferior<G> {
    fn read_registers(&mut self, registers: &mut Registers, number: Tid) -> TargetResult<(), Self> {
        let thread = self.thread(number).ok_or(TargetError::Errno(ESRCH))?;
        *registers = self.registers(thread, true).map_err(|error| self.refused(&error))?;
        Ok(())
    }

    fn write_registers(&mut self, registers: &Registers, number: Tid) -> TargetResult<(), Self> {
        let thread = self.thread(number).ok_or(TargetError::Errno(ESRCH))?;
        self.set_registers(thread, registers, true).map_err(|error| self.refused(&error))
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u64, room: &mut [u8], _number: Tid) -> TargetResult<usize, Self> {
        let wanted = room.len();
        match self.read(start, room) {
            0 if wanted > 0 => Err(TargetError::Errno(EFAULT)),
            count => Ok(count),
        }
    }

    fn write_addrs(&mut self, start: u64, bytes: &[u8], _number: Tid) -> TargetResult<(), Self> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.write(start, bytes).map_err(|error| {
            // Whatever words the answer has, gdb says that there is no such memory.
            self.console.push(format!("flob: writing at {start:#x}: {error}"));
            TargetError::Errno(EFAULT)
        })
    }

    /// The thread of the last stop comes first: it is the one that a debugger takes as the current one.
    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), Error> {
        let mut threads = self.threads().unwrap_or_default();
        let current = self.last.thread;
        threads.sort_by_key(|thread| Some(*thread) != current);
        threads.into_iter().filter_map(|thread| self.number(thread)).for_each(active);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl<G: Guest> SingleRegisterAccess<Tid> for Inferior<G> {
    fn read_register(
        &mut self,
        number: Tid,
        register: RegisterNumber,
        room: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let thread = self.thread(number).ok_or(TargetError::Errno(ESRCH))?;
        let registers =
            self.registers(thread, !register.is_general()).map_err(|error| self.refused(&error))?;
        let value = registers.get(register).ok_or(TargetError::NonFatal)?;
        room.get_mut(..value.len()).ok_or(TargetError::NonFatal)?.copy_from_slice(value);
        Ok(value.len())
    }

    fn write_register(
        &mut self,
        number: Tid,
        register: RegisterNumber,
        value: &[u8],
    ) -> TargetResult<(), Self> {
        let thread = self.thread(number).ok_or(TargetError::Errno(ESRCH))?;
        let vectors = !register.is_general();
        let mut registers = self.registers(thread, vectors).map_err(|error| self.refused(&error))?;
        registers.set(register, value).ok_or(TargetError::NonFatal)?;
        self.set_registers(thread, &registers, vectors).map_err(|error| self.refused(&error))
    }
}

impl<G: Guest> Inferior<G> {
    fn plan_action(&mut self, number: Tid, action: Action) {
        if let Some(thread) = self.thread(number) {
            self.plan.actions.insert(thread, action);
        }
    }
}

impl<G: Guest> MultiThreadResume for Inferior<G> {
    fn resume(&mut self) -> Result<(), Error> {
        self.go();
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Error> {
        self.plan = Plan::default();
        Ok(())
    }

    /// Signals are the debugger's own words for stops; there is none to deliver.
    fn set_resume_action_continue(&mut self, number: Tid, _signal: Option<Signal>) -> Result<(), Error> {
        self.plan_action(number, Action::Continue);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl<G: Guest> MultiThreadSingleStep for Inferior<G> {
    fn set_resume_action_step(&mut self, number: Tid, _signal: Option<Signal>) -> Result<(), Error> {
        self.plan_action(number, Action::Step);
        Ok(())
    }
}

impl<G: Guest> MultiThreadRangeStepping for Inferior<G> {
    fn set_resume_action_range_step(&mut self, number: Tid, start: u64, end: u64) -> Result<(), Error> {
        self.plan_action(number, Action::StepWithin(start, end));
        Ok(())
    }
}

impl<G: Guest> MultiThreadSchedulerLocking for Inferior<G> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Error> {
        self.plan.locked = true;
        Ok(())
    }
}

impl<G: Guest> Breakpoints for Inferior<G> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl<G: Guest> Inferior<G> {
    fn watch(&mut self, address: u64, bytes: u64, kind: Option<WatchKind>, wanted: bool) -> bool {
        let access = match kind {
            None => Access::Execute,
            Some(WatchKind::Write) => Access::Write,
            Some(WatchKind::Read) => Access::Read,
            Some(WatchKind::ReadWrite) => Access::ReadWrite,
        };
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let watch = Watch { space: self.space, address, bytes, access };
        self.set_watch(watch, kind.unwrap_or(WatchKind::ReadWrite), wanted).is_ok()
    }
}

impl<G: Guest> HwBreakpoint for Inferior<G> {
    fn add_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.watch(address, 1, None, true))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.watch(address, 1, None, false))
    }
}

impl<G: Guest> HwWatchpoint for Inferior<G> {
    fn add_hw_watchpoint(&mut self, address: u64, bytes: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        Ok(self.watch(address, bytes, Some(kind), true))
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        bytes: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.watch(address, bytes, Some(kind), false))
    }
}

impl<G: Guest> SwBreakpoint for Inferior<G> {
    fn add_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.set_breakpoint(address, true).is_ok())
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.set_breakpoint(address, false).is_ok())
    }
}

impl<G: Guest> MonitorCmd for Inferior<G> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Error> {
        let answer = monitor::run(self, &String::from_utf8_lossy(command));
        for line in self.take_console() {
            out.write_raw(format!("{line}\n").as_bytes());
        }
        out.write_raw(answer.as_bytes());
        Ok(())
    }
}

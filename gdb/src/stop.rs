//! Why the program stopped, as the debugger is told.

use flob_abi::ExceptionCode;
use flob_image::Place;
use gdbstub::{
    common::{Signal, Tid},
    stub::MultiThreadStopReason,
    target::ext::breakpoints::WatchKind,
};

/// A stop to be reported.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The thread it is about; `None` where there is none left.
    pub thread: Option<Place>,
    /// What it was.
    pub kind: StopKind,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum StopKind {
    /// The thread is at a breakpoint of ours.
    Breakpoint,
    /// The thread is at a hardware breakpoint of ours.
    HardwareBreakpoint,
    /// It has touched what is watched, so, here.
    Watch(WatchKind, u64),
    /// It is about to make this kernel call, which is caught.
    Call(u64),
    /// Anything that has a signal's name.
    Signal(Signal),
    /// The program has ended with this code.
    Exited(i32),
}

impl Stop {
    /// A stop of this thread with this signal.
    pub fn signal(thread: Option<Place>, signal: Signal) -> Self {
        Self { thread, kind: StopKind::Signal(signal) }
    }

    /// In gdbstub's words.
    pub fn reason(self, number: Option<Tid>) -> MultiThreadStopReason<u64> {
        match (self.kind, number) {
            (StopKind::Exited(code), _) => MultiThreadStopReason::Exited(exit_byte(code)),
            (StopKind::Breakpoint, Some(number)) => MultiThreadStopReason::SwBreak(number),
            (StopKind::Call(_), Some(tid)) => {
                MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGTRAP }
            }
            (StopKind::Signal(signal), Some(tid)) => MultiThreadStopReason::SignalWithThread { tid, signal },
            (StopKind::HardwareBreakpoint, Some(number)) => MultiThreadStopReason::HwBreak(number),
            (StopKind::Watch(kind, addr), Some(tid)) => MultiThreadStopReason::Watch { tid, kind, addr },
            (
                StopKind::Breakpoint | StopKind::HardwareBreakpoint | StopKind::Watch(..) | StopKind::Call(_),
                None,
            ) => MultiThreadStopReason::Signal(Signal::SIGTRAP),
            (StopKind::Signal(signal), None) => MultiThreadStopReason::Signal(signal),
        }
    }
}

/// The protocol has room for one byte, as a shell has.
pub fn exit_byte(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

/// The signal that stands for an exception.
pub fn signal_of(code: u32) -> Signal {
    use ExceptionCode as Code;
    match Code::from_number(code) {
        Some(Code::PageFault | Code::GeneralProtection) => Signal::SIGSEGV,
        Some(Code::InvalidOpcode) => Signal::SIGILL,
        Some(Code::Divide | Code::Floating | Code::Vector) => Signal::SIGFPE,
        Some(Code::Alignment) => Signal::SIGBUS,
        Some(Code::Misuse | Code::ReflectedCall) => Signal::SIGSYS,
        Some(Code::Debug | Code::Breakpoint) => Signal::SIGTRAP,
        Some(Code::Interrupt | Code::ClientAlert | Code::ServerAlert) => Signal::SIGUSR1,
        Some(Code::Other) | None => Signal::SIGABRT,
    }
}

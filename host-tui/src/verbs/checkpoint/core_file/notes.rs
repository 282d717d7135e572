//! The notes of a core file: for each thread Linux's `prstatus` and `fpregset` (System V ABI for AMD64, `linux/elfcore.h`).
//!
//! There is no `prpsinfo`: gdb takes the name in it for that of the ELF's file, and warns, since the store's has another.

use flob_abi::{ExceptionCode, ThreadState};
use flob_image::{Environment, Place, State};

const NT_PRSTATUS: u32 = 1;
const NT_FPREGSET: u32 = 2;
/// User code and data segments of 64-bit code, as debuggers expect them.
const CS: u64 = 0x33;
const SS: u64 = 0x2b;

/// All notes of these threads, numbered from 1.
pub fn of(environment: &Environment, threads: &[Place]) -> Vec<u8> {
    let mut notes = Vec::new();
    for (place, number) in threads.iter().zip(1_u32..) {
        if let Some(State::Thread(state)) = environment.flob(*place).map(|flob| &flob.state) {
            append(&mut notes, NT_PRSTATUS, &status(state, number));
            append(&mut notes, NT_FPREGSET, &state.vectors);
        }
    }
    notes
}

/// The signal that tells best why a thread cannot run; 0 if it can. Numbers are Linux's.
pub fn signal(state: &State) -> u16 {
    use ExceptionCode as Code;
    const INTERRUPT: u16 = 2;
    const ILLEGAL: u16 = 4;
    const TRAP: u16 = 5;
    const BUS: u16 = 7;
    const ARITHMETIC: u16 = 8;
    const SEGMENT: u16 = 11;
    const SYSTEM_CALL: u16 = 31;
    let State::Thread(state) = state else { return 0 };
    match Code::from_number(state.exception.code) {
        None => 0,
        Some(Code::PageFault | Code::GeneralProtection) => SEGMENT,
        Some(Code::Misuse | Code::ReflectedCall) => SYSTEM_CALL,
        Some(Code::Divide | Code::Floating | Code::Vector) => ARITHMETIC,
        Some(Code::InvalidOpcode) => ILLEGAL,
        Some(Code::Debug | Code::Breakpoint | Code::Other) => TRAP,
        Some(Code::Alignment) => BUS,
        Some(Code::Interrupt | Code::ClientAlert | Code::ServerAlert) => INTERRUPT,
    }
}

fn append(notes: &mut Vec<u8>, kind: u32, contents: &[u8]) {
    // The name with its end counts 5 bytes, and is filled up to 8.
    for number in [5, contents.len() as u32, kind] {
        notes.extend_from_slice(&number.to_le_bytes());
    }
    notes.extend_from_slice(b"CORE\0\0\0\0");
    notes.extend_from_slice(contents);
    notes.resize(notes.len().next_multiple_of(4), 0);
}

/// `prstatus`: number, signal and general registers.
fn status(state: &ThreadState, number: u32) -> Vec<u8> {
    let signal = signal(&State::Thread(*state));
    let mut bytes = u32::from(signal).to_le_bytes().to_vec();
    bytes.resize(12, 0);
    bytes.extend_from_slice(&signal.to_le_bytes());
    bytes.resize(32, 0);
    bytes.extend_from_slice(&number.to_le_bytes());
    // Parent, group, session and times are nothing here.
    bytes.resize(112, 0);
    let registers = &state.registers;
    // No system call of Linux's is to be restarted.
    let no_call = u64::MAX;
    let ordered = [
        registers.r15,
        registers.r14,
        registers.r13,
        registers.r12,
        registers.rbp,
        registers.rbx,
        registers.r11,
        registers.r10,
        registers.r9,
        registers.r8,
        registers.rax,
        registers.rcx,
        registers.rdx,
        registers.rsi,
        registers.rdi,
        no_call,
        registers.rip,
        CS,
        registers.rflags,
        registers.rsp,
        SS,
        registers.fs_base,
        registers.gs_base,
        0,
        0,
        0,
        0,
    ];
    ordered.iter().for_each(|register| bytes.extend_from_slice(&register.to_le_bytes()));
    // The vector registers are there.
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes
}

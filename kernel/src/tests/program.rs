//! Programs for simulated threads. Where a thread is in its program follows from RIP alone, so one that is stopped,
//! exported, destroyed and made anew goes on where it was.

use std::vec::Vec;

use flob_abi::{Call, ExceptionCode, Registers};

/// Where program code appears to be; an instruction takes two bytes.
pub const CODE: u64 = 0x5000_0000;
const SIZE: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reg {
    Rax,
    Rbx,
    Rdx,
    Rsi,
    Rdi,
    Rbp,
    R8,
    R9,
    R10,
    R12,
    R13,
    R14,
    R15,
}
pub use Reg::*;

impl Reg {
    pub fn of(self, registers: &mut Registers) -> &mut u64 {
        match self {
            Rax => &mut registers.rax,
            Rbx => &mut registers.rbx,
            Rdx => &mut registers.rdx,
            Rsi => &mut registers.rsi,
            Rdi => &mut registers.rdi,
            Rbp => &mut registers.rbp,
            R8 => &mut registers.r8,
            R9 => &mut registers.r9,
            R10 => &mut registers.r10,
            R12 => &mut registers.r12,
            R13 => &mut registers.r13,
            R14 => &mut registers.r14,
            R15 => &mut registers.r15,
        }
    }
}

/// The argument registers of a call in order.
pub const ARGS: [Reg; 6] = [Rdi, Rsi, Rdx, R10, R8, R9];

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Set(Reg, u64),
    Add(Reg, u64),
    And(Reg, u64),
    /// The first register from the second.
    Move(Reg, Reg),
    /// Register from the 8 bytes at the address in another register plus an offset.
    Load(Reg, Reg, u64),
    /// 8 bytes at the address in a register plus an offset from another register.
    Store(Reg, u64, Reg),
    Jump(u64),
    JumpIf(Reg, u64, u64),
    JumpUnless(Reg, u64, u64),
    Syscall,
    /// Writes a register to an output channel: what tests compare.
    Output(usize, Reg),
    /// Raises an exception; RIP stays.
    Trap(ExceptionCode),
}

/// A program under construction; addresses of jumps are positions in it until it is placed.
#[derive(Clone, Debug, Default)]
pub struct Program {
    ops: Vec<Op>,
}

impl Program {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn here(&self) -> u64 {
        self.ops.len() as u64
    }

    pub fn op(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    pub fn set(self, reg: Reg, value: u64) -> Self {
        self.op(Op::Set(reg, value))
    }

    pub fn output(self, channel: usize, reg: Reg) -> Self {
        self.op(Op::Output(channel, reg))
    }

    pub fn say(self, channel: usize, value: u64) -> Self {
        self.set(R15, value).output(channel, R15).set(R15, 0)
    }

    pub fn call(self, call: Call, args: &[u64]) -> Self {
        self.raw_call(call as u64, &ARGS.iter().copied().zip(args.iter().copied()).collect::<Vec<_>>())
    }

    pub fn raw_call(mut self, number: u64, registers: &[(Reg, u64)]) -> Self {
        for (reg, value) in registers {
            self = self.set(*reg, *value);
        }
        self.set(Rax, number).op(Op::Syscall)
    }

    /// `count` rounds of what `body` adds, counted in memory at `counter` (in the program's own space).
    pub fn rounds(self, counter: u64, count: u64, body: impl FnOnce(Self) -> Self) -> Self {
        let start = self.here();
        let this = body(self).set(R14, counter).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1));
        this.op(Op::Store(R14, 0, R15)).op(Op::JumpUnless(R15, count, start))
    }

    /// Goes on with another program.
    pub fn then(self, next: Self) -> Self {
        let here = self.here();
        next.place_at(here).into_iter().fold(self, Self::op)
    }

    /// Ends in a loop on a call that does nothing.
    pub fn spin(self) -> Self {
        let here = self.here();
        self.op(Op::Jump(here))
    }

    /// Ends for good, without using the processor.
    pub fn end(self) -> Self {
        self.op(Op::Trap(ExceptionCode::InvalidOpcode))
    }

    /// The code, for the place where it will be.
    pub fn place(self, first: u64) -> Vec<Op> {
        self.relocated(|position| CODE + (first + position) * SIZE)
    }

    /// Its code, for a place in another program.
    fn place_at(self, first: u64) -> Vec<Op> {
        self.relocated(|position| first + position)
    }

    fn relocated(self, to: impl Fn(u64) -> u64) -> Vec<Op> {
        let placed = |op| match op {
            Op::Jump(target) => Op::Jump(to(target)),
            Op::JumpIf(reg, value, target) => Op::JumpIf(reg, value, to(target)),
            Op::JumpUnless(reg, value, target) => Op::JumpUnless(reg, value, to(target)),
            other => other,
        };
        self.ops.into_iter().map(placed).collect()
    }
}

/// The address of the instruction with this number.
pub fn address_of(number: usize) -> u64 {
    CODE + number as u64 * SIZE
}

/// The instruction at an address.
pub fn fetch(code: &[Op], rip: u64) -> Option<Op> {
    let distance = rip.checked_sub(CODE).filter(|distance| distance.is_multiple_of(SIZE))?;
    code.get(usize::try_from(distance / SIZE).ok()?).copied()
}

/// RIP behind the instruction there.
pub fn behind(rip: u64) -> u64 {
    rip + SIZE
}

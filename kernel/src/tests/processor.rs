//! The simulated processor: executes one instruction of the current thread, memory through translations only.

use flob_abi::{ExceptionCode, Protection, Registers};

use super::program::{Op, behind, fetch};
use super::sim::Sim;
use crate::{Event, SpaceKey};

/// Instructions between two ticks.
const TICK_EVERY: u64 = 50;

impl Sim {
    /// Executes one instruction of the current thread. True if the kernel was entered.
    pub fn step(&mut self) -> bool {
        self.instructions += 1;
        if self.ticks && self.instructions.is_multiple_of(TICK_EVERY) {
            self.kernel.machine().pass(1_000_000);
            self.kernel.event(Event::Tick);
        }
        let Some(context) = self.kernel.context() else { return true };
        let mut registers = context.registers;
        let (key, _) = self.kernel.machine.running.expect("it was prepared");
        self.last = (self.kernel.current, registers.rip);
        let steps = registers.rflags & crate::thread::TRAP_FLAG != 0;
        let event = match fetch(&self.code, registers.rip) {
            None => Some(Event::Fault { address: registers.rip, access: Protection::EXECUTE }),
            Some(op) => self.execute(op, &mut registers, key),
        };
        if event.is_none() {
            let context = self.kernel.context().expect("still runs");
            context.registers = registers;
        }
        let event = event.or(steps.then_some(Event::Trap { code: ExceptionCode::Debug, detail: 1 << 14 }));
        let Some(event) = event else { return false };
        self.kernel.event(event);
        true
    }

    /// Whether the last instruction was an access to memory whose translation has only been entered: nothing that user code
    /// sees. Who forgets translations after each of these lets nobody go on.
    pub fn has_only_faulted_softly(&mut self) -> bool {
        let (Some(thread), rip) = self.last else { return false };
        let touches = matches!(fetch(&self.code, rip), Some(Op::Load(..) | Op::Store(..)));
        touches && self.registers(thread).rip == rip && self.kernel.is_runnable(thread)
    }

    fn execute(&mut self, op: Op, registers: &mut Registers, key: SpaceKey) -> Option<Event> {
        let mut next = behind(registers.rip);
        match op {
            Op::Set(reg, value) => *reg.of(registers) = value,
            Op::Add(reg, value) => *reg.of(registers) = reg.of(registers).wrapping_add(value),
            Op::Move(to, from) => *to.of(registers) = *from.of(registers),
            Op::And(reg, value) => *reg.of(registers) &= value,
            Op::Load(reg, base, offset) => {
                let address = base.of(registers).wrapping_add(offset);
                match self.load_user(key, address) {
                    Some(value) => *reg.of(registers) = value,
                    None => return Some(Event::Fault { address, access: Protection::READ }),
                }
            }
            Op::Store(base, offset, reg) => {
                let address = base.of(registers).wrapping_add(offset);
                if self.store_user(key, address, *reg.of(registers)).is_none() {
                    return Some(Event::Fault { address, access: Protection::WRITE });
                }
            }
            Op::Jump(target) => next = target,
            Op::JumpIf(reg, value, target) if *reg.of(registers) == value => next = target,
            Op::JumpUnless(reg, value, target) if *reg.of(registers) != value => next = target,
            Op::JumpIf(..) | Op::JumpUnless(..) => {}
            Op::Syscall => return Some(Event::Call),
            Op::Output(channel, reg) => self.output.entry(channel).or_default().push(*reg.of(registers)),
            Op::Trap(code) => return Some(Event::Trap { code, detail: 0 }),
        }
        registers.rip = next;
        None
    }

    fn load_user(&mut self, key: SpaceKey, address: u64) -> Option<u64> {
        let machine = self.kernel.machine();
        let byte = |index| machine.user_byte(key, address + index);
        (0..8).rev().try_fold(0, |value, index| Some(value << 8 | u64::from(byte(index)?)))
    }

    fn store_user(&mut self, key: SpaceKey, address: u64, value: u64) -> Option<()> {
        let machine = self.kernel.machine();
        (0..8)
            .zip(value.to_le_bytes())
            .try_for_each(|(index, byte)| machine.set_user_byte(key, address + index, byte))
    }
}

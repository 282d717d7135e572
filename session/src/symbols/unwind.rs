//! Who called: one step up the stack by the ELF's unwind tables.

use std::sync::Arc;

use flob_abi::Registers;
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EndianArcSlice, Register, RegisterRule, RunTimeEndian, UnwindContext,
    UnwindSection, X86_64,
};
use object::{Object, ObjectSection};

use super::Reader;

/// The registers of a function that unwinding needs, by their DWARF numbers (0–15), and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Where it stands: for a caller, behind its call.
    pub address: u64,
    registers: [Option<u64>; 16],
    /// Whether `address` is behind a call.
    pub is_return: bool,
}

impl Caller {
    /// The innermost function of a thread.
    pub fn innermost(registers: &Registers) -> Self {
        let known = [
            (X86_64::RBX, registers.rbx),
            (X86_64::RBP, registers.rbp),
            (X86_64::RSP, registers.rsp),
            (X86_64::R12, registers.r12),
            (X86_64::R13, registers.r13),
            (X86_64::R14, registers.r14),
            (X86_64::R15, registers.r15),
        ];
        let mut caller = Self { address: registers.rip, ..Self::default() };
        for (register, value) in known {
            caller.set(register, Some(value));
        }
        caller
    }

    /// An address within the instruction that it stands at or that called.
    pub const fn lookup_address(&self) -> u64 {
        if self.is_return { self.address.wrapping_sub(1) } else { self.address }
    }

    fn get(&self, register: Register) -> Option<u64> {
        self.registers.get(usize::from(register.0)).copied().flatten()
    }

    fn set(&mut self, register: Register, value: Option<u64>) {
        if let Some(place) = self.registers.get_mut(usize::from(register.0)) {
            *place = value;
        }
    }
}

/// The unwind tables of an ELF.
pub struct Unwinder {
    tables: EhFrame<Reader>,
    bases: BaseAddresses,
}

impl Unwinder {
    /// Of this ELF.
    pub fn new(file: &object::File<'_>) -> Self {
        let section = file.section_by_name(".eh_frame");
        let bytes = section.as_ref().and_then(|section| section.data().ok()).unwrap_or_default();
        let base = |name: &str| file.section_by_name(name).map_or(0, |section| section.address());
        let bases = BaseAddresses::default().set_eh_frame(base(".eh_frame")).set_text(base(".text"));
        Self { tables: tables(bytes), bases }
    }

    /// None.
    pub fn none() -> Self {
        Self { tables: tables(&[]), bases: BaseAddresses::default() }
    }

    /// The caller of this function; `read` reads the stack. `None` at the outermost, or where nothing is known.
    pub fn caller(&self, callee: &Caller, read: &mut dyn FnMut(u64) -> Option<u64>) -> Option<Caller> {
        let mut context = UnwindContext::new();
        let row = self
            .tables
            .unwind_info_for_address(
                &self.bases,
                &mut context,
                callee.lookup_address(),
                EhFrame::cie_from_offset,
            )
            .ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let frame = callee.get(*register)?.checked_add_signed(*offset)?;
        let mut restore = |register: Register| match row.register(register) {
            Some(RegisterRule::Offset(offset)) => read(frame.checked_add_signed(offset)?),
            Some(RegisterRule::ValOffset(offset)) => frame.checked_add_signed(offset),
            Some(RegisterRule::Register(other)) => callee.get(other),
            Some(RegisterRule::SameValue) | None => callee.get(register),
            _ => None,
        };
        let address = match row.register(X86_64::RA) {
            Some(RegisterRule::Offset(_)) => restore(X86_64::RA).filter(|address| *address != 0)?,
            _ => return None,
        };
        let mut caller = Caller { address, is_return: true, ..Caller::default() };
        for register in [X86_64::RBX, X86_64::RBP, X86_64::R12, X86_64::R13, X86_64::R14, X86_64::R15] {
            caller.set(register, restore(register));
        }
        caller.set(X86_64::RSP, Some(frame));
        Some(caller)
    }
}

fn tables(bytes: &[u8]) -> EhFrame<Reader> {
    let mut tables = EhFrame::from(EndianArcSlice::new(Arc::from(bytes), RunTimeEndian::Little));
    tables.set_address_size(8);
    tables
}

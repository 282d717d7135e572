//! Segments, the task state segment with its I/O permissions, and the interrupt table.

use crate::cpu::{self, msr};
use alloc::boxed::Box;
use core::arch::asm;
use flob_abi::{PORT_RANGES, PortRange};

const KERNEL_CODE: u16 = 0x08;
/// Selector of user data; the order of the segments is what `sysretq` wants.
pub const USER_DATA: u16 = 0x18 | 3;
/// Selector of user code.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK: u16 = 0x28;
/// Vectors with a stub.
pub const VECTORS: usize = 48;

/// TF, IF, DF, NT and AC are off in the kernel.
const CALL_FLAGS_OFF: u64 = 0x0004_4700;

const BREAKPOINT: usize = 3;
/// Vectors whose handlers must not rely on the kernel's stack; each has its own.
const OWN_STACK: [usize; 4] = [1, 2, 8, 18];
const OWN_STACK_SIZE: usize = 16 * 1024;

/// A list of port ranges, as the kernel library gives it.
pub type Ports = [PortRange; PORT_RANGES];

/// All bits of the counts in a list of port ranges.
const ALL_COUNTS: Ports = [PortRange { first: 0, count: u16::MAX }; PORT_RANGES];

const PORTS: usize = 65536;
/// One byte more than there are ports, as the processor wants it.
const PORT_BYTES: usize = PORTS / 8 + 1;
const TASK_HEAD: u16 = 104;
const NO_PORTS: u16 = u16::MAX;

/// The task state segment.
#[repr(C, packed(4))]
struct Task {
    reserved: u32,
    stacks: [u64; 3],
    reserved_1: u64,
    own_stacks: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    ports_offset: u16,
    /// A bit each; 0 allows.
    ports: [u8; PORT_BYTES],
}

#[repr(C, align(16))]
struct Gates([[u64; 2]; VECTORS]);

#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// What stays changeable of it all: the I/O permissions.
pub struct Descriptors {
    task: &'static mut Task,
    in_bitmap: Ports,
}

unsafe extern "C" {
    static kernel_stack_top: u8;
    static vector_stubs: u8;
    fn syscall_entry();
}

impl Descriptors {
    /// Makes the tables and loads them.
    pub fn start() -> Self {
        let task = Box::leak(Box::new(task()));
        let segments = Box::leak(Box::new(segments(core::ptr::from_ref(task) as u64)));
        let gates = Box::leak(Box::new(gates()));
        let segments_pointer =
            Pointer { limit: (size_of_val(segments) - 1) as u16, base: segments.as_ptr() as u64 };
        let gates_pointer = Pointer { limit: (size_of::<Gates>() - 1) as u16, base: gates.0.as_ptr() as u64 };
        // SAFETY: the tables are complete, never freed, and keep the running code segment at its selector.
        unsafe {
            asm!("lgdt [{}]", "lidt [{}]", "ltr {:x}", in(reg) &raw const segments_pointer, in(reg) &raw const gates_pointer,
                in(reg) TASK, options(nostack));
            cpu::write_msr(msr::STAR, u64::from(0x10_u16) << 48 | u64::from(KERNEL_CODE) << 32);
            cpu::write_msr(msr::LSTAR, syscall_entry as *const () as u64);
            cpu::write_msr(msr::SFMASK, CALL_FLAGS_OFF);
        }
        Self { task, in_bitmap: [PortRange { first: 0, count: 0 }; PORT_RANGES] }
    }

    /// Lets user code use these ports and no others. The bitmap is kept for the last space that had any ports: most have
    /// none, which takes no bitmap.
    #[inline(always)]
    pub fn allow_ports(&mut self, ports: &Ports) {
        self.task.ports_offset = if bits(ports) & bits(&ALL_COUNTS) == 0 {
            NO_PORTS
        } else {
            if bits(ports) != bits(&self.in_bitmap) {
                self.rewrite_bitmap(ports);
            }
            TASK_HEAD
        };
    }

    #[cold]
    fn rewrite_bitmap(&mut self, ports: &Ports) {
        for range in self.in_bitmap {
            set_bits(&mut self.task.ports, range, true);
        }
        for range in *ports {
            set_bits(&mut self.task.ports, range, false);
        }
        self.in_bitmap = *ports;
    }
}

/// All of it as one number, which compares in two instructions.
#[inline]
fn bits(ports: &Ports) -> u128 {
    zerocopy::transmute!(*ports)
}

/// Sets or clears the bits of a range of ports, whole bytes at a time where it can: a range may hold all ports.
fn set_bits(bitmap: &mut [u8; PORT_BYTES], PortRange { first, count }: PortRange, value: bool) {
    let mut port = usize::from(first);
    let end = (port + usize::from(count)).min(PORTS);
    while port < end {
        if port % 8 == 0 && end - port >= 8 {
            bitmap[port / 8..end / 8].fill(if value { 0xff } else { 0 });
            port = end / 8 * 8;
            continue;
        }
        bitmap[port / 8] = bitmap[port / 8] & !(1 << (port % 8)) | u8::from(value) << (port % 8);
        port += 1;
    }
}

fn task() -> Task {
    let mut own_stacks = [0; 7];
    for place in own_stacks.iter_mut().take(OWN_STACK.len()) {
        let stack: &'static mut [u128] =
            Box::leak(alloc::vec![0_u128; OWN_STACK_SIZE / 16].into_boxed_slice());
        *place = stack.as_ptr_range().end as u64;
    }
    Task {
        reserved: 0,
        stacks: [(&raw const kernel_stack_top) as u64, 0, 0],
        reserved_1: 0,
        own_stacks,
        reserved_2: 0,
        reserved_3: 0,
        ports_offset: NO_PORTS,
        ports: [0xff; PORT_BYTES],
    }
}

fn segments(task: u64) -> [u64; 7] {
    let limit = size_of::<Task>() as u64 - 1;
    let task_low = limit | (task & 0x00ff_ffff) << 16 | 0x89 << 40 | (task >> 24 & 0xff) << 56;
    [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        task_low,
        task >> 32,
    ]
}

fn gates() -> Gates {
    let mut gates = Gates([[0; 2]; VECTORS]);
    let stubs = (&raw const vector_stubs) as u64;
    for (vector, gate) in gates.0.iter_mut().enumerate() {
        let stub = stubs + 16 * vector as u64;
        let own_stack = OWN_STACK.iter().position(|own| *own == vector).map_or(0, |place| place as u64 + 1);
        let privilege: u64 = if vector == BREAKPOINT { 3 } else { 0 };
        let attributes = own_stack | (0x8e | privilege << 5) << 8;
        gate[0] =
            stub & 0xffff | u64::from(KERNEL_CODE) << 16 | attributes << 32 | (stub >> 16 & 0xffff) << 48;
        gate[1] = stub >> 32;
    }
    gates
}

//! Nonsense: words that often mean something, registers with a call, states that are anything or almost valid.

use alloc::vec;
use alloc::vec::Vec;

use flob_runtime::abi::{Call, FlobKind, PAGE_SIZE, Registers, SpaceState, Status, ipc, state::group};
use flob_runtime::flob::{Links, any};
use zerocopy::{FromBytes, IntoBytes};

use crate::child::{AT, PAGES};
use flob_runtime::random::Random;

/// An address of the child that often means something.
fn address(random: &mut Random) -> u64 {
    const BORDERS: [u64; 6] = [0, 1, u64::MAX, 0x7fff_ffff_f000, 0x8000_0000_0000, !0 << 47];
    match random.below(8) {
        0 => random.word(),
        1 => random.pick(&BORDERS).copied().unwrap_or(0),
        2 => AT + random.below(PAGES * PAGE_SIZE),
        3 => AT + (1 + random.below(PAGES - 1)) * PAGE_SIZE,
        _ => AT + PAGE_SIZE + random.below((PAGES - 1) * 8) * 512,
    }
}

fn word(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(40),
        1 => random.below(64) * PAGE_SIZE,
        _ => address(random),
    }
}

fn number(random: &mut Random) -> u64 {
    match random.below(10) {
        0 => random.word(),
        1..=4 => {
            let form = random.below(2) * ipc::SHORT;
            let call = ipc::IPC | form | random.below(ipc::STEPS + 1);
            if ipc::is_valid(call) { call } else { ipc::SERVER_WAIT }
        }
        _ => random.pick(Call::ALL).map_or(0, |call| u64::from(*call as u32)),
    }
}

/// Registers of a thread that makes some call.
pub fn registers(random: &mut Random, rip: u64) -> Registers {
    let [rbx, rdx, rsi, rdi, r8, r9, r10, r12, r13] = core::array::from_fn(|_| word(random));
    let [r14, r15] = core::array::from_fn(|_| {
        let address = word(random);
        if random.chance(2) { 0 } else { ipc::table(address, random.below(5) as u16) }
    });
    let rflags = if random.chance(8) { random.word() } else { 0 };
    let rax = number(random);
    Registers {
        rax,
        rbx,
        rdx,
        rsi,
        rdi,
        r8,
        r9,
        r10,
        r12,
        r13,
        r14,
        r15,
        rip,
        rflags,
        ..Registers::default()
    }
}

/// A state that is anything for a flob of this kind.
pub fn state(random: &mut Random, kind: FlobKind) -> Vec<u8> {
    let mut bytes = vec![0; any::state_size(kind)];
    for chunk in bytes.chunks_mut(8) {
        let word = if random.chance(3) { 0 } else { word(random) };
        let word = word.to_le_bytes();
        chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
    }
    bytes
}

/// The state of a flob at an address of ours.
pub fn real_state(kind: FlobKind, place: u64) -> Result<Vec<u8>, Status> {
    let mut bytes = vec![0; any::state_size(kind)];
    any::get_state(kind, place, &mut bytes, &Links::NONE, group::ALL)?;
    Ok(bytes)
}

/// The same with one word off.
pub fn almost_real_state(random: &mut Random, kind: FlobKind, place: u64) -> Result<Vec<u8>, Status> {
    let mut bytes = real_state(kind, place)?;
    let at = random.below(bytes.len() as u64 / 4) as usize * 4;
    if let Some(field) = bytes.get_mut(at..at + 4) {
        let off = if random.chance(2) { 1 << random.below(32) } else { random.word() as u32 };
        field.iter_mut().zip(off.to_le_bytes()).for_each(|(byte, off)| *byte ^= off);
    }
    Ok(bytes)
}

/// The state of a space, such that it gets no more than it has.
pub fn limit(bytes: &mut [u8], ceiling: u32) {
    if let Ok(mut state) = SpaceState::read_from_bytes(bytes) {
        (state.interrupts, state.ports) = (0, <_>::default());
        state.ceiling = state.ceiling.min(ceiling);
        bytes.copy_from_slice(state.as_bytes());
    }
}

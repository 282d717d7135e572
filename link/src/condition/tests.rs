//! Programs are checked and run, good ones and any bytes.

use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

struct Made;

impl World for Made {
    fn register(&mut self, number: u8) -> u64 {
        u64::from(number) * 10
    }

    fn thread(&mut self) -> u64 {
        0x4000
    }

    fn read(&mut self, address: u64, room: &mut [u8]) -> bool {
        // Up to the last address, and on from the first.
        let bytes = (0..).map(|behind| (address.wrapping_add(behind) as u8).wrapping_neg());
        room.iter_mut().zip(bytes).for_each(|(room, byte)| *room = byte);
        address < 0x1000
    }

    fn field(&mut self, place: u64, kind: u8, offset: u16, room: &mut [u8]) -> bool {
        room[0] = offset as u8 + kind;
        place == 0x4000
    }

    fn link(&mut self, place: u64, _kind: u8, link: u8) -> Option<u64> {
        (place == 0x4000).then_some(u64::from(link) * 0x200)
    }
}

#[test]
fn fields_and_links_of_flobs_are_read_where_there_is_one() {
    let field = [code::THREAD, code::FIELD, 2, 8, 0, 4];
    assert_eq!((check(&field), run(&field, &mut Made)), (Ok(()), Ok(10)));
    let link = [code::THREAD, code::LINK, 2, 3];
    assert_eq!((check(&link), run(&link, &mut Made)), (Ok(()), Ok(0x600)));
    let nothing = [&push(0x4200)[..], &[code::LINK, 2, 3]].concat();
    assert_eq!(run(&nothing, &mut Made), Err(Fault::Flob(0x4200)));
    assert_eq!(check(&[code::THREAD, code::FIELD, 2, 8, 0, 3]), Err(Malformed::Code(code::FIELD)));
}

fn push(value: u64) -> Vec<u8> {
    let mut bytes = vec![code::PUSH];
    bytes.extend(value.to_le_bytes());
    bytes
}

#[test]
fn values_are_computed_from_registers_and_memory() {
    let sum = [&[code::REGISTER, 3][..], &push(12), &[code::BINARY]].concat();
    assert_eq!((check(&sum), run(&sum, &mut Made)), (Ok(()), Ok(42)));
    for (load, value) in [(0, 0xf0), (1, 0xeff0), (4, 0xffff_ffff_ffff_fff0)] {
        let program = [&push(0x10)[..], &[code::LOAD + load]].concat();
        assert_eq!((check(&program), run(&program, &mut Made)), (Ok(()), Ok(value)), "{load}");
    }
    let nowhere = [&push(0x1000)[..], &[code::LOAD]].concat();
    assert_eq!(run(&nowhere, &mut Made), Err(Fault::Memory(0x1000)));
    let by_zero = [&push(1)[..], &push(0), &[code::BINARY + 3]].concat();
    assert_eq!(run(&by_zero, &mut Made), Err(Fault::DivisionByZero));
}

#[test]
fn what_is_skipped_is_not_run() {
    let right = [&push(0x1000)[..], &[code::LOAD]].concat();
    let both = [&push(0)[..], &[code::SKIP_IF_ZERO, right.len() as u8], &right].concat();
    assert_eq!((check(&both), run(&both, &mut Made)), (Ok(()), Ok(0)));
    let either = [&push(7)[..], &[code::SKIP_UNLESS_ZERO, right.len() as u8], &right].concat();
    assert_eq!((check(&either), run(&either, &mut Made)), (Ok(()), Ok(7)));
}

#[test]
fn what_could_go_wrong_is_refused() {
    let deep: Vec<u8> = (0..=MAX_DEPTH).flat_map(|_| [code::THREAD]).collect();
    let into_operand = [&push(1)[..], &[code::SKIP_IF_ZERO, 1], &push(1)].concat();
    let uneven = [&push(1)[..], &[code::SKIP_IF_ZERO, 2, code::THREAD, code::THREAD, code::BINARY]].concat();
    let cases = [
        (vec![], Malformed::Size),
        (vec![code::THREAD; MAX_CODE + 1], Malformed::Size),
        (vec![code::PUSH, 1], Malformed::Code(code::PUSH)),
        (vec![code::REGISTER, 99], Malformed::Code(code::REGISTER)),
        (vec![0xee], Malformed::Code(0xee)),
        (vec![code::NOT], Malformed::Stack),
        (vec![code::THREAD, code::THREAD], Malformed::Stack),
        (deep, Malformed::Depth),
        (vec![code::THREAD, code::SKIP_IF_ZERO, 9, code::THREAD], Malformed::Skip),
        (into_operand, Malformed::Skip),
        (uneven, Malformed::Stack),
    ];
    for (program, wrong) in cases {
        assert_eq!(check(&program), Err(wrong), "{program:x?}");
    }
}

proptest! {
    #[test]
    fn what_was_checked_comes_to_a_value_or_a_fault_of_its_own(
        program in prop::collection::vec(
            prop_oneof![Just(1u8), Just(2), Just(3), Just(4), Just(5), 0x10u8..0x17, 0x20u8..0x30, 0x40u8..0x43, Just(0x50), Just(0x51), 0u8..6],
            1..40,
        )
    ) {
        if check(&program).is_ok() {
            prop_assert!(!matches!(run(&program, &mut Made), Err(Fault::Malformed)), "{program:x?}");
        }
    }
}

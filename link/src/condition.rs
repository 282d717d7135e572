//! Conditions of breakpoints: a small byte code that the host compiles and the nester checks once and runs at each hit. It reads
//! registers, memory and flobs and changes nothing. It ends: there is no way back in it.
//!
//! A program is at most [`MAX_CODE`] bytes. Values are 64 bits on a stack of [`MAX_DEPTH`]; at the end one is left, and the
//! condition holds if it is not 0.
//!
//! | code | operand | stack |
//! |---|---|---|
//! | 0x01 `PUSH` | 8 bytes, little-endian | → value |
//! | 0x02 `REGISTER` | number in [`REGISTERS`] | → value |
//! | 0x03 `THREAD` | | → place of the thread |
//! | 0x04 `FIELD` | kind, offset (2 bytes, little-endian), bytes (1, 2, 4 or 8) | place of a flob → field of its state |
//! | 0x05 `LINK` | kind, number of the link | place of a flob → place of where it leads; [`NOWHERE`] |
//! | 0x10 to 0x16 `LOAD` | | address → value: u8, u16, u32, u64, i8, i16, i32 |
//! | 0x20 to 0x2f | | left, right → result: see [`Binary`] |
//! | 0x40, 0x41, 0x42 | | value → negated, complement, 1 if it was 0 |
//! | 0x50 `SKIP_IF_ZERO` | bytes to skip | 0 stays and the bytes are skipped; else it is dropped |
//! | 0x51 `SKIP_UNLESS_ZERO` | bytes to skip | the same of anything but 0 |

/// Most bytes of a program.
pub const MAX_CODE: usize = 512;
/// Most values on the stack.
pub const MAX_DEPTH: usize = 16;
/// Where a link leads that is null or leads out of the environment.
pub const NOWHERE: u64 = u64::MAX;

/// The registers by number.
pub const REGISTERS: [&str; 18] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags",
];

#[expect(missing_docs, reason = "see the table above")]
pub mod code {
    pub const PUSH: u8 = 0x01;
    pub const REGISTER: u8 = 0x02;
    pub const THREAD: u8 = 0x03;
    pub const FIELD: u8 = 0x04;
    pub const LINK: u8 = 0x05;
    pub const LOAD: u8 = 0x10;
    pub const BINARY: u8 = 0x20;
    pub const NEGATE: u8 = 0x40;
    pub const COMPLEMENT: u8 = 0x41;
    pub const NOT: u8 = 0x42;
    pub const SKIP_IF_ZERO: u8 = 0x50;
    pub const SKIP_UNLESS_ZERO: u8 = 0x51;
}

/// What is loaded, in the order of the codes: bytes, and whether the sign is extended.
pub const LOADS: [(&str, u32, bool); 7] = [
    ("u8", 1, false),
    ("u16", 2, false),
    ("u32", 4, false),
    ("u64", 8, false),
    ("i8", 1, true),
    ("i16", 2, true),
    ("i32", 4, true),
];

/// Operations of two values, in the order of the codes. Comparisons and divisions take them as signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    ExclusiveOr,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Binary {
    /// All, in the order of their codes.
    pub const ALL: [Self; 16] = [
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Divide,
        Self::Remainder,
        Self::And,
        Self::Or,
        Self::ExclusiveOr,
        Self::ShiftLeft,
        Self::ShiftRight,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
    ];

    fn apply(self, left: u64, right: u64) -> Result<u64, Fault> {
        let (signed_left, signed_right) = (left as i64, right as i64);
        let shift = u32::try_from(right).ok().filter(|shift| *shift < 64);
        Ok(match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide | Self::Remainder if right == 0 => return Err(Fault::DivisionByZero),
            Self::Divide => signed_left.wrapping_div(signed_right) as u64,
            Self::Remainder => signed_left.wrapping_rem(signed_right) as u64,
            Self::And => left & right,
            Self::Or => left | right,
            Self::ExclusiveOr => left ^ right,
            Self::ShiftLeft => shift.map_or(0, |shift| left << shift),
            Self::ShiftRight => shift.map_or(0, |shift| left >> shift),
            Self::Equal => u64::from(left == right),
            Self::NotEqual => u64::from(left != right),
            Self::Less => u64::from(signed_left < signed_right),
            Self::LessOrEqual => u64::from(signed_left <= signed_right),
            Self::Greater => u64::from(signed_left > signed_right),
            Self::GreaterOrEqual => u64::from(signed_left >= signed_right),
        })
    }
}

/// What is wrong with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// More than [`MAX_CODE`] bytes, or none.
    Size,
    /// A code that there is not, or one without its operand.
    Code(u8),
    /// It takes from an empty stack, leaves more or less than one value, or ways that meet leave different numbers.
    Stack,
    /// It needs more than [`MAX_DEPTH`] values.
    Depth,
    /// It skips into an operand or beyond the end.
    Skip,
}

/// Why a program came to no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no memory at this address.
    Memory(u64),
    /// There is no such flob at this place.
    Flob(u64),
    #[expect(missing_docs, reason = "the name says it")]
    DivisionByZero,
    /// It was not checked.
    Malformed,
}

/// What a program sees.
pub trait World {
    /// A register by its number.
    fn register(&mut self, number: u8) -> u64;
    /// The place of the thread.
    fn thread(&mut self) -> u64;
    /// As many bytes of memory as the room has; `false` if they are not all there.
    fn read(&mut self, address: u64, room: &mut [u8]) -> bool;
    /// As many bytes of the state of the flob of this kind (its number) at this place; `false` if there is none.
    fn field(&mut self, place: u64, kind: u8, offset: u16, room: &mut [u8]) -> bool;
    /// Where one of its links leads.
    fn link(&mut self, place: u64, kind: u8, link: u8) -> Option<u64>;
}

/// One instruction.
#[derive(Clone, Copy)]
enum Step {
    Push(u64),
    Register(u8),
    Thread,
    Field { kind: u8, offset: u16, bytes: u8 },
    Link { kind: u8, link: u8 },
    Load(u32, bool),
    Binary(Binary),
    Negate,
    Complement,
    Not,
    Skip { count: usize, if_zero: bool },
}

/// The instruction at this offset, and the offset behind it.
fn step(program: &[u8], at: usize) -> Result<(Step, usize), Malformed> {
    let code = *program.get(at).ok_or(Malformed::Skip)?;
    let bad = Malformed::Code(code);
    let operand = || program.get(at + 1).copied().ok_or(bad);
    let index = |from: u8| usize::from(code - from);
    Ok(match code {
        code::PUSH => {
            let bytes = program.get(at + 1..at + 9).and_then(|bytes| bytes.try_into().ok()).ok_or(bad)?;
            (Step::Push(u64::from_le_bytes(bytes)), at + 9)
        }
        code::REGISTER if usize::from(operand()?) < REGISTERS.len() => (Step::Register(operand()?), at + 2),
        code::THREAD => (Step::Thread, at + 1),
        code::FIELD => match *program.get(at + 1..at + 5).ok_or(bad)? {
            [kind, low, high, bytes @ (1 | 2 | 4 | 8)] => {
                (Step::Field { kind, offset: u16::from_le_bytes([low, high]), bytes }, at + 5)
            }
            _ => return Err(bad),
        },
        code::LINK => match *program.get(at + 1..at + 3).ok_or(bad)? {
            [kind, link] => (Step::Link { kind, link }, at + 3),
            _ => return Err(bad),
        },
        code::LOAD..=0x1f => {
            let (_, bytes, signed) = LOADS.get(index(code::LOAD)).ok_or(bad)?;
            (Step::Load(*bytes, *signed), at + 1)
        }
        code::BINARY..=0x3f => (Step::Binary(*Binary::ALL.get(index(code::BINARY)).ok_or(bad)?), at + 1),
        code::NEGATE => (Step::Negate, at + 1),
        code::COMPLEMENT => (Step::Complement, at + 1),
        code::NOT => (Step::Not, at + 1),
        code::SKIP_IF_ZERO | code::SKIP_UNLESS_ZERO => {
            (Step::Skip { count: operand()?.into(), if_zero: code == code::SKIP_IF_ZERO }, at + 2)
        }
        _ => return Err(bad),
    })
}

/// Checks a program: afterwards it can only come to a value or to a [`Fault::Memory`] or [`Fault::DivisionByZero`].
pub fn check(program: &[u8]) -> Result<(), Malformed> {
    if program.is_empty() || program.len() > MAX_CODE {
        return Err(Malformed::Size);
    }
    // How many values there are where a skip leads to, one more than that; 0 where none does.
    let mut expected = [0u8; MAX_CODE + 1];
    let (mut at, mut depth) = (0, 0usize);
    while at < program.len() {
        let here = expected.get(at).copied().unwrap_or_default();
        if here != 0 && usize::from(here) != depth + 1 {
            return Err(Malformed::Stack);
        }
        let (step, next) = step(program, at)?;
        // A skip into this instruction's operand would never be looked at again.
        if expected.get(at + 1..next).is_some_and(|inner| inner.iter().any(|target| *target != 0)) {
            return Err(Malformed::Skip);
        }
        let (takes, leaves) = match step {
            Step::Push(_) | Step::Register(_) | Step::Thread => (0, 1),
            Step::Field { .. } | Step::Link { .. } => (1, 1),
            Step::Load(..) | Step::Negate | Step::Complement | Step::Not => (1, 1),
            Step::Binary(_) => (2, 1),
            Step::Skip { .. } => (1, 0),
        };
        let rest = depth.checked_sub(takes).ok_or(Malformed::Stack)?;
        if let Step::Skip { count, .. } = step {
            let target = expected.get_mut(next + count).filter(|_| next + count <= program.len());
            let target = target.ok_or(Malformed::Skip)?;
            // Where it leads to its value is still there.
            if count == 0 || *target != 0 && usize::from(*target) != depth + 1 {
                return Err(Malformed::Stack);
            }
            *target = depth as u8 + 1;
        }
        depth = rest + leaves;
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        at = next;
    }
    let end = expected.get(program.len()).copied().unwrap_or_default();
    if depth == 1 && (end == 0 || end == 2) { Ok(()) } else { Err(Malformed::Stack) }
}

/// Values under way.
#[derive(Default)]
struct Stack {
    values: [u64; MAX_DEPTH],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: u64) -> Result<(), Fault> {
        *self.values.get_mut(self.depth).ok_or(Fault::Malformed)? = value;
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Malformed)?;
        self.values.get(self.depth).copied().ok_or(Fault::Malformed)
    }
}

/// Runs a program that was checked.
pub fn run(program: &[u8], world: &mut dyn World) -> Result<u64, Fault> {
    let (mut stack, mut at) = (Stack::default(), 0);
    while at < program.len() {
        let (step, next) = step(program, at).map_err(|_| Fault::Malformed)?;
        at = next;
        match step {
            Step::Push(value) => stack.push(value)?,
            Step::Register(number) => stack.push(world.register(number))?,
            Step::Thread => stack.push(world.thread())?,
            Step::Field { kind, offset, bytes } => {
                let (place, mut room) = (stack.pop()?, [0; 8]);
                let wanted = room.get_mut(..usize::from(bytes)).ok_or(Fault::Malformed)?;
                if !world.field(place, kind, offset, wanted) {
                    return Err(Fault::Flob(place));
                }
                stack.push(u64::from_le_bytes(room))?;
            }
            Step::Link { kind, link } => {
                let place = stack.pop()?;
                stack.push(world.link(place, kind, link).ok_or(Fault::Flob(place))?)?;
            }
            Step::Load(bytes, signed) => {
                let address = stack.pop()?;
                stack.push(load(world, address, bytes, signed)?)?;
            }
            Step::Binary(operation) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                stack.push(operation.apply(left, right)?)?;
            }
            Step::Negate => {
                let value = stack.pop()?;
                stack.push(value.wrapping_neg())?;
            }
            Step::Complement => {
                let value = stack.pop()?;
                stack.push(!value)?;
            }
            Step::Not => {
                let value = stack.pop()?;
                stack.push(u64::from(value == 0))?;
            }
            Step::Skip { count, if_zero } => {
                let value = stack.pop()?;
                if (value == 0) == if_zero {
                    stack.push(value)?;
                    at += count;
                }
            }
        }
    }
    stack.pop()
}

fn load(world: &mut dyn World, address: u64, bytes: u32, signed: bool) -> Result<u64, Fault> {
    let mut room = [0; 8];
    let wanted = room.get_mut(..bytes as usize).ok_or(Fault::Malformed)?;
    if !world.read(address, wanted) {
        return Err(Fault::Memory(address));
    }
    let value = u64::from_le_bytes(room);
    let unused = 64 - 8 * bytes;
    Ok(if signed { ((value << unused) as i64 >> unused) as u64 } else { value })
}

#[cfg(test)]
mod tests {
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
        let uneven =
            [&push(1)[..], &[code::SKIP_IF_ZERO, 2, code::THREAD, code::THREAD, code::BINARY]].concat();
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
}

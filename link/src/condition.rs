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

mod check;
mod run;
#[cfg(test)]
mod tests;

pub use check::check;
pub use run::run;

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

//! Conditions of breakpoints, from what people type to the byte code of [`flob_link::condition`].
//!
//! ```text
//! or      := and { "||" and }
//! and     := binary { "&&" binary }
//! binary  := unary with | ^ & == != < <= > >= << >> + - * / % between, as in C; all 64 bits, signed
//! unary   := ("-" | "~" | "!" | "*" | "&") unary | primary
//! primary := NUMBER | $REGISTER | thread [ "." FIELD ] | SYMBOL | TYPE "[" or "]" | "(" or ")"
//! thread  := $thread | 'FLOB'
//! ```
//!
//! `TYPE[address]` reads memory: `u8 u16 u32 u64 i8 i16 i32`; `*address` is `u64[address]`. A static with a plain type is its value, and
//! `&STATIC` its address; a function is its address. `$thread == 'worker-0'` is true for that thread alone.
//! `'FLOB'.FIELD` is a field of a flob's state as it is then, `'FLOB'.LINK` the flob that it leads to, -1 if to none: `'FORKS[1]'.locked`,
//! `'FORKS[1]'.owner == $thread`.

use flob_abi::FlobKind;
use flob_image::fields;
use flob_link::condition::{self as program, Binary, LOADS, REGISTERS, code};

use crate::{Condition, Error};

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Its address.
    pub address: u64,
    /// How many bytes its value has, and whether it has a sign; `None` if it is no plain value.
    pub value: Option<(u64, bool)>,
    /// It is code: its value is its address.
    pub is_code: bool,
}

/// Finds out what names mean.
pub trait Scope {
    /// A symbol, or an element of one: `COUNTS[2]`.
    fn symbol(&self, name: &str) -> Option<Meaning>;
    /// The place of a flob.
    fn flob(&self, name: &str) -> Result<u64, Error>;
    /// What the flob at a place is.
    fn kind(&self, place: u64) -> Option<FlobKind>;
}

/// Compiles a condition.
pub fn compile(text: &str, scope: &dyn Scope) -> Result<Condition, Error> {
    let mut parser = Parser { text, at: 0, scope, code: Vec::new(), depth: 0 };
    parser.or()?;
    parser.blank();
    if parser.at < text.len() {
        return Err(parser.error("this is not understood"));
    }
    if parser.code.len() > program::MAX_CODE {
        return Err(Error::Usage(format!("the condition '{text}' is too long")));
    }
    program::check(&parser.code).map_err(|wrong| match wrong {
        program::Malformed::Depth => Error::Usage(format!("the condition '{text}' is nested too deeply")),
        other => Error::Internal(format!("the condition was compiled to {other:?}")),
    })?;
    Ok(Condition { text: text.to_owned(), code: parser.code })
}

/// Operators between two values by how tightly they bind, the loosest first; longer ones before their beginnings.
const LEVELS: [&[(&str, Binary)]; 8] = [
    &[("|", Binary::Or)],
    &[("^", Binary::ExclusiveOr)],
    &[("&", Binary::And)],
    &[("==", Binary::Equal), ("!=", Binary::NotEqual)],
    &[
        ("<=", Binary::LessOrEqual),
        (">=", Binary::GreaterOrEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
    ],
    &[("<<", Binary::ShiftLeft), (">>", Binary::ShiftRight)],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Remainder)],
];
/// What begins like a shorter operator and is another one.
const LONGER: [(&str, &[&str]); 4] = [("|", &["||"]), ("&", &["&&"]), ("<", &["<<"]), (">", &[">>"])];
/// Parentheses within parentheses.
const MOST_NESTED: u32 = 64;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    scope: &'a dyn Scope,
    code: Vec<u8>,
    depth: u32,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, what: &str) -> Error {
        let here = if self.rest().is_empty() { "its end".to_owned() } else { format!("'{}'", self.rest()) };
        Error::Usage(format!("in the condition '{}', at {here}: {what}", self.text))
    }

    /// Takes a sign if it stands here and is not the beginning of a longer one.
    fn sign(&mut self, sign: &str) -> bool {
        self.blank();
        let longer = LONGER.iter().filter(|(short, _)| *short == sign).flat_map(|(_, longer)| *longer);
        let is_longer = longer.into_iter().any(|longer| self.rest().starts_with(longer));
        let is_here = self.rest().starts_with(sign) && !is_longer;
        if is_here {
            self.at += sign.len();
        }
        is_here
    }

    fn or(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(self.error("too many parentheses"));
        }
        self.and()?;
        while self.sign("||") {
            self.either(code::SKIP_UNLESS_ZERO, Self::and)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn and(&mut self) -> Result<(), Error> {
        self.binary(0)?;
        while self.sign("&&") {
            self.either(code::SKIP_IF_ZERO, |parser| parser.binary(0))?;
        }
        Ok(())
    }

    /// What follows is skipped if what stands before it decides.
    fn either(&mut self, skip: u8, right: fn(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.code.extend([skip, 0]);
        let from = self.code.len();
        right(self)?;
        let too_long = self.error("what stands before this is too long");
        let count = u8::try_from(self.code.len() - from).map_err(|_| too_long)?;
        if let Some(operand) = self.code.get_mut(from - 1) {
            *operand = count;
        }
        Ok(())
    }

    fn binary(&mut self, level: usize) -> Result<(), Error> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        self.binary(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.sign(sign)) {
            self.binary(level + 1)?;
            let index = Binary::ALL.iter().position(|known| known == operator).unwrap_or(0);
            self.code.push(code::BINARY + index as u8);
        }
        Ok(())
    }

    fn unary(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(self.error("too many signs"));
        }
        let after = [("-", code::NEGATE), ("~", code::COMPLEMENT), ("!", code::NOT), ("*", code::LOAD + 3)];
        if let Some((_, operation)) = after.into_iter().find(|(sign, _)| self.sign(sign)) {
            self.unary()?;
            self.code.push(operation);
        } else if self.sign("&") {
            let meaning = self.symbol()?;
            self.push(meaning.address);
        } else {
            self.primary()?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn primary(&mut self) -> Result<(), Error> {
        if self.sign("(") {
            self.or()?;
            return if self.sign(")") { Ok(()) } else { Err(self.error("')' is missing")) };
        }
        if self.sign("$") {
            return self.register();
        }
        if self.sign("'") {
            let Some((name, _)) = self.rest().split_once('\'') else {
                return Err(self.error("' is missing"));
            };
            let (length, place) = (name.len(), self.scope.flob(name)?);
            self.at += length + 1;
            self.push(place);
            let kind = self.scope.kind(place);
            return self.part(kind);
        }
        if self.rest().starts_with(|letter: char| letter.is_ascii_digit()) {
            return self.number();
        }
        for (index, (name, ..)) in LOADS.iter().enumerate() {
            if self.rest().strip_prefix(name).is_some_and(|rest| rest.starts_with('[')) {
                self.at += name.len() + 1;
                self.or()?;
                self.code.push(code::LOAD + index as u8);
                return if self.sign("]") { Ok(()) } else { Err(self.error("']' is missing")) };
            }
        }
        self.value()
    }

    /// The value of a symbol.
    fn value(&mut self) -> Result<(), Error> {
        let start = self.at;
        let Meaning { address, value, is_code } = self.symbol()?;
        self.push(address);
        if is_code {
            return Ok(());
        }
        let load = value.and_then(|(bytes, signed)| {
            let fits = |(_, of, with_sign): &(&str, u32, bool)| {
                u64::from(*of) == bytes && (*with_sign == signed || bytes == 8)
            };
            LOADS.iter().position(fits)
        });
        let Some(index) = load else {
            self.at = start;
            return Err(self.error("this is no plain number: u32[&NAME], say, reads a part of it"));
        };
        self.code.push(code::LOAD + index as u8);
        Ok(())
    }

    fn word(&mut self, fits: fn(char) -> bool) -> String {
        self.blank();
        let end = self.rest().find(|letter| !fits(letter)).unwrap_or(self.rest().len());
        let word = self.rest().get(..end).unwrap_or_default().to_owned();
        self.at += end;
        word
    }

    fn symbol(&mut self) -> Result<Meaning, Error> {
        self.blank();
        let start = self.at;
        let mut name = self.word(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':');
        if let Some(index) = self.rest().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            name = format!("{name}[{}]", index.0);
            self.at += index.0.len() + 2;
        }
        match self.scope.symbol(&name) {
            Some(meaning) => Ok(meaning),
            None => {
                self.at = start;
                Err(self.error("here is a number, $register, TYPE[address], 'FLOB' or a symbol expected"))
            }
        }
    }

    fn register(&mut self) -> Result<(), Error> {
        let start = self.at;
        let name = self.word(|letter| letter.is_ascii_alphanumeric());
        if name == "thread" {
            self.code.push(code::THREAD);
            return self.part(Some(FlobKind::Thread));
        }
        match REGISTERS.iter().position(|known| *known == name) {
            Some(number) => self.code.extend([code::REGISTER, number as u8]),
            None => {
                self.at = start;
                return Err(self.error(&format!("the registers are thread, {}", REGISTERS.join(", "))));
            }
        }
        Ok(())
    }

    /// A field or link of the flob that stands before it, if one is named.
    fn part(&mut self, kind: Option<FlobKind>) -> Result<(), Error> {
        let (Some(kind), Some(_)) = (kind, self.rest().strip_prefix('.')) else { return Ok(()) };
        self.at += 1;
        let start = self.at;
        let name = self.word(|letter| letter.is_ascii_alphanumeric() || "_.[]".contains(letter));
        let number = kind as u8;
        if let Some(link) = kind.links().iter().position(|link| *link == name) {
            self.code.extend([code::LINK, number, link as u8]);
            return Ok(());
        }
        let plain = |field: &&fields::Field| field.name == name && matches!(field.width, 1 | 2 | 4 | 8);
        match fields::of(kind).iter().find(plain) {
            Some(field) => {
                let [low, high, ..] = field.offset.to_le_bytes();
                self.code.extend([code::FIELD, number, low, high, field.width as u8]);
                Ok(())
            }
            None => {
                self.at = start;
                let unknown = fields::FieldError::Unknown { name, kind };
                Err(self.error(&unknown.to_string()))
            }
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        let word = self.word(|letter| letter.is_ascii_alphanumeric() || letter == '_').replace('_', "");
        let value = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let Ok(value) = value else {
            self.at = start;
            return Err(self.error("this is no number of 64 bits"));
        };
        self.push(value);
        Ok(())
    }

    fn push(&mut self, value: u64) {
        self.code.push(code::PUSH);
        self.code.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Program;

    impl Scope for Program {
        fn symbol(&self, name: &str) -> Option<Meaning> {
            let meaning = |address, value| Some(Meaning { address, value, is_code: false });
            match name {
                "COUNT" => meaning(0x100, Some((4, false))),
                "table::DEPTH" => meaning(0x200, Some((2, true))),
                "CELLS[3]" => meaning(0x300, Some((8, false))),
                "TABLE" => meaning(0x400, None),
                "main" => Some(Meaning { address: 0x500, value: None, is_code: true }),
                _ => None,
            }
        }

        fn flob(&self, name: &str) -> Result<u64, Error> {
            let known = [("worker-0", 0x4000), ("FORKS[1]", 0x7000)];
            let place = known.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
            place.ok_or_else(|| Error::NotFound(format!("no flob '{name}'")))
        }

        fn kind(&self, place: u64) -> Option<FlobKind> {
            Some(if place == 0x7000 { FlobKind::Mutex } else { FlobKind::Thread })
        }
    }

    struct Machine;

    impl program::World for Machine {
        fn register(&mut self, number: u8) -> u64 {
            if REGISTERS[usize::from(number)] == "rdi" { 0x100 } else { u64::from(number) }
        }

        fn thread(&mut self) -> u64 {
            0x4000
        }

        fn read(&mut self, address: u64, room: &mut [u8]) -> bool {
            let value: u64 = match address {
                0x100 => 7,
                0x200 => 0xfffe,
                0x300 => u64::MAX,
                _ => return false,
            };
            let bytes = value.to_le_bytes();
            room.copy_from_slice(&bytes[..room.len()]);
            true
        }

        fn field(&mut self, place: u64, kind: u8, offset: u16, room: &mut [u8]) -> bool {
            let at = |kind: FlobKind, name: &str| {
                let field = fields::of(kind).iter().find(|field| field.name == name).expect("a field");
                (field.offset, field.width)
            };
            let here = (usize::from(offset), room.len());
            room[0] = match (place, u32::from(kind)) {
                (0x7000, kind) if kind == FlobKind::Mutex as u32 && here == at(FlobKind::Mutex, "locked") => {
                    1
                }
                (0x4000, kind)
                    if kind == FlobKind::Thread as u32 && here == at(FlobKind::Thread, "priority") =>
                {
                    8
                }
                _ => return false,
            };
            true
        }

        fn link(&mut self, place: u64, _kind: u8, link: u8) -> Option<u64> {
            let owner = FlobKind::Mutex.links().iter().position(|name| *name == "owner");
            (place == 0x7000 && owner == Some(link.into())).then_some(0x4000)
        }
    }

    fn value(text: &str) -> Result<u64, program::Fault> {
        let condition = compile(text, &Program).unwrap_or_else(|error| panic!("{text}: {error}"));
        program::run(&condition.code, &mut Machine)
    }

    #[test]
    fn operators_bind_as_in_c() {
        let cases = [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("10 - 4 - 3", 3),
            ("1 << 4 | 3 & 2", 18),
            ("5 & 4 == 4", 5 & 1),
            ("1 < 2 == 1", 1),
            ("-1 < 0", 1),
            ("-7 / 2 == -3", 1),
            ("~0 == -1", 1),
            ("!5 || !0", 1),
            ("0x10 % 7", 2),
            ("1_000", 1000),
            ("0 && *0x999", 0),
            ("3 || *0x999", 3),
            ("1&&2", 2),
            ("8 >> 1 >= 4", 1),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn registers_memory_statics_and_threads_are_read() {
        let cases = [
            ("$rdi", 0x100),
            ("$rax + $rbx", 1),
            ("u32[$rdi]", 7),
            ("*$rdi == 7", 1),
            ("COUNT == 7", 1),
            ("&COUNT", 0x100),
            ("u8[&COUNT + 0]", 7),
            ("table::DEPTH == -2", 1),
            ("CELLS[3] == -1", 1),
            ("main", 0x500),
            ("$thread == 'worker-0' && COUNT", 7),
            ("'FORKS[1]'.locked", 1),
            ("'FORKS[1]'.owner == $thread", 1),
            ("$thread.priority + 'worker-0'.priority", 16),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
        assert_eq!(value("*0x999"), Err(program::Fault::Memory(0x999)));
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
        let long = vec!["COUNT"; 60].join(" + ");
        let nested = "1+(".repeat(20) + "1" + &")".repeat(20);
        let cases = [
            ("", "its end"),
            ("1 +", "its end"),
            ("(1", "')' is missing"),
            ("u8[1", "']' is missing"),
            ("$eax", "the registers are thread, rax"),
            ("NOTHING", "a symbol expected"),
            ("TABLE == 1", "no plain number"),
            ("99999999999999999999", "no number of 64 bits"),
            ("1 2", "not understood"),
            ("'nobody'", "no flob 'nobody'"),
            ("'nobody", "' is missing"),
            ("'FORKS[1]'.nothing", "a mutex has no field or link `nothing`; it has "),
            (deep.as_str(), "too many parentheses"),
            (long.as_str(), "too long"),
            (nested.as_str(), "nested too deeply"),
        ];
        for (text, part) in cases {
            let error = compile(text, &Program).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

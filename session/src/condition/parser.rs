//! The grammar of [`super`], one function a rule: each takes what it understands and puts the code for it behind what is there.

use flob_abi::FlobKind;
use flob_image::fields;
use flob_link::condition::{Binary, LOADS, REGISTERS, code};

use super::{Meaning, Scope};
use crate::Error;

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

/// What is left of a text, and the code so far.
pub struct Parser<'a> {
    text: &'a str,
    at: usize,
    scope: &'a dyn Scope,
    code: Vec<u8>,
    depth: u32,
}

impl<'a> Parser<'a> {
    /// At the beginning of this text.
    pub fn new(text: &'a str, scope: &'a dyn Scope) -> Self {
        Self { text, at: 0, scope, code: Vec::new(), depth: 0 }
    }
}

impl Parser<'_> {
    /// The code of all of the text.
    pub fn all(mut self) -> Result<Vec<u8>, Error> {
        self.or()?;
        self.blank();
        if self.at < self.text.len() { Err(self.error("this is not understood")) } else { Ok(self.code) }
    }

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

//! The value of a field, its text, and text back to a value. Whatever bytes a field has, its text gives the same
//! bytes again: what has no name is written as a number.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use flob_abi::ExceptionCode;

use super::Format;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    format: Format,
    bytes: Vec<u8>,
}

impl Value {
    /// From the bytes of a field.
    pub fn from_bytes(format: Format, bytes: &[u8]) -> Self {
        Self { format, bytes: bytes.into() }
    }

    /// From a number, in so many bytes (at most 8).
    pub fn from_number(format: Format, width: usize, number: u64) -> Self {
        Self { format, bytes: number.to_le_bytes().iter().copied().take(width).collect() }
    }

    /// How it is written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Bytes it takes.
    pub const fn width(&self) -> usize {
        self.bytes.len()
    }

    /// As a number; of a longer one the lowest 8 bytes.
    pub fn number(&self) -> u64 {
        self.bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Its bytes, lowest first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether all its bytes are 0.
    pub fn is_zero(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// Its text for files and scripts: as shown, but 64-bit numbers always in hexadecimal.
    pub fn portable(&self) -> String {
        match self.format {
            Format::Decimal if self.width() == 8 => format!("{:#x}", self.number()),
            _ => format!("{self}"),
        }
    }

    pub(super) fn copy_to(&self, target: &mut [u8]) {
        let missing = core::iter::repeat(0);
        for (to, from) in target.iter_mut().zip(self.bytes.iter().copied().chain(missing)) {
            *to = from;
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match self.format {
            Format::Bytes => self.bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
            Format::Hex => write!(out, "{number:#x}"),
            Format::Decimal => write!(out, "{number}"),
            Format::Bool => match number {
                0 => out.write_str("false"),
                1 => out.write_str("true"),
                _ => write!(out, "{number:#x}"),
            },
            Format::ExceptionCode => match u32::try_from(number).ok().and_then(ExceptionCode::from_number) {
                Some(code) => out.write_str(code.text()),
                None if number == 0 => out.write_str("none"),
                None => write!(out, "{number:#x}"),
            },
            Format::Protection if number > 7 => write!(out, "{number:#x}"),
            Format::Protection => {
                let letter = |bit: u64, letter| if number & bit == 0 { '-' } else { letter };
                write!(out, "{}{}{}", letter(1, 'r'), letter(2, 'w'), letter(4, 'x'))
            }
            Format::Flags(flags) => {
                let mut rest = number;
                let mut separator = "";
                for flag in flags.iter().filter(|flag| number & flag.bit != 0) {
                    write!(out, "{separator}{}", flag.name)?;
                    separator = "|";
                    rest &= !flag.bit;
                }
                match (rest, number) {
                    (0, 0) => out.write_str("none"),
                    (0, _) => Ok(()),
                    _ => write!(out, "{separator}{rest:#x}"),
                }
            }
        }
    }
}

/// A number as people write it: `0x1f`, `31`, underscores allowed.
pub fn parse_number(text: &str) -> Option<u64> {
    let text = text.trim().replace('_', "");
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text.as_str(), 10),
    };
    // `from_str_radix` would take a sign.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// Parses a text; the error says what was expected.
pub(super) fn parse(format: Format, width: usize, text: &str) -> Result<Value, String> {
    if format == Format::Bytes {
        return parse_bytes(width, text);
    }
    let fits = |number: &u64| width >= 8 || *number >> (8 * width) == 0;
    let number = named(format, text).or_else(|| parse_number(text)).filter(fits);
    number.map(|number| Value::from_number(format, width, number)).ok_or_else(|| expected(format, width))
}

/// The number behind the names that this format has.
fn named(format: Format, text: &str) -> Option<u64> {
    match format {
        Format::Hex | Format::Decimal | Format::Bytes => None,
        Format::Bool => match text {
            "true" => Some(1),
            "false" => Some(0),
            _ => None,
        },
        Format::ExceptionCode if text == "none" => Some(0),
        Format::ExceptionCode => {
            let text = text.replace('_', " ");
            ExceptionCode::ALL.iter().find(|code| code.text() == text).map(|code| u64::from(*code as u32))
        }
        Format::Protection => protection(text),
        Format::Flags(_) if text == "none" => Some(0),
        Format::Flags(flags) => text.split('|').map(str::trim).try_fold(0, |sum, name| {
            let flag = flags.iter().find(|flag| flag.name == name).map(|flag| flag.bit);
            Some(sum | flag.or_else(|| parse_number(name))?)
        }),
    }
}

/// `rwx`, `r-x`, `rw`, `none`.
fn protection(text: &str) -> Option<u64> {
    if text == "none" {
        return Some(0);
    }
    if text.is_empty() || text.len() > 3 {
        return None;
    }
    text.chars().try_fold(0, |sum, letter| {
        let bit = match letter {
            'r' => 1,
            'w' => 2,
            'x' => 4,
            '-' => return Some(sum),
            _ => return None,
        };
        if sum & bit == 0 { Some(sum | bit) } else { None }
    })
}

fn parse_bytes(width: usize, text: &str) -> Result<Value, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| match core::str::from_utf8(pair) {
        Ok(text) if !text.starts_with('+') => u8::from_str_radix(text, 16).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    match bytes {
        Some(bytes) if digits.len() == 2 * width => Ok(Value { format: Format::Bytes, bytes }),
        _ => Err(expected(Format::Bytes, width)),
    }
}

fn expected(format: Format, width: usize) -> String {
    let bits = 8 * width;
    match format {
        Format::Hex | Format::Decimal => format!("a number of at most {bits} bits, like 0x1f or 31"),
        Format::Bool => "true or false".into(),
        Format::Protection => "letters of rwx, like r-x, or none".into(),
        Format::Bytes => format!("{} hexadecimal digits ({width} bytes)", 2 * width),
        Format::ExceptionCode => {
            let names: Vec<&str> = ExceptionCode::ALL.iter().map(|code| code.text()).collect();
            format!("none, {} or a number", names.join(", "))
        }
        Format::Flags(flags) => {
            let names: Vec<&str> = flags.iter().map(|flag| flag.name).collect();
            format!("none, or names joined by | out of: {}", names.join(", "))
        }
    }
}

//! Statics, from the debug information: a flob in an array is called `FORKS[2]`, and a number is shown as one.

use std::collections::HashMap;

use gimli::{
    AttributeValue, DW_AT_byte_size, DW_AT_encoding, DW_AT_location, DW_AT_type, DW_TAG_array_type,
    DW_TAG_member, DW_TAG_variable, Operation, Unit, UnitOffset,
};

use super::Reader;

/// Structs within structs that are followed to a plain type: an atomic is a cell of an aligned number.
const DEPTH: usize = 6;

/// A type whose values are written in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Plain {
    Unsigned,
    Signed,
    Float,
    Bool,
    Char,
    Pointer,
}

/// What is known of a static.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Static {
    /// Whether it is an array; the rest is of an element then.
    pub is_array: bool,
    /// Bytes.
    pub size: u64,
    /// Its type, if that is plain or a wrapping of a plain one.
    pub plain: Option<Plain>,
}

/// All statics by their addresses.
pub fn find(dwarf: &gimli::Dwarf<Reader>) -> gimli::Result<HashMap<u64, Static>> {
    let mut statics = HashMap::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != DW_TAG_variable {
                continue;
            }
            let location = entry.attr_value(DW_AT_location);
            let kind = entry.attr_value(DW_AT_type);
            if let (Some(AttributeValue::Exprloc(expression)), Some(AttributeValue::UnitRef(kind))) =
                (location, kind)
                && let Some(address) = fixed_address(expression, &unit)?
                && let Some(found) = describe(&unit, kind)?
            {
                statics.insert(address, found);
            }
        }
    }
    Ok(statics)
}

fn fixed_address(expression: gimli::Expression<Reader>, unit: &Unit<Reader>) -> gimli::Result<Option<u64>> {
    match expression.operations(unit.encoding()).next()? {
        Some(Operation::Address { address }) => Ok(Some(address)),
        _ => Ok(None),
    }
}

fn describe(unit: &Unit<Reader>, kind: UnitOffset) -> gimli::Result<Option<Static>> {
    let entry = unit.entry(kind)?;
    let is_array = entry.tag() == DW_TAG_array_type;
    let element = match entry.attr_value(DW_AT_type) {
        Some(AttributeValue::UnitRef(element)) if is_array => element,
        _ if is_array => return Ok(None),
        _ => kind,
    };
    let plain = plain(unit, element, DEPTH)?;
    Ok(size_of(unit, element)?.map(|size| Static { is_array, size, plain }))
}

/// Bytes of a type; none if it has none.
fn size_of(unit: &Unit<Reader>, kind: UnitOffset) -> gimli::Result<Option<u64>> {
    let entry = unit.entry(kind)?;
    let size = entry.attr_value(DW_AT_byte_size).and_then(|size| size.udata_value());
    let size = if entry.tag() == gimli::DW_TAG_pointer_type { size.or(Some(8)) } else { size };
    Ok(size.filter(|size| *size != 0))
}

fn plain(unit: &Unit<Reader>, kind: UnitOffset, depth: usize) -> gimli::Result<Option<Plain>> {
    let entry = unit.entry(kind)?;
    match entry.tag() {
        gimli::DW_TAG_base_type => Ok(match entry.attr_value(DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => plain_encoding(encoding),
            _ => None,
        }),
        gimli::DW_TAG_pointer_type => Ok(Some(Plain::Pointer)),
        gimli::DW_TAG_structure_type if depth != 0 => match only_member(unit, kind)? {
            Some(member) => plain(unit, member, depth - 1),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

const fn plain_encoding(encoding: gimli::DwAte) -> Option<Plain> {
    match encoding {
        gimli::DW_ATE_unsigned => Some(Plain::Unsigned),
        gimli::DW_ATE_signed => Some(Plain::Signed),
        gimli::DW_ATE_float => Some(Plain::Float),
        gimli::DW_ATE_boolean => Some(Plain::Bool),
        gimli::DW_ATE_UTF => Some(Plain::Char),
        _ => None,
    }
}

/// The type of the one member that a struct has besides empty ones; none if there are more.
fn only_member(unit: &Unit<Reader>, kind: UnitOffset) -> gimli::Result<Option<UnitOffset>> {
    let mut tree = unit.entries_tree(Some(kind))?;
    let mut children = tree.root()?.children();
    let mut only = None;
    while let Some(child) = children.next()? {
        let entry = child.entry();
        let Some(AttributeValue::UnitRef(kind)) = entry.attr_value(DW_AT_type) else { continue };
        if entry.tag() == DW_TAG_member && size_of(unit, kind)?.is_some() {
            if only.is_some() {
                return Ok(None);
            }
            only = Some(kind);
        }
    }
    Ok(only)
}

impl Plain {
    /// A value as its bytes say, lowest first.
    pub fn text(self, bytes: &[u8]) -> String {
        let number = bytes.iter().take(16).rev().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        match self {
            Self::Unsigned => number.to_string(),
            Self::Signed => {
                // The sign's bit is moved to the highest and back.
                let unused = 128 - 8 * bytes.len().clamp(1, 16) as u32;
                ((number << unused).cast_signed() >> unused).to_string()
            }
            Self::Float => match bytes.len() {
                4 => f32::from_bits(number as u32).to_string(),
                _ => f64::from_bits(number as u64).to_string(),
            },
            Self::Bool if number < 2 => (number == 1).to_string(),
            Self::Char => match char::from_u32(number as u32) {
                Some(letter) => format!("{letter:?}"),
                None => format!("{number:#x}"),
            },
            Self::Bool | Self::Pointer => format!("{number:#x}"),
        }
    }

    /// The bytes of a value that is written `0x2a`, `+42`, `-5`, `1.5`, `true`: as many as its type has. None if it is no such value.
    pub fn parse(self, text: &str, size: usize) -> Option<Vec<u8>> {
        let bits = u32::try_from(8 * size).ok().filter(|bits| (1..=128).contains(bits))?;
        let number: u128 = match (self, text) {
            (Self::Bool, "true") => 1,
            (Self::Bool, "false") => 0,
            (Self::Bool | Self::Char, _) => return None,
            (Self::Float, _) if size == 4 => text.parse::<f32>().ok()?.to_bits().into(),
            (Self::Float, _) => text.parse::<f64>().ok()?.to_bits().into(),
            (Self::Signed, _) if text.starts_with('-') => {
                let number: i128 = text.parse().ok()?;
                // It fits if nothing but its sign is above.
                (number >> (bits - 1) == -1).then_some(number.cast_unsigned())?
            }
            _ => {
                let number = match text.strip_prefix("0x") {
                    Some(digits) => u128::from_str_radix(digits, 16).ok()?,
                    None => text.strip_prefix('+').unwrap_or(text).parse().ok()?,
                };
                let highest = if self == Self::Signed { bits - 1 } else { bits };
                (highest == 128 || number >> highest == 0).then_some(number)?
            }
        };
        Some(number.to_le_bytes().into_iter().take(size).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_type_has_them() {
        let cases = [
            (Plain::Unsigned, "+42", 4, "42"),
            (Plain::Unsigned, "0xff", 1, "255"),
            (Plain::Signed, "-5", 8, "-5"),
            (Plain::Signed, "-128", 1, "-128"),
            (Plain::Signed, "+127", 1, "127"),
            (Plain::Float, "1.5", 8, "1.5"),
            (Plain::Float, "-0.25", 4, "-0.25"),
            (Plain::Bool, "true", 1, "true"),
            (Plain::Pointer, "0x1000", 8, "0x1000"),
        ];
        for (plain, text, size, shown) in cases {
            let bytes = plain.parse(text, size).expect(text);
            assert_eq!(bytes.len(), size);
            assert_eq!(plain.text(&bytes), shown);
        }
        assert_eq!(Plain::Char.text(&[0xe4, 0, 0, 0]), "'ä'");
    }

    #[test]
    fn values_that_do_not_fit_are_none() {
        let cases = [
            (Plain::Unsigned, "0x100", 1),
            (Plain::Unsigned, "-1", 4),
            (Plain::Signed, "+128", 1),
            (Plain::Signed, "-129", 1),
            (Plain::Bool, "2", 1),
            (Plain::Float, "much", 8),
            (Plain::Unsigned, "", 4),
        ];
        for (plain, text, size) in cases {
            assert_eq!(plain.parse(text, size), None, "{text}");
        }
    }
}

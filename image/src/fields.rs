//! One table of every field of every kind's state struct: its name, where its bytes are, how it is written and read
//! by people. `flob show`, `flob set`, the TUI, JSON and the text form all go by it, so a field has one name and one
//! format everywhere.
//!
//! What lives where: the table itself in [`table`], values and their text in [`value`], links by name in [`links`].

pub mod links;
mod table;
pub mod value;

use alloc::string::String;
use core::fmt;

use flob_abi::FlobKind;

use crate::{Flob, State};

pub use links::{link, parse_link, set_link};
pub use value::Value;

/// One bit of a field of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The bit.
    pub bit: u64,
    /// `stopped`.
    pub name: &'static str,
    /// Its group ([`flob_abi::state::group`]).
    pub group: u64,
    /// One line.
    pub doc: &'static str,
}

/// How a field is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `0x1f`.
    Hex,
    /// `31`.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// `stopped|exceptions_enabled`, `none`.
    Flags(&'static [Flag]),
    /// `rw-`.
    Protection,
    /// `page fault`, `none`.
    ExceptionCode,
    /// Two hexadecimal digits a byte, in the order of memory.
    Bytes,
}

/// One field of a state struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in the struct; nested ones dotted: `registers.rip`, `ports[0].first`.
    pub name: &'static str,
    /// Where it begins in the struct, in bytes.
    pub offset: usize,
    /// In bytes; 1, 2, 4 or 8 unless its format is [`Format::Bytes`].
    pub width: usize,
    /// Mask of its group or groups for `set_state`.
    pub group: u64,
    /// How it is written and read.
    pub format: Format,
    /// Whether it can be changed. The hash and reserved bytes cannot.
    pub settable: bool,
    /// One line.
    pub doc: &'static str,
}

/// Why a field or link could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// No such field or link.
    Unknown {
        /// What was asked for.
        name: String,
        /// The kind that does not have it.
        kind: FlobKind,
    },
    /// It cannot be changed.
    ReadOnly {
        /// The field.
        name: String,
    },
    /// The text is no value of this field.
    Invalid {
        /// The field.
        name: String,
        /// The text.
        text: String,
        /// What would be one.
        expected: String,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, kind } => {
                write!(out, "a {} has no field or link `{name}`; it has ", kind.name())?;
                let fields = of(*kind).iter().filter(|field| field.settable).map(|field| field.name);
                let short =
                    fields.filter(|name| !name.starts_with("vectors.")).chain(kind.links().iter().copied());
                for (index, name) in short.enumerate() {
                    write!(out, "{}{name}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::ReadOnly { name } => write!(out, "`{name}` cannot be changed"),
            Self::Invalid { name, text, expected } => {
                write!(out, "`{text}` is no value for `{name}`: expected {expected}")
            }
        }
    }
}

impl core::error::Error for FieldError {}

/// All fields of a kind, in the order of their bytes.
pub const fn of(kind: FlobKind) -> &'static [Field] {
    match kind {
        FlobKind::Space => table::SPACE,
        FlobKind::Thread => table::THREAD,
        FlobKind::Region => table::REGION,
        FlobKind::Mapping => table::MAPPING,
        FlobKind::Port => table::PORT,
        FlobKind::PortSet => table::PORT_SET,
        FlobKind::Mutex => table::MUTEX,
        FlobKind::Condition => table::CONDITION,
        FlobKind::Reference => table::REFERENCE,
    }
}

/// The field with this name. `rip` is short for `registers.rip`.
pub fn find(kind: FlobKind, name: &str) -> Option<&'static Field> {
    let table = of(kind);
    let short = || table.iter().find(|field| field.name.strip_prefix("registers.") == Some(name));
    table.iter().find(|field| field.name == name).or_else(short)
}

/// The flag with this name and the field it is in: `stopped` or `flags.stopped`.
fn find_flag(kind: FlobKind, name: &str) -> Option<(&'static Field, &'static Flag)> {
    let name = name.strip_prefix("flags.").unwrap_or(name);
    of(kind).iter().find_map(|field| match field.format {
        Format::Flags(flags) => flags.iter().find(|flag| flag.name == name).map(|flag| (field, flag)),
        _ => None,
    })
}

impl Field {
    /// Its bytes in a state of its kind.
    fn bytes<'a>(&self, state: &'a State) -> &'a [u8] {
        state.as_bytes().get(self.offset..self.offset + self.width).unwrap_or_default()
    }

    /// Its value in a state of its kind.
    pub fn value(&self, state: &State) -> Value {
        Value::from_bytes(self.format, self.bytes(state))
    }

    /// Sets it, settable or not, in a state of its kind. Numbers that are too wide lose their upper bytes.
    fn put(&self, state: &mut State, value: &Value) {
        if let Some(target) = state.as_mut_bytes().get_mut(self.offset..self.offset + self.width) {
            value.copy_to(target);
        }
    }

    /// Parses a text for this field.
    ///
    /// # Errors
    /// If it is no value of this field.
    pub fn parse(&self, text: &str) -> Result<Value, FieldError> {
        value::parse(self.format, self.width, text.trim()).map_err(|expected| FieldError::Invalid {
            name: self.name.into(),
            text: text.into(),
            expected,
        })
    }

    /// Whether it holds no meaning: filler that is always 0.
    pub fn is_reserved(&self) -> bool {
        self.name.ends_with("reserved")
    }

    /// Whether it differs between two states of its kind.
    pub fn differs(&self, before: &State, after: &State) -> bool {
        self.bytes(before) != self.bytes(after)
    }
}

/// The value of a field, or of a single flag, by its name.
pub fn field(state: &State, name: &str) -> Option<Value> {
    if let Some(field) = find(state.kind(), name) {
        return Some(field.value(state));
    }
    let (field, flag) = find_flag(state.kind(), name)?;
    let set = field.value(state).number() & flag.bit != 0;
    Some(Value::from_number(Format::Bool, 4, u64::from(set)))
}

/// Sets a field, or a single flag, by its name, from text.
///
/// # Errors
/// If there is no such field, it cannot be changed, or the text is no value of it. Then the state is unchanged.
pub fn set_field(state: &mut State, name: &str, text: &str) -> Result<(), FieldError> {
    let kind = state.kind();
    if let Some(field) = find(kind, name) {
        if !field.settable {
            return Err(FieldError::ReadOnly { name: name.into() });
        }
        let value = field.parse(text)?;
        field.put(state, &value);
        return Ok(());
    }
    let unknown = || FieldError::Unknown { name: name.into(), kind };
    let (field, flag) = find_flag(kind, name).ok_or_else(unknown)?;
    let parsed = value::parse(Format::Bool, 4, text.trim());
    let wanted = parsed.ok().map(|value| value.number()).filter(|number| *number < 2);
    let invalid =
        || FieldError::Invalid { name: name.into(), text: text.into(), expected: "true or false".into() };
    let wanted = wanted.ok_or_else(invalid)?;
    let before = field.value(state).number();
    let after = if wanted == 1 { before | flag.bit } else { before & !flag.bit };
    field.put(state, &Value::from_number(field.format, field.width, after));
    Ok(())
}

/// The value of a field or the target of a link, as text.
pub fn get(flob: &Flob, name: &str) -> Option<String> {
    let by_field = || field(&flob.state, name).map(|value| alloc::format!("{value}"));
    link(flob, name).map(|link| alloc::format!("{link}")).or_else(by_field)
}

/// Sets a field or a link by its name, from text.
///
/// # Errors
/// As [`set_field`] and [`set_link`].
pub fn set(flob: &mut Flob, name: &str, text: &str) -> Result<(), FieldError> {
    if flob.state.kind().links().contains(&name) {
        return set_link(flob, name, text);
    }
    set_field(&mut flob.state, name, text)
}

/// The fields in which two states of one kind differ.
pub fn changed<'a>(before: &'a State, after: &'a State) -> impl Iterator<Item = &'static Field> + 'a {
    of(before.kind()).iter().filter(move |field| field.differs(before, after))
}

/// The smallest mask of groups that `set_state` needs to turn one state into another of the same kind.
pub fn groups_changed(before: &State, after: &State) -> u64 {
    let groups = |field: &Field| match field.format {
        Format::Flags(flags) if !flags.is_empty() => {
            let difference = field.value(before).number() ^ field.value(after).number();
            let known = flags
                .iter()
                .filter(|flag| difference & flag.bit != 0)
                .fold(0, |mask, flag| mask | flag.group);
            if known == 0 { field.group } else { known }
        }
        _ => field.group,
    };
    changed(before, after).filter(|field| field.settable).fold(0, |mask, field| mask | groups(field))
}

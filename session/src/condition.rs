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

mod parser;
#[cfg(test)]
mod tests;

use flob_abi::FlobKind;
use flob_link::condition as program;

use crate::{Condition, Error};
use parser::Parser;

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
    let code = Parser::new(text, scope).all()?;
    if code.len() > program::MAX_CODE {
        return Err(Error::Usage(format!("the condition '{text}' is too long")));
    }
    program::check(&code).map_err(|wrong| match wrong {
        program::Malformed::Depth => Error::Usage(format!("the condition '{text}' is nested too deeply")),
        other => Error::Internal(format!("the condition was compiled to {other:?}")),
    })?;
    Ok(Condition { text: text.to_owned(), code })
}

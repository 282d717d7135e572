//! Where in memory people want to look: a number, a register, a symbol or part of one, a line of the source, a flob.

use std::fmt;

use flob_image::{
    Flob, Place,
    fields::{self, value::parse_number},
};

use crate::{
    Error,
    names::{Names, Unclear},
};

/// What a text leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// A number: an address in whatever memory is meant.
    Number(u64),
    /// What is in a register of the thread at a place: an address in its space.
    Register(Place, u64),
    /// Where the program has a symbol or a line of its source.
    Symbol(u64),
    /// A flob: its place in the environment's memory.
    Flob(Place),
}

/// Why a text leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// It is nothing of all that.
    Nothing {
        #[expect(missing_docs, reason = "see above")]
        text: String,
    },
    /// It may be any of several flobs.
    Flobs(Unclear),
}

impl fmt::Display for Nowhere {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { text } => {
                write!(out, "'{text}' is no address, register, symbol, FILE:LINE or flob")
            }
            Self::Flobs(unclear) => unclear.fmt(out),
        }
    }
}

impl From<Nowhere> for String {
    fn from(nowhere: Nowhere) -> Self {
        nowhere.to_string()
    }
}

impl From<Nowhere> for Error {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::Nothing { .. } => Self::NotFound(nowhere.to_string()),
            Nowhere::Flobs(unclear) => unclear.into(),
        }
    }
}

/// The address that is meant. `thread` is the one whose registers are meant, and `symbol` knows the program's symbols and the lines of its source.
pub fn find(
    text: &str,
    names: &Names,
    thread: Option<&Flob>,
    symbol: impl FnOnce(&str) -> Option<u64>,
) -> Result<Address, Nowhere> {
    let text = text.trim();
    let register = || Some(Address::Register(thread?.place, register(thread?, text)?));
    let found = parse_number(text).map(Address::Number).or_else(register);
    match found.or_else(|| symbol(text).map(Address::Symbol)) {
        Some(address) => Ok(address),
        None => match names.find(text) {
            Ok(place) => Ok(Address::Flob(place)),
            Err(Unclear::Nothing { text }) => Err(Nowhere::Nothing { text }),
            Err(several) => Err(Nowhere::Flobs(several)),
        },
    }
}

/// What is in the register of this name of a thread.
pub fn register(thread: &Flob, name: &str) -> Option<u64> {
    let field = fields::find(thread.state.kind(), name)?;
    field.name.starts_with("registers.").then(|| field.value(&thread.state).number())
}

#[cfg(test)]
mod tests {
    use flob_abi::FlobKind;
    use flob_image::{Environment, State};

    use super::*;
    use crate::symbols::Symbols;

    /// A thread at 0x2000 and one at 0x2200, whose names are their addresses in the environment.
    fn environment() -> Environment {
        let thread = State::Thread(flob_abi::ThreadState {
            registers: flob_abi::Registers { rsp: 0x7f00, ..Default::default() },
            ..Default::default()
        });
        let links = vec![flob_image::Link::Null; FlobKind::Thread.links().len()];
        let flob = |place| Flob { place, links: links.clone(), state: thread.clone() };
        Environment {
            program: "dinner".into(),
            flobs: vec![flob(0x2000), flob(0x2200)],
            ..Environment::default()
        }
    }

    fn look_up(text: &str, symbols: &[(&str, u64)]) -> Result<Address, Nowhere> {
        let environment = environment();
        let names = Names::new(&environment, &Symbols::none());
        let symbol = |name: &str| symbols.iter().find(|(known, _)| *known == name).map(|(_, at)| *at);
        find(text, &names, environment.flob(0x2200), symbol)
    }

    #[test]
    fn numbers_go_before_registers_these_before_symbols_and_flobs_are_last() {
        assert_eq!(look_up(" 0x2000 ", &[]), Ok(Address::Number(0x2000)));
        assert_eq!(look_up("rsp", &[("rsp", 1)]), Ok(Address::Register(0x2200, 0x7f00)));
        assert_eq!(look_up("main", &[("main", 1)]), Ok(Address::Symbol(1)));
        assert_eq!(look_up("main", &[]), Ok(Address::Flob(0x2000)));
    }

    #[test]
    fn what_leads_nowhere_is_said_and_what_leads_to_several_flobs() {
        let nothing = look_up("nonsense", &[]).expect_err("nothing is called so").to_string();
        assert_eq!(nothing, "'nonsense' is no address, register, symbol, FILE:LINE or flob");
        let several = look_up("thread:", &[]).expect_err("two are").to_string();
        assert_eq!(several, "'thread:' could be any of thread:dinner/main, thread:dinner/+0x2200");
    }
}

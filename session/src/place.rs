//! Where people want to stop: `FUNCTION`, `FILE:LINE`, an address; with a condition behind `if`. And back: what a spot is called.

use flob_abi::{FlobKind, call_name};
use flob_image::{Environment, Place};
use flob_link::Access;

use crate::{
    Condition, Error, Spot,
    condition::{self, Meaning, Scope},
    names::Names,
    symbols::{Plain, Symbols},
};

/// A program, with what its flobs and its places are called: what sentences about it need, and words for places in it.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    /// What there is.
    pub environment: &'a Environment,
    /// Its names.
    pub names: &'a Names,
    /// Its symbols.
    pub symbols: &'a Symbols,
}

impl Map<'_> {
    /// The space of this name; the program's own, which is the first, without one.
    pub fn space(&self, name: Option<&str>) -> Result<Place, Error> {
        if let Some(name) = name {
            return Ok(self.names.find_kind(name, FlobKind::Space)?);
        }
        let first = self.environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Space);
        first.map(|flob| flob.place).ok_or_else(|| Error::NotFound("the program has no space".into()))
    }

    /// The breakpoints that `LOCATION [if EXPRESSION]` means, as often as its code is there.
    pub fn breakpoints(&self, space: Place, text: &str) -> Result<Vec<(Spot, Option<Condition>)>, Error> {
        let (location, condition) = match text.split_once(" if ") {
            Some((location, condition)) => (location, Some(condition)),
            None => (text, None),
        };
        let condition = condition.map(|text| condition::compile(text.trim(), self)).transpose()?;
        let addresses = self.code(location.trim())?;
        let spot = |address| (Spot::Code { space, address }, condition.clone());
        Ok(addresses.into_iter().map(spot).collect())
    }

    /// The addresses of code that a location means.
    fn code(&self, location: &str) -> Result<Vec<u64>, Error> {
        let digits = location.trim_start_matches('*');
        if let Some(digits) = digits.strip_prefix("0x") {
            let address = u64::from_str_radix(digits, 16);
            return address.map(|address| vec![address]).map_err(|_| no_place(location));
        }
        if let Some(addresses) = self.symbols.addresses_at(location) {
            return some(addresses, location);
        }
        let functions = self.symbols.named(location).filter(|symbol| !symbol.is_data);
        let mut addresses: Vec<u64> = functions.map(|symbol| symbol.address).collect();
        addresses.dedup();
        some(addresses, location)
    }

    /// What a spot is called.
    pub fn describe(&self, spot: &Spot) -> String {
        describe(self.symbols, spot)
    }
}

/// What a spot is called: `take at table.rs:37`, `8 bytes at COUNT`, `mutex_lock`.
pub fn describe(symbols: &Symbols, spot: &Spot) -> String {
    match spot {
        Spot::Code { address, .. } => describe_code(symbols, *address),
        Spot::Memory(watch) if watch.access == Access::Execute => describe_code(symbols, watch.address),
        Spot::Memory(watch) => {
            let cell = symbols.cell(watch.address).filter(|cell| cell.address == watch.address);
            let name = cell.map_or_else(|| format!("{:#x}", watch.address), |cell| cell.name);
            format!("{} bytes at {name}", watch.bytes)
        }
        Spot::Calls { calls, .. } => {
            let names: Vec<&str> = calls.iter().take(4).map(|number| call_name(*number)).collect();
            let more = if calls.len() > 4 { format!(" and {} more", calls.len() - 4) } else { String::new() };
            format!("{}{more}", names.join(" "))
        }
    }
}

fn describe_code(symbols: &Symbols, address: u64) -> String {
    let location = symbols.location(address).map(|location| location.short()).unwrap_or_default();
    let symbol = symbols.symbol(address).map(|(symbol, _)| symbol.short_name().to_owned());
    match (location, symbol) {
        (location, Some(symbol)) if !location.is_empty() && location != symbol => {
            format!("{symbol} at {location}")
        }
        (location, None) if !location.is_empty() => location,
        (_, Some(symbol)) => symbol,
        _ => format!("{address:#x}"),
    }
}

fn some(addresses: Vec<u64>, location: &str) -> Result<Vec<u64>, Error> {
    if addresses.is_empty() { Err(no_place(location)) } else { Ok(addresses) }
}

fn no_place(location: &str) -> Error {
    let text = format!("there is no code at '{location}': a FUNCTION, FILE:LINE or 0xADDRESS is meant");
    Error::NotFound(text)
}

impl Scope for Map<'_> {
    fn symbol(&self, name: &str) -> Option<Meaning> {
        let code = self.symbols.named(name).find(|symbol| !symbol.is_data).map(|symbol| symbol.address);
        if let Some(cell) = self.symbols.cell_named(name).filter(|cell| Some(cell.address) != code) {
            let is_number = |plain: &Plain| *plain != Plain::Float;
            let value = cell.plain.filter(is_number).map(|plain| (cell.size, plain == Plain::Signed));
            return Some(Meaning { address: cell.address, value, is_code: false });
        }
        code.map(|address| Meaning { address, value: None, is_code: true })
    }

    fn flob(&self, name: &str) -> Result<u64, Error> {
        Ok(self.names.find(name)?)
    }

    fn kind(&self, place: u64) -> Option<FlobKind> {
        self.environment.flob(place).map(|flob| flob.state.kind())
    }
}

/// What kind of spot it is, in a word or two.
pub fn kind(spot: &Spot) -> &'static str {
    match spot {
        Spot::Code { .. } => "breakpoint",
        Spot::Memory(watch) => match watch.access {
            Access::Execute => "hardware",
            Access::Write => "write",
            Access::ReadWrite => "access",
            Access::Read => "read",
        },
        Spot::Calls { .. } => "call",
    }
}

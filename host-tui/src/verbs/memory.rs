//! `flob peek` and `flob poke`: memory as a space sees it, or the environment's own by offset.

use clap::Args;
use flob_abi::FlobKind;
use flob_image::{Place, fields::value::parse_number};
use flob_link::Memory;
use flob_session::{Client, Error, Source};
use serde_json::json;

use super::undo;
use crate::cli::{
    Context, complete, print,
    source::{Look, View},
};

/// Bytes on a line.
const LINE: usize = 16;

/// Arguments of `peek`.
#[derive(Args, Debug)]
pub struct Peek {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    place: Address,
    /// How many bytes
    #[arg(default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    count: u32,
}

/// Arguments of `poke`.
#[derive(Args, Debug)]
pub struct Poke {
    #[command(flatten)]
    place: Address,
    /// Bytes in hexadecimal
    #[arg(required = true, value_name = "BYTE")]
    bytes: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where.
#[derive(Args, Debug)]
struct Address {
    /// The space; the program's own if left out
    #[arg(long, conflicts_with = "environment", add = complete::flobs(Some(FlobKind::Space)))]
    space: Option<String>,
    /// The address is an offset in the environment
    #[arg(long)]
    environment: bool,
    /// An address, SYMBOL, SYMBOL[3], SYMBOL+0x10, or FILE:LINE
    address: String,
}

impl Address {
    fn find(&self, view: &View) -> Result<(Memory, u64), Error> {
        Ok((self.memory(view)?, address(view, &self.address)?))
    }

    fn memory(&self, view: &View) -> Result<Memory, Error> {
        if self.environment {
            return Ok(Memory::Environment);
        }
        let first = || view.environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Space);
        let space: Option<Place> = match &self.space {
            Some(name) => Some(view.names.find_kind(name, FlobKind::Space)?),
            None => first().map(|flob| flob.place),
        };
        space.map(Memory::Space).ok_or_else(|| Error::NotFound("the program has no space".into()))
    }
}

/// The address that a number, `SYMBOL`, `SYMBOL[3]`, `SYMBOL+0x10` or `FILE:LINE` means.
pub fn address(view: &View, text: &str) -> Result<u64, Error> {
    let found = parse_number(text).or_else(|| view.symbols.address_named(text));
    found.ok_or_else(|| Error::NotFound(format!("'{text}' is neither an address nor a symbol")))
}

impl Peek {
    /// Shows memory.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let mut view = self.look.open(context, false)?;
        let (memory, address) = self.place.find(&view)?;
        let bytes = view.source.read(memory, address, self.count)?;
        if bytes.is_empty() {
            return Err(Error::NotFound(format!("there is no memory at {address:#x}")));
        }
        if self.look.json {
            let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            print::json(&json!({ "address": format!("{address:#x}"), "bytes": hexadecimal }))?;
        } else {
            print::text(&dump(address, &bytes))?;
        }
        Ok(0)
    }
}

impl Poke {
    /// Writes memory.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let bytes = parse_bytes(&self.bytes.concat())?;
        let mut client = Client::connect(context.session.as_deref())?;
        let view = View::live(client.clone(), false)?;
        let (memory, address) = self.place.find(&view)?;
        undo::remember(&client, &format!("poke {} {}", self.place.address, self.bytes.concat()));
        client.write(memory, address, &bytes)?;
        if self.json {
            print::json(&json!({ "address": format!("{address:#x}"), "bytes": bytes.len() }))?;
            return Ok(0);
        }
        print::line(&format!("{} bytes written at {address:#x}", bytes.len()))?;
        Ok(0)
    }
}

/// Bytes that are written in hexadecimal.
pub fn parse_bytes(text: &str) -> Result<Vec<u8>, Error> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0);
    let digits = digits
        .ok_or_else(|| Error::Usage(format!("'{text}' is not bytes in hexadecimal: two digits each")))?;
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    Ok(digits.chunks(2).map(byte).collect())
}

fn dump(address: u64, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, start) in bytes.chunks(LINE).zip((address..).step_by(LINE)) {
        let hexadecimal: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let letters: String = row.iter().map(letter).collect();
        text += &format!("{start:#014x}  {:<47}  {letters}\n", hexadecimal.join(" "));
    }
    text
}

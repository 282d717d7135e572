//! `flob checkpoint diff`: what changed from one checkpoint to another, flob by flob and page by page.

use clap::Args;
use flob_abi::PAGE_SIZE;
use flob_image::{
    Place,
    diff::{self, FlobChange},
    store::{Checkpoint, Store},
};
use flob_session::{Error, translate::Translation};
use serde_json::{Value as Json, json};

use crate::cli::{
    Context, complete, print,
    source::{Look, View},
};

/// Arguments of `checkpoint diff`.
#[derive(Args, Debug)]
pub struct Diff {
    /// The earlier one: its id, the beginning of that, or its name
    #[arg(add = complete::checkpoints())]
    before: String,
    /// The later one
    #[arg(add = complete::checkpoints())]
    after: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Bytes in a row that differ, or nearly: what lies between is less than a word.
struct Piece {
    place: Place,
    bytes: u64,
    /// As a space sees it, if one does: space and address.
    seen: Option<(Place, u64)>,
    /// The symbols that it touches.
    symbols: Vec<String>,
    /// Those of a plain type, with their values.
    values: Vec<ValueChange>,
}

/// A static of a plain type that changed.
struct ValueChange {
    symbol: String,
    before: String,
    after: String,
}

/// Most values that are told of pages in a row; JSON has all.
const VALUES: usize = 16;

impl Diff {
    /// Compares them; prints nothing if they are equal.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let compared = Compared::new(context, &self.before, &self.after)?;
        if self.json {
            print::json(&compared.to_json())?;
            return Ok(0);
        }
        compared.lines().iter().try_for_each(|line| print::line(line))?;
        Ok(0)
    }
}

/// Two checkpoints and all in which they differ.
pub struct Compared {
    one: View,
    other: View,
    changes: diff::Diff,
    memory: Vec<Piece>,
}

impl Compared {
    /// Compares them.
    pub fn new(context: &Context, before: &str, after: &str) -> Result<Self, Error> {
        let store = Store::open_default()?;
        let open = |id: &str| {
            let view = Look { at: Some(id.to_owned()), json: false }.open(context, true)?;
            Ok::<_, Error>((view, store.load(id)?))
        };
        let (one, before) = open(before)?;
        let (other, after) = open(after)?;
        let changes = diff::diff(&one.environment, &other.environment);
        let memory = memory(&other, &before, &after)?;
        Ok(Self { one, other, changes, memory })
    }

    /// In lines, for people; none if they are equal.
    pub fn lines(&self) -> Vec<String> {
        let Self { one, other, changes, memory } = self;
        let mut lines: Vec<String> = Vec::new();
        lines.extend(changes.removed.iter().map(|flob| format!("- {}", one.names.flob(flob.place))));
        lines.extend(changes.added.iter().map(|flob| format!("+ {}", other.names.flob(flob.place))));
        lines.extend(changes.changed.iter().flat_map(|change| flob_lines(one, other, change)));
        for stream in &changes.streams {
            lines.push(format!("{}: {} → {}", stream.name, stream.before, stream.after));
        }
        if changes.clock != 0 {
            lines.push(format!("clock: {:+.3} s", changes.clock as f64 / 1e9));
        }
        for pieces in memory.chunk_by(Piece::is_followed_by) {
            lines.push(memory_line(other, pieces));
            lines.extend(value_lines(pieces));
        }
        lines
    }

    fn to_json(&self) -> Json {
        to_json(&self.one, &self.other, &self.changes, &self.memory)
    }
}

/// A line for each field and link that changed.
pub fn flob_lines(one: &View, other: &View, change: &FlobChange) -> Vec<String> {
    let name = other.names.flob(change.place);
    let fields =
        change.fields.iter().map(|field| format!("{}: {} → {}", field.field, field.before, field.after));
    let links = change.links.iter().map(|link| {
        format!("{}: {} → {}", link.link, one.names.link(&link.before), other.names.link(&link.after))
    });
    links.chain(fields).map(|line| format!("{name} {line}")).collect()
}

/// All pieces of memory that differ, in the order of places.
fn memory(view: &View, before: &Checkpoint, after: &Checkpoint) -> Result<Vec<Piece>, Error> {
    let of = |checkpoint: &Checkpoint| checkpoint.pages().collect::<Vec<_>>();
    let translation = Translation::new(&view.environment);
    let mut pieces = Vec::new();
    for page in diff::pages(&of(before), &of(after)).into_iter().flatten() {
        let start = page.saturating_mul(PAGE_SIZE);
        let read = |checkpoint: &Checkpoint| checkpoint.read(start, PAGE_SIZE as usize);
        for (offset, bytes) in runs(&read(before)?, &read(after)?) {
            let mut piece = Piece::new(view, &translation, start + offset, bytes);
            piece.add_values(view, &mut |place, count| {
                Ok((before.read(place, count)?, after.read(place, count)?))
            })?;
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

/// Reads so many bytes at a place, before and after.
type ReadBoth<'a> = &'a mut dyn FnMut(Place, usize) -> Result<(Vec<u8>, Vec<u8>), Error>;

/// Offsets and lengths of the runs of bytes that differ.
fn runs(one: &[u8], other: &[u8]) -> Vec<(u64, u64)> {
    /// Runs no further apart are one.
    const NEAR: u64 = 8;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let differing = one.iter().zip(other).zip(0_u64..).filter(|((one, other), _)| one != other);
    for (_, at) in differing {
        match runs.last_mut() {
            Some((start, bytes)) if at < *start + *bytes + NEAR => *bytes = at + 1 - *start,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

impl Piece {
    fn new(view: &View, translation: &Translation, place: Place, bytes: u64) -> Self {
        let seen = translation.addresses(place).next();
        let mut symbols: Vec<String> = Vec::new();
        for address in seen.iter().flat_map(|(_, address)| *address..*address + bytes) {
            if let Some((symbol, _)) = view.symbols.symbol(address)
                && symbols.last().is_none_or(|last| last != symbol.short_name())
            {
                symbols.push(symbol.short_name().to_owned());
            }
        }
        Self { place, bytes, seen, symbols, values: Vec::new() }
    }

    /// Reads what it touches of plain types, before and after.
    fn add_values(&mut self, view: &View, read: ReadBoth<'_>) -> Result<(), Error> {
        let Some((_, start)) = self.seen else { return Ok(()) };
        let mut at = start;
        while at < start + self.bytes {
            let Some(cell) = view.symbols.cell(at) else {
                at += 1;
                continue;
            };
            at = cell.address + cell.size;
            let Some(plain) = cell.plain else { continue };
            // A static lies in one piece, so its place is as far from the piece's as its address.
            let place = self.place.wrapping_add(cell.address).wrapping_sub(start);
            let (before, after) = read(place, cell.size as usize)?;
            if before != after {
                let (before, after) = (plain.text(&before), plain.text(&after));
                self.values.push(ValueChange { symbol: cell.name, before, after });
            }
        }
        Ok(())
    }

    /// Where its page is seen, if anywhere.
    fn page(&self) -> Option<(Place, u64)> {
        self.seen.map(|(space, address)| (space, address / PAGE_SIZE))
    }

    /// Whether the other one is on the same page, or on the next one of the same space.
    fn is_followed_by(&self, next: &Self) -> bool {
        match (self.page(), next.page()) {
            (Some((space, page)), Some((other, behind))) => {
                space == other && (page..=page + 1).contains(&behind)
            }
            (None, None) => next.place / PAGE_SIZE - self.place / PAGE_SIZE <= 1,
            _ => false,
        }
    }

    fn to_json(&self, view: &View) -> Json {
        json!({
            "place": format!("{:#x}", self.place),
            "bytes": self.bytes,
            "space": self.seen.map(|(space, _)| view.names.flob(space)),
            "address": self.seen.map(|(_, address)| format!("{address:#x}")),
            "symbols": self.symbols,
            "values": self.values.iter().map(ValueChange::to_json).collect::<Vec<_>>(),
        })
    }
}

impl ValueChange {
    fn to_json(&self) -> Json {
        json!({ "symbol": self.symbol, "before": self.before, "after": self.after })
    }
}

/// A line for each value that changed on pages in a row, up to a number.
fn value_lines(pieces: &[Piece]) -> Vec<String> {
    let values = pieces.iter().flat_map(|piece| &piece.values);
    let count = values.clone().count();
    let mut lines: Vec<String> = values
        .take(VALUES)
        .map(|value| format!("  {}: {} → {}", value.symbol, value.before, value.after))
        .collect();
    if count > VALUES {
        lines.push(format!("  and {} values more (--json has them)", count - VALUES));
    }
    lines
}

/// A line about the pages in a row that these pieces are on.
fn memory_line(view: &View, pieces: &[Piece]) -> String {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return String::new() };
    let page = |piece: &Piece| piece.page().map_or(piece.place / PAGE_SIZE, |(_, page)| page);
    let (start, pages) = (page(first) * PAGE_SIZE, page(last) - page(first) + 1);
    let place = match first.seen {
        Some((space, _)) => format!("{start:#x} of {}", view.names.short(space)),
        None => format!("+{start:#x}"),
    };
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let mut symbols: Vec<&str> = Vec::new();
    for symbol in pieces.iter().flat_map(|piece| &piece.symbols) {
        if !symbols.contains(&symbol.as_str()) {
            symbols.push(symbol);
        }
    }
    let symbols = if symbols.is_empty() { String::new() } else { format!(": {}", symbols.join(", ")) };
    let pages = if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") };
    format!("memory {place}, {pages}, {bytes} bytes differ{symbols}")
}

/// Everything, flobs by name.
fn to_json(one: &View, other: &View, changes: &diff::Diff, memory: &[Piece]) -> Json {
    let changed = changes.changed.iter().map(|change| {
        let links = change.links.iter().map(|link| {
            json!({
                "link": link.link,
                "before": one.names.link(&link.before),
                "after": other.names.link(&link.after),
            })
        });
        json!({
            "flob": other.names.flob(change.place),
            "kind": change.kind,
            "fields": change.fields,
            "links": links.collect::<Vec<_>>(),
        })
    });
    let names = |view: &View, flobs: &[flob_image::Flob]| -> Vec<String> {
        flobs.iter().map(|flob| view.names.flob(flob.place)).collect()
    };
    json!({
        "removed": names(one, &changes.removed),
        "added": names(other, &changes.added),
        "changed": changed.collect::<Vec<_>>(),
        "streams": changes.streams,
        "clock": format!("{}", changes.clock),
        "memory": memory.iter().map(|piece| piece.to_json(other)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_near_each_other_are_one_run() {
        let before = [0; 64];
        let mut after = before;
        for at in [3, 5, 12, 40] {
            after[at] = 1;
        }
        assert_eq!(runs(&before, &after), [(3, 10), (40, 1)]);
        assert_eq!(runs(&before, &before), []);
    }
}

//! `flob break`: breakpoints with conditions that the nester evaluates, watchpoints, stops before kernel calls. They are the user's and
//! last; the list shows those of every client.

use clap::Args;
use flob_abi::FlobKind;
use flob_image::Place;
use flob_link::{Access, Watch};
use flob_session::{
    Client, Condition, Error, HubReply, HubRequest, Owner, Point, PointChange, Spot, owner_names,
    place::{Map, kind},
};
use serde_json::{Value as Json, json};

use super::{memory::address, trace::numbers};
use crate::cli::{Context, complete, print, source::View};

const CONDITIONS: &str = "\
LOCATION is a FUNCTION, FILE:LINE or 0xADDRESS. EXPR is written as in C, over 64-bit numbers, $registers, memory (u8[ADDRESS] … u64[ADDRESS],
i8 … i32, *ADDRESS), statics (NAME is the value, &NAME the address) threads ($thread == 'worker-0')
and fields and links of flobs as they are then ('FORKS[1]'.locked, 'FORKS[1]'.owner == $thread; a link to nothing is -1). The program is stopped only where it is
not 0, or where it cannot be evaluated. Quote it from the shell: flob break table.rs:37 if '$rdi == 2 && COUNT > 3'";

/// Arguments of `break`.
#[derive(Args, Debug)]
#[command(after_help = CONDITIONS)]
pub struct Break {
    /// Where: LOCATION, with a condition: LOCATION if EXPR
    #[arg(value_name = "LOCATION [if EXPR]")]
    location: Vec<String>,
    /// Stop after writes to this memory: SYMBOL or ADDRESS, with :BYTES
    #[arg(long, value_name = "MEMORY", conflicts_with_all = ["location", "calls"])]
    watch: Option<String>,
    /// With --watch: after reads, too
    #[arg(long, requires = "watch")]
    read: bool,
    /// With --watch: after reads, and not after writes
    #[arg(long, requires = "watch", conflicts_with = "read")]
    only_reads: bool,
    /// Stop before these kernel calls: names, 'ipc' or 'all'
    #[arg(long, value_name = "CALL,…", value_delimiter = ',', conflicts_with = "location")]
    calls: Vec<String>,
    /// The space; the program's own if left out
    #[arg(long, add = complete::flobs(Some(FlobKind::Space)))]
    space: Option<String>,
    /// List all, of every client; so does no argument at all
    #[arg(long)]
    list: bool,
    /// Delete these, by number
    #[arg(long, value_name = "NUMBER", num_args = 1.., conflicts_with = "location")]
    delete: Vec<u32>,
    /// Enable these again
    #[arg(long, value_name = "NUMBER", num_args = 1.., conflicts_with = "location")]
    enable: Vec<u32>,
    /// Keep these, but do not stop at them
    #[arg(long, value_name = "NUMBER", num_args = 1.., conflicts_with = "location")]
    disable: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Break {
    const fn access(&self) -> Access {
        match (self.read, self.only_reads) {
            (true, _) => Access::ReadWrite,
            (false, true) => Access::Read,
            (false, false) => Access::Write,
        }
    }

    /// Does what the arguments say.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let changes = [
            (&self.delete, PointChange::Delete),
            (&self.enable, PointChange::Enable),
            (&self.disable, PointChange::Disable),
        ];
        let mut is_change = false;
        for (id, change) in changes.iter().flat_map(|(ids, change)| ids.iter().map(move |id| (*id, *change)))
        {
            is_change = true;
            client.request(HubRequest::ChangePoint { id, change })?;
        }
        let view = View::live(client.clone(), false)?;
        let added = self.add(&client, &view)?;
        if added.is_empty() && is_change && !self.list {
            return Ok(0);
        }
        let all = list(&client)?;
        let shown: Vec<Point> = all
            .into_iter()
            .filter(|point| self.list || added.is_empty() || added.contains(&point.id))
            .collect();
        self.print(&view, &shown)
    }

    fn add(&self, client: &Client, view: &View) -> Result<Vec<u32>, Error> {
        let map = map(view);
        let space = map.space(self.space.as_deref())?;
        let spots = self.spots(view, space)?;
        let mut ids = Vec::new();
        for (spot, condition) in spots {
            match client.request(HubRequest::AddPoint { owner: Owner::User, spot, condition })? {
                HubReply::Point(id) => ids.push(id),
                other => return Err(Error::Internal(format!("the hub answered with {other:?}"))),
            }
        }
        Ok(ids)
    }

    fn spots(&self, view: &View, space: Place) -> Result<Vec<(Spot, Option<Condition>)>, Error> {
        if let Some(memory) = &self.watch {
            let watch = watch(view, space, memory, self.access())?;
            return Ok(vec![(Spot::Memory(watch), None)]);
        }
        if !self.calls.is_empty() {
            return Ok(vec![(Spot::Calls { space, calls: numbers(&self.calls)? }, None)]);
        }
        let text = self.location.join(" ");
        if text.is_empty() { Ok(Vec::new()) } else { map(view).breakpoints(space, &text) }
    }

    fn print(&self, view: &View, points: &[Point]) -> Result<u8, Error> {
        if self.json {
            print::json(&Json::Array(points.iter().map(|point| to_json(view, point)).collect()))?;
        } else if points.is_empty() {
            print::line("there are no breakpoints")?;
        } else {
            let heading =
                ["NUMBER", "KIND", "WHERE", "SPACE", "OF", "HITS", "STATE", "IF"].map(str::to_owned).to_vec();
            let rows = points.iter().map(|point| cells(view, point));
            print::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
        }
        Ok(0)
    }
}

fn map(view: &View) -> Map<'_> {
    Map { environment: &view.environment, names: &view.names, symbols: &view.symbols }
}

fn list(client: &Client) -> Result<Vec<Point>, Error> {
    match client.request(HubRequest::Points)? {
        HubReply::Points(points) => Ok(points),
        other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
    }
}

/// `COUNT`, `0x1000:8`: by itself a static has its own size, and an address eight bytes.
fn watch(view: &View, space: Place, text: &str, access: Access) -> Result<Watch, Error> {
    let (name, bytes) = match text.rsplit_once(':').map(|(name, bytes)| (name, bytes.parse::<u32>())) {
        Some((name, Ok(bytes))) => (name, Some(bytes)),
        _ => (text, None),
    };
    let own = view.symbols.cell_named(name).and_then(|cell| u32::try_from(cell.size).ok());
    Ok(Watch { space, address: address(view, name)?, bytes: bytes.or(own).unwrap_or(8), access })
}

fn space_of(spot: &Spot) -> Place {
    match spot {
        Spot::Code { space, .. } | Spot::Calls { space, .. } => *space,
        Spot::Memory(watch) => watch.space,
    }
}

fn state(point: &Point) -> &'static str {
    match (point.is_enabled, point.has_failed) {
        (false, _) => "disabled",
        (true, true) => "condition failed",
        (true, false) => "enabled",
    }
}

fn cells(view: &View, point: &Point) -> Vec<String> {
    vec![
        point.id.to_string(),
        kind(&point.spot).into(),
        map(view).describe(&point.spot),
        view.names.short(space_of(&point.spot)),
        owner_names(std::slice::from_ref(&point.owner)),
        point.hits.to_string(),
        state(point).into(),
        point.condition.as_ref().map_or_else(|| "-".to_owned(), |condition| condition.text.clone()),
    ]
}

fn to_json(view: &View, point: &Point) -> Json {
    let address = match &point.spot {
        Spot::Code { address, .. } => Some(format!("{address:#x}")),
        Spot::Memory(watch) => Some(format!("{:#x}", watch.address)),
        Spot::Calls { .. } => None,
    };
    json!({
        "number": point.id,
        "kind": kind(&point.spot),
        "where": map(view).describe(&point.spot),
        "address": address,
        "space": view.names.flob(space_of(&point.spot)),
        "of": owner_names(std::slice::from_ref(&point.owner)),
        "hits": point.hits,
        "state": state(point),
        "condition": point.condition.as_ref().map(|condition| &condition.text),
    })
}

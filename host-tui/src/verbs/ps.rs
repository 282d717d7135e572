//! `flob ps`: the threads.

use clap::Args;
use flob_abi::FlobKind;
use flob_image::Place;
use flob_session::{Error, names::id, why::Waiting};
use serde_json::{Value as Json, json};

use crate::cli::{
    Context, print,
    source::{Look, View},
};

/// Arguments of `ps`.
#[derive(Args, Debug)]
pub struct Ps {
    #[command(flatten)]
    look: Look,
}

/// One thread.
struct Row {
    id: String,
    name: String,
    flob: String,
    space: String,
    state: &'static str,
    call: Option<&'static str>,
    location: Option<String>,
    why: String,
    deadlock: usize,
}

impl Ps {
    /// Lists the threads.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let mut view = self.look.open(context, false)?;
        let rows = rows(&mut view);
        if self.look.json {
            print::json(&Json::Array(rows.iter().map(Row::to_json).collect()))?;
        } else {
            let heading = ["ID", "THREAD", "SPACE", "STATE", "CALL", "AT", "WHY"].map(str::to_owned).to_vec();
            print::table(
                &std::iter::once(heading).chain(rows.iter().map(Row::to_cells)).collect::<Vec<_>>(),
            )?;
        }
        Ok(0)
    }
}

fn rows(view: &mut View) -> Vec<Row> {
    let threads: Vec<Place> = view
        .environment
        .flobs
        .iter()
        .filter(|flob| flob.state.kind() == FlobKind::Thread)
        .map(|flob| flob.place)
        .collect();
    threads.into_iter().map(|thread| row(view, thread)).collect()
}

fn row(view: &mut View, thread: Place) -> Row {
    let space = match view.environment.flob(thread).and_then(|flob| flob.links.first()) {
        Some(flob_image::Link::Flob(space)) => view.names.short(*space),
        _ => "-".into(),
    };
    let (why, source) = view.why();
    let state = match why.waiting(thread) {
        Waiting::Nothing => "runs",
        Waiting::Stopped => "held",
        Waiting::Exception(_) => "exception",
        _ => "waits",
    };
    Row {
        id: id(thread),
        name: why.names.short(thread),
        flob: why.names.flob(thread),
        space,
        state,
        call: why.call(thread),
        location: why.location(thread, source).map(|location| location.short()),
        why: why.sentence(thread, source),
        deadlock: why.deadlock(thread).map_or(0, |circle| circle.len()),
    }
}

impl Row {
    fn to_cells(&self) -> Vec<String> {
        let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        vec![
            self.id.clone(),
            self.name.clone(),
            self.space.clone(),
            self.state.into(),
            or_dash(self.call),
            or_dash(self.location.as_deref()),
            self.why.clone(),
        ]
    }

    fn to_json(&self) -> Json {
        json!({
            "id": self.id,
            "name": self.name,
            "flob": self.flob,
            "space": self.space,
            "state": self.state,
            "call": self.call,
            "location": self.location,
            "why": self.why,
            "deadlock": self.deadlock,
        })
    }
}

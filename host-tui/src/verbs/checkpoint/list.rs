//! `flob checkpoint list`.

use std::time::UNIX_EPOCH;

use clap::Args;
use flob_image::store::{Listed, Origin, Store, Summary};
use flob_session::Error;
use serde_json::{Value as Json, json};

use crate::cli::print;

/// Arguments of `checkpoint list`.
#[derive(Args, Debug)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    /// Lists them, each below the one it comes from.
    pub fn run(self) -> Result<u8, Error> {
        let listed = Store::open_default()?.list()?;
        if self.json {
            print::json(&Json::Array(listed.iter().map(to_json).collect()))?;
        } else if listed.is_empty() {
            print::line("there are no checkpoints: save one with 'flob checkpoint save'")?;
        } else {
            let heading =
                ["CHECKPOINT", "NAME", "PROGRAM", "FROM", "THREADS", "FLOBS", "MEMORY", "INPUT", "AGE"];
            let heading = heading.map(str::to_owned).to_vec();
            print::table(&std::iter::once(heading).chain(listed.iter().map(row)).collect::<Vec<_>>())?;
        }
        Ok(0)
    }
}

fn row(listed: &Listed) -> Vec<String> {
    let id = format!("{}{}", "  ".repeat(listed.depth), listed.id);
    match &listed.summary {
        Err(error) => vec![id, format!("{error}")],
        Ok(summary) => vec![
            id,
            summary.name.clone().unwrap_or_else(|| "-".into()),
            summary.arguments.join(" "),
            origin(summary.origin).into(),
            summary.threads.to_string(),
            summary.flobs.to_string(),
            format!("{} KiB", summary.stored / 1024),
            format!("{} KiB", summary.input.div_ceil(1024)),
            age(summary),
        ],
    }
}

/// What became of it so that it is there.
pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Saved => "saved",
        Origin::Edited => "edited",
        Origin::Restored => "restored run",
    }
}

fn age(summary: &Summary) -> String {
    let seconds = summary.saved.elapsed().map_or(0, |age| age.as_secs());
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn to_json(listed: &Listed) -> Json {
    match &listed.summary {
        Err(error) => json!({ "id": listed.id, "damaged": error.to_string() }),
        Ok(summary) => summary_to_json(summary),
    }
}

/// What a list shows of a checkpoint, for programs.
pub fn summary_to_json(summary: &Summary) -> Json {
    json!({
        "id": summary.id,
        "name": summary.name,
        "parent": summary.parent,
        "origin": origin(summary.origin),
        "saved": summary.saved.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        "program": summary.program,
        "arguments": summary.arguments,
        "threads": summary.threads,
        "flobs": summary.flobs,
        "size": summary.size,
        "stored": summary.stored,
        "input": summary.input,
        "exit": summary.exit,
    })
}

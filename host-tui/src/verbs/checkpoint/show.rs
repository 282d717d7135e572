//! `flob checkpoint show`.

use clap::Args;
use flob_image::{json::to_json, store::Store, verify};
use flob_session::Error;
use serde_json::Value as Json;

use super::list::{origin, summary_to_json};
use super::verify::finding_to_json;
use crate::cli::{complete, print};

/// Arguments of `checkpoint show`.
#[derive(Args, Debug)]
pub struct Show {
    /// Its id, the beginning of that, or its name
    #[arg(add = complete::checkpoints())]
    id: String,
    /// Print JSON: everything but memory
    #[arg(long)]
    json: bool,
}

impl Show {
    /// Shows it. Damage is an error, after everything else was shown.
    pub fn run(self) -> Result<u8, Error> {
        let checkpoint = Store::open_default()?.load(&self.id)?;
        let summary = checkpoint.summary();
        let environment = checkpoint.environment();
        let findings = verify::verify(environment);
        let damage = checkpoint.check();
        if self.json {
            let mut value = summary_to_json(&summary);
            if let Json::Object(map) = &mut value {
                map.insert("environment".into(), to_json(environment));
                map.insert("findings".into(), findings.iter().map(finding_to_json).collect());
                map.insert("damage".into(), damage.iter().map(ToString::to_string).collect());
            }
            print::json(&value)?;
        } else {
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            let streams =
                environment.streams.iter().map(|stream| format!("{} at {}", stream.name, stream.position));
            let pairs = [
                ("checkpoint", summary.id.clone()),
                ("name", or_none(&summary.name)),
                ("parent", or_none(&summary.parent)),
                ("origin", origin(summary.origin).to_owned()),
                ("program", summary.arguments.join(" ")),
                ("build id", environment.build_id.clone()),
                ("flobs", format!("{}, {} of them threads", summary.flobs, summary.threads)),
                ("memory", format!("{} KiB, {} KiB in use", summary.size / 1024, summary.stored / 1024)),
                ("streams", streams.collect::<Vec<_>>().join(", ")),
                ("input kept", format!("{} bytes", summary.input)),
                ("requests outside", environment.borders.len().to_string()),
            ];
            print::table(&pairs.map(|(name, value)| vec![name.to_owned(), value]))?;
            for finding in &findings {
                print::line(&finding.to_string())?;
            }
        }
        damage.into_iter().next().map_or(Ok(0), |damage| Err(damage.into()))
    }
}

//! `flob doctor`: what flob needs on this machine, and what of it is there.

use std::process::Command;

use clap::Args;
use flob::tui;
use flob_image::store::{Location, Store};
use flob_session::{Error, boot::qemu, sessions};
use serde_json::{Value as Json, json};

use crate::cli::{Context, print};

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing looked at.
struct Finding {
    what: &'static str,
    needed: bool,
    found: Result<String, String>,
}

impl Doctor {
    /// Looks; fails if something that is needed is missing or wrong.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let findings = [
            Finding { what: "QEMU", needed: true, found: emulator() },
            Finding { what: "gdb", needed: false, found: version("gdb") },
            Finding { what: "sessions", needed: true, found: shown(sessions::directory()) },
            Finding { what: "checkpoints", needed: true, found: store() },
            Finding { what: "config", needed: true, found: config() },
        ];
        if self.json {
            print::json(&Json::Array(findings.iter().map(Finding::to_json).collect()))?;
        } else {
            print::table(&findings.iter().map(Finding::to_cells).collect::<Vec<_>>())?;
        }
        let missing = findings.iter().any(|finding| finding.needed && finding.found.is_err());
        if missing {
            Err(Error::Environment("something that is needed is missing or wrong".into()))
        } else {
            Ok(0)
        }
    }
}

impl Finding {
    fn to_cells(&self) -> Vec<String> {
        let (mark, text) = match &self.found {
            Ok(text) => ("ok", text),
            Err(text) if self.needed => ("TROUBLE", text),
            Err(text) => ("optional", text),
        };
        vec![self.what.into(), mark.into(), text.clone()]
    }

    fn to_json(&self) -> Json {
        json!({
            "what": self.what,
            "ok": self.found.is_ok(),
            "needed": self.needed,
            "text": self.found.as_ref().unwrap_or_else(|text| text),
        })
    }
}

fn emulator() -> Result<String, String> {
    let path = qemu::find().map_err(|error| error.to_string())?;
    version(&path.to_string_lossy())
}

fn version(program: &str) -> Result<String, String> {
    let output =
        Command::new(program).arg("--version").output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn shown(path: Result<std::path::PathBuf, Error>) -> Result<String, String> {
    path.map(|path| path.display().to_string()).map_err(|error| error.to_string())
}

fn config() -> Result<String, String> {
    let path = tui::config::path().ok_or("no XDG_CONFIG_HOME and no HOME to look for it")?;
    tui::Config::read(&path).map_err(|error| error.to_string())?;
    let there = if path.exists() { "" } else { " (not there: all is as it comes)" };
    Ok(format!("{}{there}", path.display()))
}

fn store() -> Result<String, String> {
    let list = Store::open_default().and_then(|store| store.list()).map_err(|error| error.to_string())?;
    let folder = Location::from_environment().map_or(String::new(), |place| place.to_string());
    Ok(format!("{folder}: {} checkpoints", list.len()))
}

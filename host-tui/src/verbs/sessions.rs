//! `flob sessions`: what runs.

use clap::Args;
use flob_session::{Client, Error, LinkState, SessionInfo, sessions};
use serde_json::{Value as Json, json};

use crate::cli::{Context, print};

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub struct Sessions {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Sessions {
    /// Lists them.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let mut running = Vec::new();
        for name in sessions::list()? {
            // One that ends right now is none.
            if let Ok(info) = sessions::socket(&name).and_then(|path| Client::connect_path(&path)?.info()) {
                running.push(info);
            }
        }
        if self.json {
            print::json(&Json::Array(running.iter().map(to_json).collect()))?;
        } else if running.is_empty() {
            print::line("no session is running: start one with 'flob run PROGRAM'")?;
        } else {
            let heading = ["NAME", "PROGRAM", "STATE", "HUB", "GUEST", "HELD BY"].map(str::to_owned).to_vec();
            print::table(&std::iter::once(heading).chain(running.iter().map(row)).collect::<Vec<_>>())?;
        }
        Ok(0)
    }
}

fn row(info: &SessionInfo) -> Vec<String> {
    let words = std::iter::once(info.program.as_str()).chain(info.arguments.iter().map(String::as_str));
    vec![
        info.name.clone(),
        words.collect::<Vec<_>>().join(" "),
        state(info),
        info.hub_process.to_string(),
        guest(info),
        if info.holders.is_empty() { "nobody".into() } else { flob_session::owner_names(&info.holders) },
    ]
}

/// Its process, or where it is.
fn guest(info: &SessionInfo) -> String {
    let place = info.device.as_ref().map(|device| device.display().to_string());
    info.guest_process.map(|process| process.to_string()).or(place).unwrap_or_default()
}

fn state(info: &SessionInfo) -> String {
    match (info.link, info.progress.exit) {
        (LinkState::Up, Some(code)) => format!("exited {code}"),
        (LinkState::Up, None) if info.fetching.is_some() && info.holders.is_empty() => {
            "running, fetching".into()
        }
        (LinkState::Up, None) if info.holders.is_empty() => "running".into(),
        (LinkState::Up, None) => "held".into(),
        (LinkState::Connecting, _) => "starting".into(),
        (LinkState::Lost, _) => "no answer".into(),
        (LinkState::Dead, _) => "dead".into(),
    }
}

fn to_json(info: &SessionInfo) -> Json {
    json!({
        "name": info.name,
        "program": info.program,
        "arguments": info.arguments,
        "state": state(info),
        "hub": info.hub_process,
        "guest": info.guest_process,
        "device": info.device,
        "elf": info.elf,
        "gdb_socket": info.gdb_socket,
        "gdb_port": info.gdb_port,
        "started": info.started,
        "holders": info.holders.iter().map(|owner| flob_session::owner_names(std::slice::from_ref(owner))).collect::<Vec<_>>(),
        "exit": info.progress.exit,
        "checkpoint": info.checkpoint,
        "received": info.received,
        "sent": info.sent,
        "restore_bytes": info.restore_bytes,
        "lost": info.lost,
        "fetching": info.fetching.map(|pages| json!({ "done": pages.done, "total": pages.total })),
    })
}

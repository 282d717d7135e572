//! `flob gdb-server`: a gdb server for one space of a session, at a port or socket of its own, for as long as the session lasts.
//! The session's own server is for the program's first space; so two debuggers debug two spaces at once, each its own.

use std::{
    fs,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::{Path, PathBuf},
};

use clap::Args;
use flob_abi::FlobKind;
use flob_gdb::Selection;
use flob_session::{Client, Error, HubEvent, LinkState, sessions};

use super::debuggers::find_space;
use crate::cli::{Context, complete, print, source::View};

/// Arguments of `gdb-server`.
#[derive(Args, Debug)]
pub struct ServeGdb {
    /// The space: its name, a part of it, its short id, or its number as a process; else the program's first
    #[arg(long, value_name = "SPACE", add = complete::flobs(Some(FlobKind::Space)))]
    space: Option<String>,
    /// TCP port on the loopback interface; without it any free one
    #[arg(long, conflicts_with = "socket")]
    port: Option<u16>,
    /// Unix socket to be made instead, for this user alone
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ServeGdb {
    /// Serves until the session ends.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let session = sessions::socket(&client.info()?.name)?;
        let place = match &self.space {
            Some(space) => find_space(client.clone(), space)?,
            None => first_space(client.clone())?,
        };
        let name = View::live(client.clone(), false)?.names.flob(place);
        let events = client.subscribe()?;
        let target = self.listen(&session, Selection::Space(place))?;
        print::line(&format!("{name} is served: target extended-remote {target}"))?;
        for event in events {
            if matches!(event, HubEvent::Link(LinkState::Dead)) {
                break;
            }
        }
        if let Some(socket) = &self.socket {
            // The last one out; whoever took it away was first.
            let _ = fs::remove_file(socket);
        }
        Ok(0)
    }

    /// Where gdb is to go.
    fn listen(&self, session: &Path, selection: Selection) -> Result<String, Error> {
        let report = |error: &Error| eprintln!("flob: {error}");
        match &self.socket {
            Some(path) => {
                remove_stale(path);
                flob_gdb::listen_unix(path, session, selection, report)?;
                Ok(path.display().to_string())
            }
            None => {
                let port = flob_gdb::listen_tcp(self.port.unwrap_or(0), session, selection, report)?;
                Ok(format!(":{port}"))
            }
        }
    }
}

fn first_space(client: Client) -> Result<flob_image::Place, Error> {
    let environment = View::live(client, false)?.environment;
    let space = environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Space);
    space.map(|space| space.place).ok_or_else(|| Error::NotFound("the program has no space any more".into()))
}

/// A socket at which nobody listens any more.
fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        let _ = fs::remove_file(path);
    }
}

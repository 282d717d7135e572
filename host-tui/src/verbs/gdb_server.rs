//! The gdb servers of a session: a socket beside the session's own, and a TCP port if asked for. Each connection is a client
//! of the hub.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use flob_gdb::{Options, Stream};
use flob_session::{Claim, Error, hub::Door, sessions};

/// Listening, but not yet serving.
pub struct Servers {
    socket: PathBuf,
    local: UnixListener,
    tcp: Option<TcpListener>,
    awaited: Arc<AtomicBool>,
}

impl Servers {
    /// Binds them for the session of this name, or says what is in the way. Who comes first takes a `paused` program over.
    pub fn bind(claim: &Claim, port: Option<u16>, paused: bool) -> Result<Self, Error> {
        let tcp = port.map(bind_port).transpose()?;
        let socket = sessions::socket(claim.name())?.with_extension("gdb");
        // Of a session of this name that is gone: nobody else has the name now.
        let _ = fs::remove_file(&socket);
        let failed = |error| Error::io(format!("listening at {}", socket.display()), error);
        let local = UnixListener::bind(&socket).map_err(failed)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { socket, local, tcp, awaited: Arc::new(AtomicBool::new(paused)) })
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Serves everybody who comes, until the process ends.
    pub fn serve(self, door: &Door) -> Result<(), Error> {
        let failed = |error| Error::io("starting the gdb server", error);
        let Self { local, tcp, awaited, .. } = self;
        let (local_door, first) = (door.clone(), Arc::clone(&awaited));
        spawn("gdb socket", move || {
            accept(std::iter::from_fn(|| Some(local.accept().map(|(stream, _)| stream))), &local_door, &first)
        })
        .map_err(failed)?;
        if let Some(tcp) = tcp {
            let door = door.clone();
            spawn("gdb port", move || {
                accept(std::iter::from_fn(|| Some(tcp.accept().map(|(stream, _)| stream))), &door, &awaited)
            })
            .map_err(failed)?;
        }
        Ok(())
    }
}

fn bind_port(port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Error::Environment(format!("port {port} for gdb cannot be used: {error}; choose another one"))
    })
}

fn accept<S: Stream + Send + 'static>(
    streams: impl Iterator<Item = io::Result<S>>,
    door: &Door,
    awaited: &Arc<AtomicBool>,
) {
    for stream in streams {
        let Ok(stream) = stream else { return };
        let door = door.clone();
        let options = Options { awaited: Arc::clone(awaited), ..Options::default() };
        // A connection that cannot be served is closed: gdb says so.
        let _ = spawn("gdb", move || {
            if let Ok(client) = door.client() {
                let _ = flob_gdb::serve(stream, client, options);
            }
        });
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop)
}

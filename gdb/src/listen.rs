//! Letting debuggers in: a thread for each connection, each with a connection to the hub of its own.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    thread,
};

use flob_session::{Client, Error};

use crate::{Options, Selection, Stream, serve};

/// What is told when a connection of a debugger ends in an error.
pub type Report = fn(&Error);

/// Lets debuggers in at a Unix socket (mode 0600) that is made here; returns at once. A stale file at the path is an
/// error of the caller's.
pub fn listen_unix(path: &Path, session: &Path, selection: Selection, report: Report) -> Result<(), Error> {
    let failed = |source| Error::Io { context: format!("opening the gdb socket {}", path.display()), source };
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let session = session.to_path_buf();
    let accept = move || {
        for stream in listener.incoming().flatten() {
            take(stream, session.clone(), selection, report);
        }
    };
    start("gdb socket", accept)
}

/// Lets debuggers in at a TCP port of the loopback interface (0: any free one); returns the port at once.
pub fn listen_tcp(port: u16, session: &Path, selection: Selection, report: Report) -> Result<u16, Error> {
    let taken = |source: std::io::Error| {
        Error::Environment(format!("gdb cannot be served on port {port}: {source}; choose another one"))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(taken)?;
    let port = listener.local_addr().map_err(taken)?.port();
    let session = session.to_path_buf();
    let accept = move || {
        for stream in listener.incoming().flatten() {
            take(stream, session.clone(), selection, report);
        }
    };
    start("gdb port", accept)?;
    Ok(port)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.into()).spawn(run);
    started.map(drop).map_err(|source| Error::Io { context: "serving debuggers".into(), source })
}

/// A debugger that cannot be served sees its connection end; the session knows why.
fn take<S: Stream>(stream: S, session: PathBuf, selection: Selection, report: Report) {
    let run = move || {
        let served = Client::connect_path(&session)
            .and_then(|client| serve(stream, client, Options { selection, ..Options::default() }));
        if let Err(error) = served {
            report(&error);
        }
    };
    if let Err(error) = start("gdb connection", run) {
        report(&error);
    }
}

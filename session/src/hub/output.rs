//! The program's output on this process's own streams: written by a thread, so that a reader who does not read holds up the
//! program's output and nothing else.

use std::{
    io::{self, Write},
    sync::{
        Mutex,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use super::lock;

/// Where output goes.
#[derive(Debug)]
pub struct Output(Mutex<Option<Writer>>);

/// Pieces to the thread that writes them, and the thread.
type Writer = (Sender<(u8, Vec<u8>)>, JoinHandle<()>);

impl Output {
    /// To the standard streams, or nowhere.
    pub fn new(wanted: bool) -> Self {
        let start = || {
            let (sender, pieces) = mpsc::channel::<(u8, Vec<u8>)>();
            let write = move || {
                for (stream, bytes) in pieces {
                    // Whoever closed our output does not want it; the program goes on.
                    let _ = put(stream, &bytes);
                }
            };
            let thread = thread::Builder::new().name("output".into()).spawn(write).ok()?;
            Some((sender, thread))
        };
        Self(Mutex::new(if wanted { start() } else { None }))
    }

    /// Writes bytes of a stream: 1 or 2.
    pub fn write(&self, stream: u8, bytes: &[u8]) {
        if let Some((sender, _)) = &*lock(&self.0) {
            let _ = sender.send((stream, bytes.to_vec()));
        }
    }

    /// Waits until everything is written. Nothing is written afterwards.
    pub fn drain(&self) {
        let taken = lock(&self.0).take();
        if let Some((sender, thread)) = taken {
            drop(sender);
            // It does not panic.
            let _ = thread.join();
        }
    }
}

fn put(stream: u8, bytes: &[u8]) -> io::Result<()> {
    let mut output: Box<dyn Write> =
        if stream == 2 { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    output.write_all(bytes)?;
    output.flush()
}

//! The program's output on this process's own streams: written by a thread, so that a reader who does not read holds up the
//! program's output and nothing else.

use std::{
    io::{self, Write},
    sync::{
        Condvar, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use flob_image::Stream;

use super::lock;

/// A guest that was asked to send what there is, and does not, is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where output goes.
#[derive(Debug)]
pub struct Output {
    writer: Mutex<Option<Writer>>,
    reached: Mutex<Reached>,
    more: Condvar,
}

/// Positions of both streams.
#[derive(Debug, Default)]
struct Reached {
    /// Where this environment's begin.
    begin: [u64; 2],
    /// Up to where they have come.
    now: [u64; 2],
}

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
        let writer = Mutex::new(if wanted { start() } else { None });
        Self { writer, reached: Mutex::default(), more: Condvar::new() }
    }

    /// Writes bytes that are at this position of a stream: 1 or 2.
    pub fn write(&self, stream: u8, position: u64, bytes: &[u8]) {
        if let Some((sender, _)) = &*lock(&self.writer) {
            let _ = sender.send((stream, bytes.to_vec()));
        }
        if let Some(reached) = lock(&self.reached).now.get_mut(usize::from(stream).wrapping_sub(1)) {
            *reached = position.saturating_add(bytes.len() as u64);
        }
        self.more.notify_all();
    }

    /// The environment is another one: its streams go on from here.
    pub fn begin_at(&self, streams: &[Stream]) {
        let begin = positions(streams);
        *lock(&self.reached) = Reached { begin, now: begin };
    }

    /// What has come by now was of the environment before.
    pub fn begins(&self) {
        let mut reached = lock(&self.reached);
        reached.now = reached.begin;
        drop(reached);
        self.more.notify_all();
    }

    /// Waits until everything up to here has come; whether it has.
    pub fn wait_for(&self, streams: &[Stream]) -> bool {
        let wanted = positions(streams);
        let lacks = |reached: &mut Reached| reached.now.iter().zip(wanted).any(|(now, wanted)| *now < wanted);
        let waited = self.more.wait_timeout_while(lock(&self.reached), PATIENCE, lacks);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until everything is written. Nothing is written afterwards.
    pub fn drain(&self) {
        let taken = lock(&self.writer).take();
        if let Some((sender, thread)) = taken {
            drop(sender);
            // It does not panic.
            let _ = thread.join();
        }
    }
}

/// Of both streams.
fn positions(streams: &[Stream]) -> [u64; 2] {
    ["stdout", "stderr"]
        .map(|name| streams.iter().find(|stream| stream.name == name).map_or(0, |stream| stream.position))
}

fn put(stream: u8, bytes: &[u8]) -> io::Result<()> {
    let mut output: Box<dyn Write> =
        if stream == 2 { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    output.write_all(bytes)?;
    output.flush()
}

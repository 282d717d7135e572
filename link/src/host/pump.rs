//! The two threads at the stream: one that only reads, so that the guest never waits for the host; one that only writes, so
//! that a guest that does not read holds up nothing else.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender, SyncSender},
    },
    thread,
};

use super::manager::Inward;

/// Frames that may wait for the writer. One more is dropped, as if lost on the way.
const WAITING_FRAMES: usize = 64;

/// Most bytes that are read at once.
const READ: usize = 256 * 1024;

/// Reads until the end, counts and hands everything on. A stream that says `NotConnected` is interrupted, and read again.
pub fn read_into(
    mut reader: impl Read + Send + 'static,
    inward: Sender<Inward>,
    received: Arc<AtomicU64>,
) -> io::Result<()> {
    let read = move || {
        let mut buffer = vec![0; READ];
        loop {
            let bytes = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => buffer.get(..count).unwrap_or_default().to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A device that has gone and may come back: the next read waits for that.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    if inward.send(Inward::Interrupted).is_err() {
                        return;
                    }
                    continue;
                }
                Err(_) => break,
            };
            received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if inward.send(Inward::Bytes(bytes)).is_err() {
                return;
            }
        }
        // The manager may have ended before its stream.
        let _ = inward.send(Inward::Ended);
    };
    thread::Builder::new().name("link reader".into()).spawn(read).map(drop)
}

/// Writes each frame that is sent, and counts. An error ends it: the reader will see the end of the stream, too.
pub fn write_from(
    mut writer: impl Write + Send + 'static,
    sent: Arc<AtomicU64>,
) -> io::Result<SyncSender<Vec<u8>>> {
    let (sender, frames) = mpsc::sync_channel::<Vec<u8>>(WAITING_FRAMES);
    let write = move || {
        for frame in frames {
            if writer.write_all(&frame).and_then(|()| writer.flush()).is_err() {
                return;
            }
            sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
        }
    };
    thread::Builder::new().name("link writer".into()).spawn(write)?;
    Ok(sender)
}

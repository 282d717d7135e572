//! Pumps standard input into the guest as fast as the guest takes it, out of the spool, and fills the spool as fast as input
//! comes.

use std::{
    fs::File,
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use flob_image::store::{SoFar, Spool};
use flob_link::{CHUNK, Request, host::Link, host::LinkError};

use crate::Error;

/// How far an endless input is read ahead of the guest.
const READ_AHEAD: u64 = 64 << 20;

/// Standard input of the session.
pub struct Input {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    spool: Spool,
    /// A regular file fills the spool: it comes whole, and soon.
    from_file: bool,
    /// Where the next byte for the guest is.
    cursor: u64,
    /// Where the guest's room ends.
    room_to: u64,
    end_sent: bool,
    /// The guest's word counts, not ours: after a restore, or when it refused a piece.
    lost_place: bool,
    closed: bool,
}

impl Input {
    /// Input out of this spool.
    pub fn new(spool: Spool) -> Arc<Self> {
        let state = State {
            spool,
            from_file: false,
            cursor: 0,
            room_to: 0,
            end_sent: false,
            lost_place: true,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Fills the spool from a file or pipe until its end.
    pub fn fill_from(self: &Arc<Self>, mut source: File) -> io::Result<()> {
        self.lock().from_file = source.metadata().is_ok_and(|data| data.is_file());
        let input = Arc::clone(self);
        let fill = move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                match source.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) if input.add(buffer.get(..count).unwrap_or_default()).is_ok() => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => break,
                }
            }
            input.end();
        };
        thread::Builder::new().name("input".into()).spawn(fill).map(drop)
    }

    /// Pumps until the session closes.
    pub fn pump_into(self: &Arc<Self>, link: Link) -> io::Result<()> {
        let input = Arc::clone(self);
        let pump = move || {
            while let Some((position, bytes)) = input.next_piece() {
                input.send(&link, position, bytes);
            }
        };
        thread::Builder::new().name("input pump".into()).spawn(pump).map(drop)
    }

    /// Adds bytes that somebody typed; none: the input ends.
    pub fn type_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        if self.lock().spool.has_ended() {
            return Err(Error::Refused("the input of this session has ended".into()));
        }
        if bytes.is_empty() {
            self.end();
            return Ok(());
        }
        self.add(bytes)
    }

    /// The guest says what it wants: from here, up to there.
    pub fn wanted(&self, from: u64, to: u64) {
        let mut state = self.lock();
        if std::mem::take(&mut state.lost_place) || from > state.cursor {
            state.cursor = from;
            state.end_sent = false;
        }
        state.room_to = to;
        drop(state);
        self.changed.notify_all();
    }

    /// The guest's environment was replaced: it reads this stream (`None`: the same) from a place of its own.
    pub fn replaced(&self, spool: Option<Spool>) {
        let mut state = self.lock();
        if let Some(spool) = spool {
            state.spool = spool;
        }
        state.lost_place = true;
        state.room_to = 0;
    }

    /// Waits until `position` bytes of input have come, or all.
    pub fn wait_for(&self, position: u64) {
        let waiting =
            |state: &mut State| !state.closed && !state.spool.has_ended() && state.spool.length() < position;
        drop(self.changed.wait_while(self.lock(), waiting));
    }

    /// Waits until a file that is the input is in the spool, whole.
    pub fn wait_for_file(&self) {
        let waiting = |state: &mut State| state.from_file && !state.closed && !state.spool.has_ended();
        drop(self.changed.wait_while(self.lock(), waiting));
    }

    /// Whether all of it has come.
    pub fn has_ended(&self) -> bool {
        self.lock().spool.has_ended()
    }

    /// What is in the spool now. Input goes on meanwhile.
    pub fn so_far(&self) -> SoFar {
        self.lock().spool.so_far()
    }

    /// Ends the pump.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn end(&self) {
        self.lock().spool.end();
        self.changed.notify_all();
    }

    fn add(&self, bytes: &[u8]) -> Result<(), Error> {
        let full = |state: &mut State| {
            !state.from_file
                && !state.closed
                && state.spool.length() > state.cursor.saturating_add(READ_AHEAD)
        };
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        state.spool.append(bytes)?;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for something to send: bytes, or none for the end.
    fn next_piece(&self) -> Option<(u64, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(piece) = state.piece() {
                return Some(piece);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn send(&self, link: &Link, position: u64, bytes: Vec<u8>) {
        let count = bytes.len() as u64;
        let result = link.request(Request::Input { position, bytes });
        let mut state = self.lock();
        match result {
            // A restore in between has moved the place.
            _ if state.lost_place => {}
            Ok(_) if count == 0 => state.end_sent = true,
            Ok(_) => state.cursor = position + count,
            Err(LinkError::Refused(_) | LinkError::Silent) => state.lost_place = true,
            Err(_) => state.closed = true,
        }
        drop(state);
        // Whoever fills the spool may be waiting for the guest.
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn piece(&self) -> Option<(u64, Vec<u8>)> {
        if self.lost_place {
            return None;
        }
        let count = self.room_to.saturating_sub(self.cursor).min(CHUNK as u64);
        let bytes = self.spool.read(self.cursor, count as usize).ok()?;
        let at_end = self.spool.has_ended() && self.cursor >= self.spool.length() && !self.end_sent;
        (!bytes.is_empty() || at_end).then_some((self.cursor, bytes))
    }
}

//! Keys and signals, each read by a thread of its own and sent on as messages.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    thread,
    time::Duration,
};

use crossterm::event::{self, Event};
use flob_session::Error;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use super::message::Message;

/// How long the reader of keys waits before it looks whether it should rest.
const PATIENCE: Duration = Duration::from_millis(50);

/// The readers of keys and signals; they end when this is dropped.
pub struct Input {
    gate: Arc<Gate>,
    signals: Handle,
}

#[derive(Default)]
struct Gate {
    state: Mutex<Resting>,
    changed: Condvar,
}

#[derive(Default)]
struct Resting {
    wanted: bool,
    rests: bool,
    ends: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Resting> {
        // Nothing that holds this lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests as long as that is wanted; false once the reader is to end.
    fn pass(&self) -> bool {
        let mut state = self.lock();
        while state.wanted && !state.ends {
            state.rests = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rests = false;
        !state.ends
    }
}

impl Input {
    /// Starts reading.
    pub fn start(messages: &Sender<Message>) -> Result<Self, Error> {
        let failed = |source| Error::Io { context: "watching for keys and signals".into(), source };
        let gate = Arc::new(Gate::default());
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT]).map_err(failed)?;
        let handle = signals.handle();
        let sender = messages.clone();
        let watch = move || {
            for _ in signals.forever() {
                let _ = sender.send(Message::Terminate);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
        let (sender, passing) = (messages.clone(), Arc::clone(&gate));
        thread::Builder::new().name("keys".into()).spawn(move || read(&passing, &sender)).map_err(failed)?;
        Ok(Self { gate, signals: handle })
    }

    /// Leaves the keys to another program for as long as `work` takes.
    pub fn rest_while<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut state = self.gate.lock();
        state.wanted = true;
        while !state.rests && !state.ends {
            state = self.gate.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let result = work();
        self.gate.lock().wanted = false;
        self.gate.changed.notify_all();
        result
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.signals.close();
        self.gate.lock().ends = true;
        self.gate.changed.notify_all();
    }
}

fn read(gate: &Gate, messages: &Sender<Message>) {
    while gate.pass() {
        let event = match event::poll(PATIENCE) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let message = match event {
            Ok(Event::Key(key)) => Message::Key(key),
            Ok(Event::Mouse(mouse)) => Message::Mouse(mouse),
            Ok(Event::Paste(text)) => Message::Paste(text),
            Ok(Event::Resize(width, height)) => Message::Resize(width, height),
            Ok(_) => continue,
            // The terminal is gone.
            Err(_) => {
                let _ = messages.send(Message::Terminate);
                break;
            }
        };
        if messages.send(message).is_err() {
            break;
        }
    }
    gate.lock().ends = true;
    gate.changed.notify_all();
}

//! One connection of a debugger: its packets and the session's events, taken in one after the other.

mod telling;

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use flob_link::Event;
use flob_session::{Error, HubEvent, LinkState};
use gdbstub::{
    conn::Connection,
    stub::{GdbStubBuilder, state_machine::GdbStubStateMachine},
};

use crate::{
    Options, attach,
    dispatch::{self, Desk, Route, Terms},
    files::Files,
    filter::{Filter, Wanted},
    guest::Guest,
    inferior::Inferior,
    inputs::{Input, Inputs},
    line::Line,
    packet::PACKET_SIZE,
    stream::Stream,
};

/// For a debugger that may give a question up and take its answer for that to the next one.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);
/// For gdb, which is told meanwhile that the answer is being made.
const ANSWER_GDB_WITHIN: Duration = Duration::from_secs(20);

/// What gdbstub writes; cut into packets and sent by the filter.
#[derive(Debug, Default)]
struct Outbox(Vec<u8>);

impl Connection for Outbox {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.0.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Why the loop ends; either way the program is let go.
enum End {
    Detached,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Stub<'a, G> = GdbStubStateMachine<'a, Inferior<G>, Outbox>;

struct Server<'a, G: Guest, S> {
    inferior: Inferior<G>,
    files: Files,
    filter: Filter,
    stub: Option<Stub<'a, G>>,
    line: Line<S>,
    /// Acknowledgements, which go with the answer if that comes at once: the debugger is woken once for both.
    owed: Vec<u8>,
    is_gdb: bool,
    log: Option<Box<dyn Write + Send>>,
    terms: Terms,
}

/// Serves one debugger until it goes or the session ends. Everything that crosses the line is written to the log.
pub(crate) fn run<G: Guest, S: Stream>(stream: S, guest: G, options: Options) -> Result<(), Error> {
    let failed = |source| io_error("serving a debugger", source);
    let (mut inputs, sink) = Inputs::new(stream.another().map_err(failed)?).map_err(failed)?;
    let line = Line::new(stream).map_err(failed)?;
    let mut filter = Filter::default();
    let Some(wanted) = first_packets(&mut inputs, &mut filter, &line) else { return Ok(()) };
    let is_gdb = wanted.iter().any(is_of_gdb);
    line.set_busy(is_gdb);
    let hears = Box::new(move |event| !matters(&event) || sink.take(event));
    let mut inferior = attach(guest, hears, options.selection).inspect_err(|_| line.end())?;
    if options.awaited.swap(false, Ordering::Relaxed) {
        inferior.release_user()?;
    }
    let files = Files::new(inferior.guest.elf());
    // gdbstub looks for another '#' behind a packet's end, through all of its buffer if it has to.
    let mut buffer = vec![b'#'; PACKET_SIZE];
    let stub = GdbStubBuilder::new(Outbox::default())
        .with_packet_buffer(&mut buffer)
        .build()
        .map_err(|error| Error::Internal(error.to_string()))?
        .run_state_machine(&mut inferior)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let (stub, log) = (Some(stub), options.log);
    let (owed, terms) = (Vec::new(), Terms::default());
    let mut server = Server { inferior, files, filter, stub, line, owed, is_gdb, log, terms };
    let end = server.take_all(wanted).and_then(|()| server.serve(&mut inputs));
    server.inferior.detach();
    server.line.end();
    match end {
        Ok(()) | Err(End::Detached) => Ok(()),
        Err(End::Failed(error)) => Err(error),
    }
}

/// The program is stopped for a debugger that says something, not for a connection.
fn first_packets<S: Stream>(
    inputs: &mut Inputs<S>,
    filter: &mut Filter,
    line: &Line<S>,
) -> Option<Vec<Wanted>> {
    while let Some(Input::Bytes(bytes)) = inputs.next(None) {
        let mut out = Vec::new();
        let wanted = filter.receive(&bytes, &mut out);
        line.write(&out).ok()?;
        if !wanted.is_empty() {
            return Some(wanted);
        }
    }
    None
}

/// Only gdb takes an acknowledgement that nobody asked for for what it is.
fn is_of_gdb(wanted: &Wanted) -> bool {
    let Wanted::Packet(packet) = wanted else { return false };
    let mut features = packet.split(|byte| *byte == b';');
    packet.starts_with(b"qSupported:") && features.any(|feature| feature == b"qRelocInsn+")
}

fn io_error(context: &str, source: io::Error) -> Error {
    Error::Io { context: context.into(), source }
}

fn matters(event: &HubEvent) -> bool {
    !matches!(
        event,
        HubEvent::Saved(_)
            | HubEvent::Trace(_)
            | HubEvent::Guest(Event::Output { .. } | Event::InputWanted { .. } | Event::Traced { .. })
    )
}

impl<G: Guest, S: Stream> Server<'_, G, S> {
    fn serve(&mut self, inputs: &mut Inputs<S>) -> Result<(), End> {
        loop {
            let input = match inputs.event() {
                Some(event) => Some(event),
                None => {
                    self.write(&[])?;
                    inputs.next(self.inferior.patience())
                }
            };
            match input {
                Some(Input::Bytes(bytes)) => self.take_bytes(&bytes)?,
                Some(Input::Event(HubEvent::Link(LinkState::Dead)) | Input::SessionEnded) => {
                    return self.session_ended();
                }
                Some(Input::Event(event)) => self.take_event(event)?,
                Some(Input::Closed) => return Ok(()),
                // A step that does not end loses its privilege.
                None if self.inferior.patience() == Some(Duration::ZERO) => self.inferior.lose_patience(),
                None => {}
            }
        }
    }

    fn take_bytes(&mut self, bytes: &[u8]) -> Result<(), End> {
        let wanted = self.filter.receive(bytes, &mut self.owed);
        self.take_all(wanted)
    }

    fn take_all(&mut self, wanted: Vec<Wanted>) -> Result<(), End> {
        for want in wanted {
            match want {
                Wanted::Packet(packet) => self.take_in_time(&packet)?,
                Wanted::Interrupt => {
                    if let Some(stop) = self.inferior.interrupt() {
                        self.report(stop)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take_in_time(&mut self, packet: &[u8]) -> Result<(), End> {
        let time = if self.is_gdb { ANSWER_GDB_WITHIN } else { ANSWER_WITHIN };
        self.inferior.guest.hurry(Some(Instant::now() + time));
        self.line.set_busy(self.is_gdb);
        let taken = self.take_packet(packet);
        self.line.set_busy(false);
        self.inferior.guest.hurry(None);
        taken
    }

    fn take_event(&mut self, event: HubEvent) -> Result<(), End> {
        let Some(stop) = self.inferior.on_event(event) else { return self.tell_console() };
        self.report(stop)
    }

    fn session_ended(&mut self) -> Result<(), End> {
        if self.inferior.running {
            self.inferior.console.push("flob: the session has ended".into());
            self.tell_console()?;
        }
        Ok(())
    }

    fn take_packet(&mut self, packet: &[u8]) -> Result<(), End> {
        self.note("<-", packet);
        if !self.inferior.is_attached() {
            // It goes on.
            self.inferior.forget();
        }
        let mut desk = Desk { inferior: &mut self.inferior, files: &mut self.files, terms: &mut self.terms };
        match dispatch::route(&mut desk, packet) {
            Route::Answer(answer) => self.send(&answer),
            Route::Stub => self.feed(packet, ""),
            Route::Instead(other) => self.feed(&other, ""),
            Route::StubAnd(more) => self.feed(packet, more),
            Route::Silence => Ok(()),
            Route::Trust => {
                self.send(b"OK")?;
                self.filter.trust();
                Ok(())
            }
            Route::Detach(answer) => {
                self.inferior.detach();
                answer.map_or(Ok(()), |answer| self.send(answer))?;
                Err(End::Detached)
            }
        }
    }
}

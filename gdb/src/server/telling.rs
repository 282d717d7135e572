//! What goes to the debugger: gdbstub's answers, stops that it waits for, lines for its user.

use std::io::Write;

use flob_session::Error;
use gdbstub::stub::state_machine::GdbStubStateMachine;

use super::{End, Server, Stream};
use crate::{
    arch,
    extended::renumber,
    guest::Guest,
    packet::{self, frame},
    stop::{Stop, StopKind},
};

impl<G: Guest, S: Stream> Server<'_, G, S> {
    /// Hands a packet to gdbstub and sends its answer, with `more` behind it.
    pub(super) fn feed(&mut self, packet: &[u8], more: &str) -> Result<(), End> {
        self.inferior.refusal = None;
        for byte in frame(packet) {
            let next = match self.stub.take() {
                Some(GdbStubStateMachine::Idle(stub)) => stub.incoming_data(&mut self.inferior, byte),
                Some(GdbStubStateMachine::Running(stub)) => stub.incoming_data(&mut self.inferior, byte),
                Some(GdbStubStateMachine::CtrlCInterrupt(stub)) => Ok(stub.into()),
                Some(GdbStubStateMachine::Disconnected(stub)) => Ok(stub.return_to_idle()),
                None => return Err(End::Detached),
            };
            self.stub = Some(next.map_err(|error| Error::Internal(format!("the gdb protocol: {error}")))?);
        }
        self.send_outbox(more)?;
        self.tell_console()?;
        match self.inferior.immediate.take() {
            Some(stop) => self.report(stop),
            None => Ok(()),
        }
    }

    fn outbox(&mut self) -> Vec<u8> {
        let outbox = match &mut self.stub {
            Some(GdbStubStateMachine::Idle(stub)) => stub.borrow_conn(),
            Some(GdbStubStateMachine::Running(stub)) => stub.borrow_conn(),
            Some(GdbStubStateMachine::CtrlCInterrupt(stub)) => stub.borrow_conn(),
            Some(GdbStubStateMachine::Disconnected(stub)) => stub.borrow_conn(),
            None => return Vec::new(),
        };
        std::mem::take(&mut outbox.0)
    }

    fn send_outbox(&mut self, more: &str) -> Result<(), End> {
        let mut framer = packet::Framer::default();
        for byte in self.outbox() {
            if let Some(packet::Incoming::Packet(mut answer)) = framer.push(byte) {
                answer.extend_from_slice(more.as_bytes());
                if let Some(why) = self.inferior.refusal.take_if(|_| self.is_gdb && packet::is_error(&answer))
                {
                    answer = packet::error_in_words(&why);
                }
                self.send(&renumber(answer, self.inferior.process))?;
            }
        }
        Ok(())
    }

    /// Tells a stop to the debugger, which waits for one. Everything is held first.
    pub(super) fn report(&mut self, stop: Stop) -> Result<(), End> {
        if !matches!(stop.kind, StopKind::Exited(_)) {
            self.inferior.stop_world();
        }
        self.inferior.name_call(stop);
        self.tell_console()?;
        self.inferior.running = false;
        self.inferior.last = stop;
        let number = stop.thread.and_then(|thread| self.inferior.number(thread));
        let told = stop.thread.map(|thread| self.expedited(thread)).unwrap_or_default();
        let mut registers = told.iter().map(|(register, bytes)| (*register, bytes.as_slice()));
        let Some(GdbStubStateMachine::Running(stub)) =
            self.stub.take_if(|stub| matches!(stub, GdbStubStateMachine::Running(_)))
        else {
            return Ok(());
        };
        let next = stub.report_stop_with_regs(&mut self.inferior, stop.reason(number), &mut registers);
        let next = next.map_err(|error| Error::Internal(format!("the gdb protocol: {error}")))?;
        self.stub = Some(match next {
            GdbStubStateMachine::Disconnected(stub) => stub.return_to_idle(),
            other => other,
        });
        self.send_outbox("")
    }

    /// What saves the debugger its first question after a stop.
    fn expedited(&mut self, thread: flob_image::Place) -> Vec<(arch::RegisterNumber, Vec<u8>)> {
        let told = self.inferior.registers(thread, false).is_ok();
        let state = self.inferior.state(thread, false).ok().filter(|_| told);
        state.map(|(state, _)| arch::expedited(&state)).unwrap_or_default()
    }

    /// Lines for the user; the debugger takes them only while it waits for a stop.
    pub(super) fn tell_console(&mut self) -> Result<(), End> {
        if !matches!(self.stub, Some(GdbStubStateMachine::Running(_))) {
            return Ok(());
        }
        for line in self.inferior.take_console() {
            let text = packet::hex(format!("{line}\n").as_bytes());
            self.send(format!("O{text}").as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, answer: &[u8]) -> Result<(), End> {
        self.note("->", answer);
        let mut out = Vec::new();
        self.filter.send(answer, &mut out);
        self.write(&out)
    }

    /// Writes what is owed, and this.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.owed.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.owed);
        if all.is_empty() {
            return Ok(());
        }
        // A debugger that does not read any more has gone.
        self.line.write(&all).map_err(|_| End::Detached)
    }

    pub(super) fn note(&mut self, direction: &str, packet: &[u8]) {
        if let Some(log) = &mut self.log {
            // The log is for people in trouble; that it cannot be written is none of the debugger's.
            let _ = writeln!(log, "{direction} {}", packet.escape_ascii());
        }
    }
}

//! What clients ask, and who answers it.

use std::sync::atomic::AtomicBool;

use flob_link::{Failure, FailureKind};

use super::{Hub, clients::Connection, lock, restore::Manner, save::Order};
use crate::{HubReply, HubRequest, LongRequest};

/// Tells how far a long request is: phase, done, total.
pub(super) type ProgressTo<'a> = &'a dyn Fn(&str, u64, u64);

impl Hub {
    /// Answers a short request.
    pub(super) fn answer(&self, request: HubRequest, connection: &Connection) -> Result<HubReply, Failure> {
        match request {
            HubRequest::Info => Ok(HubReply::Info(Box::new(self.info()))),
            HubRequest::Subscribe => {
                lock(&self.fanout).subscribe(connection.number, &connection.outward);
                Ok(HubReply::Done)
            }
            HubRequest::Look { vectors } => self.look(vectors).map(HubReply::Environment),
            HubRequest::Read { memory, address, count } => {
                self.read(memory, address, count).map(HubReply::Bytes)
            }
            HubRequest::Write { memory, address, bytes } => nothing(self.write(memory, address, &bytes)),
            HubRequest::Set { place, hash, change } => nothing(self.set(place, hash, change)),
            HubRequest::Hold { owner, scope } => held(self.hold(&owner, scope, Some(connection.number))),
            HubRequest::Release { owner, scope, force } => held(self.release(&owner, scope, force)),
            HubRequest::Continue { owner, space } => held(self.go_on(&owner, space, connection.number)),
            HubRequest::Step { owner, thread, within } => {
                nothing(self.step(&owner, thread, within, connection.number))
            }
            HubRequest::SetBreakpoint { owner, space, address } => {
                nothing(self.set_breakpoint(&owner, (space, address), connection.number))
            }
            HubRequest::ClearBreakpoint { owner, space, address } => {
                nothing(self.clear_breakpoint(&owner, (space, address)))
            }
            HubRequest::SetWatch { owner, watch } => {
                nothing(self.set_watch(&owner, watch, connection.number))
            }
            HubRequest::CatchCalls { owner, space, calls } => {
                nothing(self.catch_calls(&owner, space, &calls, connection.number))
            }
            HubRequest::Points => Ok(HubReply::Points(self.points())),
            HubRequest::AddPoint { owner, spot, condition } => {
                self.add_point(&owner, spot, condition, connection.number).map(HubReply::Point)
            }
            HubRequest::ChangePoint { id, change } => nothing(self.change_point(id, change)),
            HubRequest::SetTrace { owner, tracing } => {
                nothing(self.set_trace(&owner, tracing, connection.number))
            }
            HubRequest::Trace { from } => self.trace(from).map(HubReply::Trace),
            HubRequest::ClearWatch { owner, watch } => nothing(self.clear_watch(&owner, watch)),
            HubRequest::Type { bytes } => nothing(self.type_bytes(&bytes)),
            HubRequest::MeasureLine { messages } => self.measure_line(messages).map(HubReply::Line),
            HubRequest::MoveBegin { size } => nothing(self.move_begin(size, connection)),
            HubRequest::MovePages { runs, bulk } => nothing(self.move_pages(&runs, &bulk, connection)),
            HubRequest::MoveInput { bytes } => nothing(self.move_input_here(&bytes, connection)),
            HubRequest::MoveRecord { record, elf } => nothing(self.move_record(record, elf, connection)),
            HubRequest::MoveCommit { checkpoint, run, input_ended } => {
                nothing(self.move_commit(checkpoint, (run, input_ended), connection))
            }
            HubRequest::Shutdown => {
                self.shut_down();
                Ok(HubReply::Done)
            }
            HubRequest::Long(_) | HubRequest::Cancel { .. } => {
                Err(Failure { kind: FailureKind::Invalid, text: "answered elsewhere".into() })
            }
        }
    }

    /// Answers a save or restore.
    pub(super) fn answer_long(
        &self,
        request: LongRequest,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<HubReply, Failure> {
        match request {
            LongRequest::Save { name, when, full: is_full } => {
                let order = Order { name, when, is_full };
                self.save(order, cancelled, progress).map(HubReply::Checkpoint)
            }
            LongRequest::Restore { id, force, lazy } => {
                self.restore(&id, Manner { force, lazy }, cancelled, progress).map(HubReply::Checkpoint)
            }
            LongRequest::Migrate { to } => self.migrate(&to, cancelled, progress).map(HubReply::Migrated),
            LongRequest::AwaitPages => nothing(self.await_pages(cancelled, progress)),
            LongRequest::Remember { what } => {
                self.remember(&what, cancelled, progress).map(HubReply::Checkpoint)
            }
            LongRequest::Restart { arguments } => nothing(self.restart(arguments, cancelled, progress)),
            LongRequest::Undo => self.undo(cancelled, progress).map(HubReply::Checkpoint),
        }
    }

    fn type_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.takes_typing {
            let text = "this session reads its standard input from a file or pipe".into();
            return Err(Failure { kind: FailureKind::State, text });
        }
        Ok(self.input.type_bytes(bytes)?)
    }
}

fn nothing(result: Result<(), Failure>) -> Result<HubReply, Failure> {
    result.map(|()| HubReply::Done)
}

fn held(result: Result<super::control::Held, Failure>) -> Result<HubReply, Failure> {
    result.map(|(threads, holders)| HubReply::Held { threads, holders })
}

//! The other end of a migration: another session's program comes into this guest. What is here stays as it is until everything
//! has come and the other side says so; if its connection ends before, nothing has happened.

use flob_image::{Environment, store::Spool};
use flob_link::{Capacity, Failure, FailureKind, Request, Run, Scope, pack::pack};

use super::{Hub, clients::Connection, lock, long_work::Turn, memory, runs};
use crate::{Error, Owner, symbols};

/// What has come so far.
pub(super) struct Receiving {
    /// Of this connection.
    connection: u64,
    input: Spool,
    /// The flobs, and the program's file.
    record: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// Nothing else of its kind is done meanwhile.
    _turn: Turn,
}

fn nothing_comes() -> Failure {
    Failure { kind: FailureKind::State, text: "no program is on its way into this session".into() }
}

impl Hub {
    /// A program with so many bytes of memory is about to come.
    pub(super) fn move_begin(&self, size: u64, connection: &Connection) -> Result<(), Failure> {
        let busy = || Failure {
            kind: FailureKind::State,
            text: "it saves or restores right now: try again when that is done".into(),
        };
        let turn = self.long_work.try_begin().ok_or_else(busy)?;
        let input = self.store.spool().map_err(Error::from)?;
        self.begin_restore(0, size, false)?;
        *lock(&self.receiving) =
            Some(Receiving { connection: connection.number, input, record: None, _turn: turn });
        Ok(())
    }

    /// Some of its pages.
    pub(super) fn move_pages(
        &self,
        runs: &[Run],
        bulk: &[u8],
        connection: &Connection,
    ) -> Result<(), Failure> {
        self.with_receiving(connection, |_| Ok(()))?;
        let Capacity { is_lossless, to_guest, .. } = self.capacity();
        let pages: Vec<(u64, &[u8])> = runs::split(runs, bulk)?.collect();
        let most = usize::try_from(to_guest.max(1)).unwrap_or(1);
        let requests = pages.chunks(most).map(|pages| {
            let numbers: Vec<u64> = pages.iter().map(|(page, _)| *page).collect();
            let runs = runs::batches(&numbers, to_guest).concat();
            let bulk = pages.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat();
            if is_lossless {
                Request::RestorePages { runs, bulk }
            } else {
                Request::RestorePacked { runs, packed: pack(&bulk) }
            }
        });
        self.link.pipeline((0..).zip(requests), |_, reply| memory::done(reply))
    }

    /// Some of its input.
    pub(super) fn move_input_here(&self, bytes: &[u8], connection: &Connection) -> Result<(), Failure> {
        self.with_receiving(connection, |receiving| {
            receiving.input.append(bytes).map_err(|error| Error::from(error).into())
        })
    }

    /// Its flobs.
    pub(super) fn move_record(
        &self,
        record: Vec<u8>,
        elf: Option<Vec<u8>>,
        connection: &Connection,
    ) -> Result<(), Failure> {
        self.with_receiving(connection, |_| Ok(()))?;
        memory::done(self.link.request(Request::RestoreRecordSize { record: record.len() as u64 })?)?;
        self.send_record(&record)?;
        self.with_receiving(connection, |receiving| {
            receiving.record = Some((record, elf));
            Ok(())
        })
    }

    /// It goes on here.
    pub(super) fn move_commit(
        &self,
        checkpoint: Option<String>,
        (run, input_ended): (bool, bool),
        connection: &Connection,
    ) -> Result<(), Failure> {
        let is_theirs = |receiving: &mut Receiving| receiving.connection == connection.number;
        let receiving = lock(&self.receiving).take_if(is_theirs).ok_or_else(nothing_comes)?;
        let Receiving { mut input, record, _turn, .. } = receiving;
        let came = record.ok_or_else(nothing_comes).and_then(|(record, elf)| {
            let environment = memory::parse_environment(&record)?;
            self.replace(Request::RestoreCommit { force: false }, None)?;
            Ok((environment, elf))
        });
        let (environment, elf) = match came {
            Ok(came) => came,
            Err(failure) => {
                let _ = self.link.request(Request::RestoreAbandon);
                return Err(failure);
            }
        };
        if input_ended {
            input.end();
        }
        self.input.replaced(Some(input));
        self.keep_program(&environment, elf);
        self.output.begin_at(&environment.streams);
        let checkpoint = checkpoint.filter(|id| self.store.resolve(id).is_ok());
        self.environment_replaced(&environment, checkpoint, true);
        if run {
            // It is here in any case; if it cannot be let go, somebody will see it held.
            let _ = self.release(&Owner::User, Scope::Environment, false);
        }
        Ok(())
    }

    /// Symbols, and the program's file for checkpoints to come. Without it there are no symbols.
    fn keep_program(&self, environment: &Environment, elf: Option<Vec<u8>>) {
        if let Some(elf) = elf.filter(|elf| symbols::is_program_of(elf, environment)) {
            let _ = self.store.put_program(&environment.build_id, &elf);
        }
    }

    /// The connection has ended: what had come by it is dropped.
    pub(super) fn receive_no_more(&self, connection: u64) {
        let is_theirs = |receiving: &mut Receiving| receiving.connection == connection;
        if lock(&self.receiving).take_if(is_theirs).is_some() {
            // A guest that is gone has dropped it.
            let _ = self.link.request(Request::RestoreAbandon);
        }
    }

    fn with_receiving<T>(
        &self,
        connection: &Connection,
        act: impl FnOnce(&mut Receiving) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut receiving = lock(&self.receiving);
        let ours = receiving.as_mut().filter(|receiving| receiving.connection == connection.number);
        act(ours.ok_or_else(nothing_comes)?)
    }
}

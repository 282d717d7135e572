//! Moving the program into another session's guest while it runs. Its memory travels in rounds: all of it, then what was written
//! meanwhile, again and again, until little is left or it does not get less. Then it stands still for the rest, and runs on
//! there.
//!
//! Until the other side has everything, and is told to go on with it, this side can go back: the program runs here, and what was
//! there before is still there. After that word nobody goes back but if the other hub has gone, and its guest with it. So
//! the program is in exactly one place.

use std::{sync::atomic::AtomicBool, time::Instant};

use flob_abi::PAGE_SIZE;
use flob_image::Environment;
use flob_link::{Failure, FailureKind, Mark, Reply, Request, Run, Scope, host::LinkError};

use super::{
    Hub, lock, memory,
    requests::ProgressTo,
    runs,
    save::stop_if,
    supply::{Supply, checkpoint_of},
};
use crate::{Client, Error, HubEvent, HubRequest, Migrated, Owner, sessions, symbols};

/// Rounds at most, the last one included.
const ROUNDS: u32 = 12;
/// So few pages may as well travel while the program stands still.
const FEW: usize = 128;
/// Bytes of input that travel in one message.
const PIECE: usize = 1 << 20;
/// The program is held by this while its last pages travel.
const HOLDER: &str = "migration";

/// The way to the other session.
struct Way<'a> {
    target: Client,
    /// Pages that have travelled, one that went twice counted twice.
    pages: u64,
    /// Bytes of input that have travelled.
    input: u64,
    cancelled: &'a AtomicBool,
    progress: ProgressTo<'a>,
}

/// What a round moves.
struct Round {
    mark: Mark,
    /// Written, or all.
    used: Vec<u64>,
    zero: Vec<u64>,
    /// In a checkpoint still, not in this guest.
    missing: Vec<u64>,
}

impl Round {
    fn count(&self) -> usize {
        self.used.len() + self.zero.len() + self.missing.len()
    }
}

impl Hub {
    /// Moves the program into the guest of the session of this name.
    pub(super) fn migrate(
        &self,
        to: &str,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<Migrated, Failure> {
        let refuse = |text: String| Failure { kind: FailureKind::State, text };
        let _alone = self.long_work.begin(cancelled, progress)?;
        if lock(&self.info).name == to {
            return Err(refuse(format!("the program is in session '{to}' already")));
        }
        if lock(&self.info).progress.exit.is_some() {
            return Err(refuse("the program has ended: there is nothing to move".into()));
        }
        let target = sessions::socket(to).and_then(|path| Client::connect_path(&path))?;
        let size = self.look(false)?.size;
        target.request(HubRequest::MoveBegin { size }).map_err(|error| there(to, error))?;
        // From here on the end of the connection is the end of the attempt.
        let mut way = Way { target, pages: 0, input: 0, cancelled, progress };
        let moved = self.move_over(&mut way, size.div_ceil(PAGE_SIZE), to);
        // Whatever became of it, nothing is copied any more; a guest that is shutting down needs no word.
        let _ = self.link.request(Request::SaveEnd);
        match moved {
            // The session ends when whoever asked has been told.
            Ok(moved) => Ok(moved),
            Err(failure) => {
                let _ = self.release(&migration(), Scope::Environment, false);
                Err(failure)
            }
        }
    }

    fn move_over(&self, way: &mut Way<'_>, pages: u64, to: &str) -> Result<Migrated, Failure> {
        let supply = lock(&self.supply).clone();
        let (mut since, mut rounds, mut last) = (None, 0, usize::MAX);
        loop {
            let round = self.begin_round(since, pages, way.cancelled)?;
            rounds += 1;
            let count = round.count();
            self.move_round(way, &round, supply.as_deref(), &format!("round {rounds}, pages"), to)?;
            since = Some(round.mark);
            // Another round of as much would change nothing.
            if count <= FEW || rounds + 1 >= ROUNDS || count >= last - last / 4 {
                break;
            }
            last = count;
        }
        self.move_input(way, to)?;
        let was_held = !lock(&self.books).holds.all_holders().is_empty();
        let stopped = Instant::now();
        self.hold(&migration(), Scope::Environment, None)?;
        let environment = self.move_rest(way, since, pages, supply.as_deref(), to)?;
        stop_if(way.cancelled)?;
        // No way back but if nobody is there any more.
        let checkpoint = lock(&self.info).checkpoint.clone();
        let go = HubRequest::MoveCommit { checkpoint, run: !was_held, input_ended: self.input.has_ended() };
        way.target.request(go).map_err(|error| there(to, error))?;
        let stop_nanoseconds = u64::try_from(stopped.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let flobs = environment.flobs.len() as u64;
        // What it had said by then belongs to this side. A guest that does not send it has had its time.
        let _ = self.output.wait_for(&environment.streams);
        self.tell(HubEvent::Moved(to.into()));
        Ok(Migrated {
            to: to.into(),
            rounds: rounds + 1,
            pages: way.pages,
            flobs,
            stop_nanoseconds,
            held: was_held,
        })
    }

    /// The program stands still: what it has written since the last round, its flobs, and its input.
    fn move_rest(
        &self,
        way: &mut Way<'_>,
        since: Option<Mark>,
        pages: u64,
        supply: Option<&Supply>,
        to: &str,
    ) -> Result<Environment, Failure> {
        let (answer, size, mark) = match self.link.request(Request::SaveBegin { when: None, since })? {
            Reply::Saving { answer, size, mark, only_changes: true } => (answer, size, mark),
            other => return Err(LinkError::unexpected(&other).into()),
        };
        let record = self.link.fetch(answer, size)?;
        let environment = memory::parse_environment(&record)?;
        if environment.exit.is_some() {
            let text = "the program has ended meanwhile: there is nothing to move".into();
            return Err(Failure { kind: FailureKind::State, text });
        }
        let round = self.round_at(mark, pages, way.cancelled)?;
        self.move_round(way, &round, supply, "standing still, pages", to)?;
        self.move_input(way, to)?;
        let elf = self.program.as_deref().filter(|elf| symbols::is_program_of(elf, &environment));
        let elf = elf.map(<[u8]>::to_vec);
        let sent = way.target.request(HubRequest::MoveRecord { record, elf });
        sent.map_err(|error| there(to, error))?;
        Ok(environment)
    }

    fn begin_round(&self, since: Option<Mark>, pages: u64, cancelled: &AtomicBool) -> Result<Round, Failure> {
        match self.link.request(Request::RoundBegin { since })? {
            Reply::Round(mark) => self.round_at(mark, pages, cancelled),
            other => Err(LinkError::unexpected(&other).into()),
        }
    }

    fn round_at(&self, mark: Mark, pages: u64, cancelled: &AtomicBool) -> Result<Round, Failure> {
        let found = self.survey(pages, cancelled)?;
        Ok(Round { mark, used: found.used, zero: found.zero, missing: found.missing })
    }

    fn move_round(
        &self,
        way: &mut Way<'_>,
        round: &Round,
        supply: Option<&Supply>,
        phase: &str,
        to: &str,
    ) -> Result<(), Failure> {
        let (cancelled, progress) = (way.cancelled, way.progress);
        let (mut done, total) = (0, round.count() as u64);
        progress(phase, 0, total);
        let mut pass_on = |runs: &[Run], bulk: Vec<u8>| {
            stop_if(cancelled)?;
            let count = runs::numbers(runs).count() as u64;
            let pages = HubRequest::MovePages { runs: runs.to_vec(), bulk };
            way.target.request(pages).map_err(|error| there(to, error))?;
            done += count;
            progress(phase, done, total);
            Ok(())
        };
        for runs in runs::batches(&round.zero, u32::MAX) {
            let bytes = runs::numbers(&runs).count() * PAGE_SIZE as usize;
            pass_on(&runs, vec![0; bytes])?;
        }
        for runs in runs::batches(&round.missing, u32::MAX) {
            let checkpoint = checkpoint_of(supply)?;
            let mut bulk = Vec::new();
            for page in runs::numbers(&runs) {
                bulk.extend_from_slice(checkpoint.page(page).map_err(Error::from)?.as_slice());
            }
            pass_on(&runs, bulk)?;
        }
        self.fetch_runs(&round.used, |runs, bulk| pass_on(runs, bulk))?;
        way.pages += total;
        Ok(())
    }

    /// What has come of the input since the last time.
    fn move_input(&self, way: &mut Way<'_>, to: &str) -> Result<(), Failure> {
        loop {
            stop_if(way.cancelled)?;
            let bytes = self.input.so_far().read(way.input, PIECE).map_err(Error::from)?;
            if bytes.is_empty() {
                return Ok(());
            }
            way.input += bytes.len() as u64;
            way.target.request(HubRequest::MoveInput { bytes }).map_err(|error| there(to, error))?;
        }
    }
}

fn migration() -> Owner {
    Owner::Client(HOLDER.into())
}

/// What the other session says no to, or that it is gone.
fn there(to: &str, error: Error) -> Failure {
    let text = format!("session '{to}': {error}; the program runs on here");
    Failure { text, ..Failure::from(error) }
}

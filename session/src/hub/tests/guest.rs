//! A guest at the other end of a pseudo-terminal, with one thread. It holds that as a debugger nester does, and an event is told when
//! the test says so: on a real line one may be long on its way.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use flob_abi::FlobKind;
use flob_image::{Environment, Flob, Link, Place, State, Stream, hash::FNV_START};
use flob_link::{
    CHANNEL_DEBUGGER, Capacity, Event, Failure, FailureKind, FromGuest, Mark, Memory, Progress, Reply,
    Request, Run, Scope, StopReason, ToGuest, VERSION,
    frame::{Decoder, encode},
};

use super::super::lock;

/// Its flobs.
pub const SPACE: Place = 0x1000;
/// See above.
pub const THREAD: Place = 0x2000;
/// Where the thread stops.
pub const ADDRESS: u64 = 0x40_1000;

/// Bytes of its memory.
pub const MEMORY: u64 = 1 << 20;

/// Longer than any of it takes.
pub const STUCK: Duration = Duration::from_secs(60);

/// What the test and the guest's thread share.
#[derive(Default)]
struct Shared {
    /// Whether the thread is held, and how many events must be known to let it go.
    held: Option<u64>,
    events: Vec<Event>,
    /// So many may be told.
    told: usize,
    /// How often it was started anew.
    restarts: u64,
    /// Environments that were replaced before this one.
    replaced: u32,
    /// Answers to looks and reads wait; these do.
    is_looked_at_later: bool,
    looks: Vec<ToGuest>,
    /// The answer to a `RestoreCommit` that waits.
    late: Option<FromGuest>,
    /// How often somebody was told that pages are missing.
    refusals: u32,
    /// How often it was asked to stop the thread.
    stops: u32,
    /// … and for a breakpoint.
    breakpoints: u32,
    /// Bytes of input that the program has read.
    has_read: u64,
    /// It says nothing from the next look on.
    is_tired: bool,
    is_asleep: bool,
    /// Pages that are missing.
    missing: BTreeSet<u64>,
    /// What is being restored: how many pages, and whether they are missing then.
    restoring: (u64, bool),
    /// What becomes of the next `RestoreCommit`.
    commit: Commit,
    /// It says nothing in this epoch any more.
    silent: Option<u32>,
}

/// What becomes of a `RestoreCommit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// It is done, and answered.
    #[default]
    Answered,
    /// It is done, and nothing is said before somebody says hello again.
    Silent,
    /// Nothing is said, and it is lost.
    Lost,
    /// It is done, and answered when [`Guest::answers_late`] says so.
    Late,
}

impl Shared {
    /// There is another environment, whose thread stands, and of which so many pages are missing.
    fn is_replaced(&mut self, event: fn(Mark) -> Event, missing: u64) -> Mark {
        self.replaced += 1;
        let mark = Mark { boot: self.restarts, environment: self.replaced, epoch: 1 };
        self.events.push(event(mark));
        self.held = Some(0);
        self.has_read = 0;
        self.missing = (0..missing).collect();
        mark
    }

    /// How many pages are missing once what is being restored is in place.
    const fn missing_then(&self) -> u64 {
        if self.restoring.1 { self.restoring.0 } else { 0 }
    }

    /// It is told to put what was restored in place, and does not do so and answer.
    fn commits_oddly(&mut self, asked: &ToGuest) {
        if self.late.is_some() {
            // It is asked once more.
            return;
        }
        let commit = std::mem::take(&mut self.commit);
        if commit == Commit::Lost {
            self.silent = Some(asked.epoch);
            return;
        }
        let mark = self.is_replaced(Event::Restored, self.missing_then());
        if commit == Commit::Late {
            let (epoch, number, result) = (asked.epoch, asked.number, Ok(Reply::Replaced(mark)));
            self.late = Some(FromGuest::Reply { epoch, number, result });
            return;
        }
        self.told = self.events.len();
        self.silent = Some(asked.epoch);
    }

    fn hello(&self) -> Reply {
        Reply::Hello {
            version: VERSION,
            size: MEMORY,
            program: "simulated".into(),
            boot: self.restarts,
            first_event: 0,
            capacity: Capacity::default(),
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            boot: self.restarts,
            next_event: self.told as u64,
            environment: self.replaced,
            missing: self.missing.len() as u64,
            ..Progress::default()
        }
    }

    /// All of its memory is zero.
    fn read(&mut self, memory: Memory, address: u64, count: u32) -> Reply {
        assert_eq!(memory, Memory::Environment, "not simulated");
        let page = address / 4096;
        if self.missing.contains(&page) {
            self.refusals += 1;
            return Reply::Missing(vec![Run { first: page, count: 1 }]);
        }
        Reply::Bytes(vec![0; count as usize])
    }

    fn supply(&mut self, environment: u32, runs: &[Run]) -> Result<Reply, Failure> {
        if environment != self.replaced {
            return Err(Failure { kind: FailureKind::State, text: "another environment is here now".into() });
        }
        for run in runs {
            self.missing.retain(|page| !(run.first..run.first + u64::from(run.count)).contains(page));
        }
        Ok(Reply::Done)
    }
}

/// A handle to it.
#[derive(Clone)]
pub struct Guest {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    line: Arc<File>,
}

impl Guest {
    /// It runs until the other end is closed.
    pub fn start(line: File) -> Self {
        let guest = Self { shared: Arc::default(), line: Arc::new(line) };
        let theirs = guest.clone();
        thread::spawn(move || theirs.serve());
        guest
    }

    /// The thread stops by itself, for this reason. That is on its way.
    pub fn stops(&self, reason: StopReason) {
        let mut shared = lock(&self.shared.0);
        let thread = thread_state(ADDRESS);
        let event = Event::Stopped {
            thread: THREAD,
            space: SPACE,
            reason,
            state: thread.as_bytes().to_vec(),
            whole: false,
        };
        shared.events.push(event);
        shared.held = Some(shared.events.len() as u64);
    }

    /// The program writes something. That is on its way.
    pub fn writes(&self) {
        let output = Event::Output { stream: 1, position: 0, bytes: b"x".to_vec() };
        lock(&self.shared.0).events.push(output);
    }

    /// It holds the thread, or lets it go, when nobody waits for that any more.
    pub fn holds(&self, is_held: bool) {
        lock(&self.shared.0).held = is_held.then_some(0);
    }

    /// It restores when nobody waits for that any more. That is on its way.
    pub fn restores(&self) {
        self.restores_without(0);
    }

    /// The same, lazily: so many pages are missing.
    pub fn restores_without(&self, pages: u64) {
        lock(&self.shared.0).is_replaced(Event::Restored, pages);
    }

    /// It starts the program anew when nobody waits for that any more. That is on its way.
    pub fn begins_anew(&self) {
        lock(&self.shared.0).is_replaced(Event::Restarted, 0);
    }

    /// It says nothing from the next look on, until it is woken.
    pub fn sleeps_when_looked_at(&self) {
        lock(&self.shared.0).is_tired = true;
    }

    /// It goes on.
    pub fn wakes(&self) {
        lock(&self.shared.0).is_asleep = false;
    }

    /// This becomes of the next restore.
    pub fn commits(&self, commit: Commit) {
        lock(&self.shared.0).commit = commit;
    }

    /// How often its environment was replaced.
    pub fn replaced(&self) -> u32 {
        lock(&self.shared.0).replaced
    }

    /// Waits until nothing is missing.
    pub fn wait_until_whole(&self) {
        self.wait_until(|shared| shared.missing.is_empty());
    }

    /// The program ends. That is on its way.
    pub fn exits(&self) {
        lock(&self.shared.0).events.push(Event::Exited { code: 3 });
    }

    /// Whoever looks is not answered before [`Guest::shows`].
    pub fn hides(&self) {
        lock(&self.shared.0).is_looked_at_later = true;
    }

    /// Who looks is answered, and who has looked.
    pub fn shows(&self) {
        let mut shared = lock(&self.shared.0);
        shared.is_looked_at_later = false;
        let looks = std::mem::take(&mut shared.looks);
        drop(shared);
        looks.into_iter().for_each(|look| self.answer(look));
    }

    /// The answer to a restore that was [`Commit::Late`].
    pub fn answers_late(&self) {
        let late = lock(&self.shared.0).late.take().expect("it was asked for");
        self.say(&late);
    }

    /// How often somebody was told that pages are missing.
    pub fn refusals(&self) -> u32 {
        lock(&self.shared.0).refusals
    }

    /// Another one is started in its place.
    pub fn starts_anew(&self) {
        self.starts_anew_behind(0);
    }

    /// The same, of which so many bytes of input have been read.
    pub fn starts_anew_behind(&self, has_read: u64) {
        let mut shared = lock(&self.shared.0);
        *shared = Shared { restarts: shared.restarts + 1, has_read, ..Shared::default() };
    }

    /// What is on its way arrives.
    pub fn tell(&self) {
        let mut shared = lock(&self.shared.0);
        shared.told = shared.events.len();
        self.tell_from(&shared, 0);
    }

    /// Whether the thread is held.
    pub fn is_held(&self) -> bool {
        lock(&self.shared.0).held.is_some()
    }

    /// Waits until a restore is [`Commit::Late`].
    pub fn wait_until_late(&self) {
        self.wait_until(|shared| shared.late.is_some());
    }

    /// Waits until it is not.
    pub fn wait_until_it_runs(&self) {
        self.wait_until(|shared| shared.held.is_none());
    }

    /// Waits until somebody looks who is not answered yet.
    pub fn wait_until_looked_at(&self) {
        self.wait_until(|shared| !shared.looks.is_empty());
    }

    /// Waits until it was asked for a breakpoint so often.
    pub fn wait_for_breakpoints(&self, times: u32) {
        self.wait_until(|shared| shared.breakpoints == times);
    }

    /// Waits until it was asked to stop the thread so often.
    pub fn wait_for_stops(&self, times: u32) {
        self.wait_until(|shared| shared.stops == times);
    }

    fn wait_until(&self, is_so: impl Fn(&Shared) -> bool) {
        let (shared, changed) = &*self.shared;
        let waited = changed.wait_timeout_while(lock(shared), STUCK, |shared| !is_so(shared));
        assert!(!waited.expect("no panic").1.timed_out(), "that never happens");
    }

    fn serve(&self) {
        let (mut decoder, mut buffer) = (Decoder::new(), [0; 1024]);
        while let Ok(count @ 1..) = (&*self.line).read(&mut buffer) {
            let mut messages = Vec::new();
            decoder.feed(&buffer[..count], |frame| messages.push(frame.payload.to_vec()));
            for message in messages {
                self.answer(postcard::from_bytes(&message).expect("a message"));
            }
        }
    }

    fn answer(&self, asked: ToGuest) {
        let mut shared = lock(&self.shared.0);
        if matches!(asked.request, Request::Look { .. }) && std::mem::take(&mut shared.is_tired) {
            shared.is_asleep = true;
        }
        if shared.silent == Some(asked.epoch) || shared.is_asleep {
            return;
        }
        let is_odd = shared.commit != Commit::Answered || shared.late.is_some();
        if matches!(asked.request, Request::RestoreCommit { .. }) && is_odd {
            shared.commits_oddly(&asked);
            return self.shared.1.notify_all();
        }
        let is_look = matches!(asked.request, Request::Look { .. } | Request::Read { .. });
        if shared.is_looked_at_later && is_look {
            shared.looks.push(asked);
            return self.shared.1.notify_all();
        }
        drop(shared);
        let result = self.carry_out(asked.request);
        self.say(&FromGuest::Reply { epoch: asked.epoch, number: asked.number, result });
    }

    fn carry_out(&self, request: Request) -> Result<Reply, Failure> {
        let (shared, changed) = &*self.shared;
        let mut shared = lock(shared);
        let record = postcard::to_allocvec(&environment_behind(shared.has_read)).expect("it encodes");
        match request {
            Request::Hello { .. } => Ok(shared.hello()),
            Request::Sync { events_from } => {
                self.tell_from(&shared, events_from);
                Ok(Reply::Sync(shared.progress()))
            }
            Request::Detach => Ok(Reply::Threads(0)),
            Request::Write { address, .. } if address < MEMORY => Ok(Reply::Done),
            Request::Write { .. } => {
                let text = "there is no memory at this address".into();
                Err(Failure { kind: FailureKind::NotFound, text })
            }
            Request::StopTime | Request::RestoreTime => Ok(Reply::Nanoseconds(0)),
            Request::Read { memory, address, count } => Ok(shared.read(memory, address, count)),
            Request::Look { .. } => Ok(Reply::Long { answer: 1, size: record.len() as u64 }),
            Request::Chunk { .. } => Ok(Reply::Bytes(record)),
            Request::Forget { .. }
            | Request::ClearBreakpoint { .. }
            | Request::SetWatch(_)
            | Request::ClearWatch(_)
            | Request::RestoreRecord { .. }
            | Request::RestorePacked { .. }
            | Request::RestoreAbandon => Ok(Reply::Done),
            Request::SetBreakpoint { .. } => {
                shared.breakpoints += 1;
                changed.notify_all();
                Ok(Reply::Done)
            }
            Request::RestoreBegin { size, is_lazy, .. } => {
                shared.restoring = (size / 4096, is_lazy);
                Ok(Reply::Restoring { environment: shared.replaced + 1 })
            }
            Request::SupplyPacked { environment, runs, .. } | Request::SupplyZero { environment, runs } => {
                let supplied = shared.supply(environment, &runs);
                changed.notify_all();
                supplied
            }
            Request::Stop(Scope::Environment | Scope::Space(SPACE)) => {
                shared.held.get_or_insert_default();
                shared.stops += 1;
                changed.notify_all();
                Ok(Reply::Threads(1))
            }
            Request::Resume { unseen, .. } | Request::Continue { unseen, .. } => {
                let goes = shared.held.take_if(|events| *events <= unseen).is_some();
                changed.notify_all();
                Ok(Reply::Threads(goes.into()))
            }
            // The thread stands before its first instruction.
            Request::Restart { .. } => Ok(Reply::Replaced(shared.is_replaced(Event::Restarted, 0))),
            Request::RestoreCommit { .. } => {
                let missing = shared.missing_then();
                Ok(Reply::Replaced(shared.is_replaced(Event::Restored, missing)))
            }
            Request::Step { unseen, .. } => match shared.held.take_if(|events| *events <= unseen) {
                Some(_) => Ok(Reply::Done),
                None => Err(Failure { kind: FailureKind::State, text: "it is not stopped".into() }),
            },
            other => panic!("not simulated: {other:?}"),
        }
    }

    fn tell_from(&self, shared: &Shared, from: u64) {
        for (number, event) in (0..).zip(&shared.events).take(shared.told).filter(|(at, _)| *at >= from) {
            self.say(&FromGuest::Event { number, event: event.clone() });
        }
    }

    fn say(&self, message: &FromGuest) {
        let mut frame = Vec::new();
        let message = postcard::to_allocvec(message).expect("it encodes");
        encode(CHANNEL_DEBUGGER, &message, &mut frame).expect("it is short");
        // The host may have gone.
        let _ = (&*self.line).write_all(&frame);
    }
}

/// A thread at this address.
fn thread_state(rip: u64) -> State {
    let mut state = State::from_bytes(FlobKind::Thread, &[]).expect("zeroes are a state");
    if let State::Thread(thread) = &mut state {
        thread.registers.rip = rip;
    }
    state
}

/// The same, when so much input has been read.
fn environment_behind(has_read: u64) -> Environment {
    let input = Stream { name: "stdin".into(), position: has_read, hash: FNV_START };
    Environment { streams: vec![input], ..environment() }
}

/// What it consists of.
pub fn environment() -> Environment {
    let flob = |place, state: State| {
        let links = vec![Link::Null; state.kind().links().len()];
        Flob { place, state, links }
    };
    let space = flob(SPACE, State::from_bytes(FlobKind::Space, &[]).expect("zeroes are a state"));
    let mut thread = flob(THREAD, thread_state(ADDRESS));
    thread.links[0] = Link::Flob(SPACE);
    Environment {
        program: "simulated".into(),
        arguments: vec!["simulated".into()],
        build_id: String::new(),
        size: MEMORY,
        flobs: vec![space, thread],
        streams: Vec::new(),
        borders: Vec::new(),
        clock: 0,
        exit: None,
    }
}

//! The workers against a hub that is a thread of the test: what they ask, and what the screen gets to know.

use std::{
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::AtomicBool,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use flob_abi::thread_flag;
use flob_image::{Environment, State as FlobState};
use flob_link::{Effect, Event, Failure, FailureKind, Memory, Scope};
use flob_session::{Client, FromHub, HubEvent, HubReply, HubRequest, LongRequest, Owner, ToHub, wire};

use super::world::{environment, fork, info, insight};
use crate::tui::{
    message::{Ask, Job, Message, Outcome},
    worker::{Tools, Workers},
};

/// No test waits longer than this for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be set here is given up.
const SILENT: u64 = 0x51e00;

/// A session in the memory of the test.
struct Fake {
    environment: Environment,
    held: bool,
}

impl Fake {
    fn answer(
        &mut self,
        request: &HubRequest,
        stream: &mut UnixStream,
        number: u32,
    ) -> Option<Result<HubReply, Failure>> {
        let owners = if self.held { vec![Owner::User] } else { Vec::new() };
        Some(Ok(match request {
            HubRequest::Info => HubReply::Info(info(&owners)),
            HubRequest::Look { .. } => HubReply::Environment(self.environment.clone()),
            HubRequest::Read { address, count, .. } => {
                HubReply::Bytes((0..u64::from(*count)).map(|offset| (address + offset) as u8).collect())
            }
            HubRequest::Hold { .. } => self.hold(true),
            HubRequest::Release { .. } => self.hold(false),
            HubRequest::Set { place, change, .. } => return Some(self.set(*place, change)),
            HubRequest::Long(LongRequest::Save { .. }) => {
                for done in 0..=4 {
                    let progress = FromHub::Progress { number, phase: "pages".into(), done, total: 4 };
                    wire::write(stream, &progress).expect("the client listens");
                }
                HubReply::Checkpoint("5ca1ab1e".into())
            }
            // A restore that never ends, unless it is cancelled.
            HubRequest::Long(LongRequest::Restore { .. }) => return None,
            HubRequest::Subscribe => {
                let output =
                    Event::Output { stream: 1, position: 0, bytes: b"philosopher 1 eats\n".to_vec() };
                wire::write(stream, &FromHub::Event(HubEvent::Guest(output))).expect("the client listens");
                HubReply::Done
            }
            HubRequest::Cancel { number } => {
                let result = Err(Failure { kind: FailureKind::State, text: "given up".into() });
                wire::write(stream, &FromHub::Reply { number: *number, result }).expect("the client listens");
                HubReply::Done
            }
            _ => HubReply::Done,
        }))
    }

    fn hold(&mut self, held: bool) -> HubReply {
        self.held = held;
        for flob in &mut self.environment.flobs {
            if let FlobState::Thread(thread) = &mut flob.state {
                thread.flags = if held { thread_flag::STOPPED } else { 0 };
            }
        }
        HubReply::Held { threads: 5, holders: Vec::new() }
    }

    fn set(&mut self, place: u64, change: &flob_link::Change) -> Result<HubReply, Failure> {
        let failure = || Failure { kind: FailureKind::NotFound, text: "no flob there".into() };
        if place == SILENT {
            let kind = FailureKind::InDoubt(Effect::Flob(place));
            return Err(Failure { kind, text: "the guest does not answer".into() });
        }
        let flob = self.environment.flob_mut(place).ok_or_else(failure)?;
        if let Some(bytes) = &change.state {
            flob.state = FlobState::from_bytes(flob.state.kind(), bytes).ok_or_else(failure)?;
        }
        for (link, new) in flob.links.iter_mut().zip(&change.links) {
            if let Some(new) = new {
                link.clone_from(new);
            }
        }
        Ok(HubReply::Done)
    }
}

/// Starts a hub; the requests it got, and a client of it.
pub fn start() -> (Client, Arc<Mutex<Vec<HubRequest>>>) {
    let (mine, theirs) = UnixStream::pair().expect("a pair of sockets");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let serve = move || {
        let mut writing = mine.try_clone().expect("a second handle");
        let mut reading = mine;
        let mut fake = Fake { environment: environment(true), held: false };
        while let Ok(ToHub { number, request }) = wire::read(&mut reading) {
            log.lock().expect("the log").push(request.clone());
            if matches!(request, HubRequest::Shutdown) {
                return;
            }
            if let Some(result) = fake.answer(&request, &mut writing, number)
                && wire::write(&mut writing, &FromHub::Reply { number, result }).is_err()
            {
                return;
            }
        }
    };
    thread::spawn(serve);
    (Client::over(theirs).expect("a client"), asked)
}

struct Bench {
    workers: Workers,
    inbox: Receiver<Message>,
    asked: Arc<Mutex<Vec<HubRequest>>>,
}

impl Bench {
    fn new() -> Self {
        let (client, asked) = start();
        let (messages, inbox) = mpsc::channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let tools = Tools { client: Some(Arc::default()), store: None, insight: insight(), messages, cancel };
        Self {
            workers: Workers::start(&tools, Some(Box::new(move || Ok(client)))).expect("workers"),
            inbox,
            asked,
        }
    }

    /// Waits for a message that fits; others are left out.
    fn wait<T>(&self, fits: impl Fn(Message) -> Option<T>) -> T {
        // Looks come all the time: it is this message that is waited for so long.
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.inbox.recv_timeout(left).expect("the message comes");
            if let Some(found) = fits(message) {
                return found;
            }
        }
    }

    fn finished(&self) -> Result<Outcome, String> {
        self.wait(|message| match message {
            Message::Finished { result, .. } => Some(result),
            _ => None,
        })
    }
}

#[test]
fn looks_come_by_themselves_and_the_same_look_is_not_analysed_again() {
    let bench = Bench::new();
    let look = || {
        bench.wait(|message| match message {
            Message::Looked { snapshot, .. } => Some(snapshot),
            _ => None,
        })
    };
    let (first, second) = (look(), look());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.deadlocks.len(), 1);
    bench.workers.ask(Ask::Do(Job::Pause(Scope::Environment)));
    assert_eq!(bench.finished(), Ok(Outcome::Held(Vec::new())));
    let changed = bench.wait(|message| match message {
        Message::Looked { snapshot, .. } if !Arc::ptr_eq(&snapshot, &first) => Some(snapshot),
        _ => None,
    });
    assert_eq!(changed.changed.iter().filter(|changed| **changed).count(), 5, "five threads were stopped");
}

#[test]
fn output_and_the_end_of_the_hub_reach_the_screen() {
    let bench = Bench::new();
    bench
        .wait(|message| matches!(message, Message::Hub(HubEvent::Guest(Event::Output { .. }))).then_some(()));
    bench.workers.ask(Ask::Do(Job::Stop));
    bench.wait(|message| matches!(message, Message::HubGone).then_some(()));
}

#[test]
fn a_save_tells_its_progress_and_the_id() {
    let bench = Bench::new();
    bench.workers.ask(Ask::Do(Job::Save { name: None, then_stop: false }));
    bench.wait(|message| matches!(message, Message::Progress { done: 4, total: 4, .. }).then_some(()));
    assert_eq!(bench.finished(), Ok(Outcome::Checkpoint("5ca1ab1e".into())));
}

#[test]
fn short_jobs_do_not_wait_for_a_long_one_and_that_can_be_cancelled() {
    let bench = Bench::new();
    bench.workers.ask(Ask::Do(Job::Restore { id: "5ca1ab1e".into(), force: false }));
    bench.workers.ask(Ask::Do(Job::Pause(Scope::Environment)));
    assert_eq!(bench.finished(), Ok(Outcome::Held(Vec::new())), "the pause does not wait for the restore");
    bench.workers.ask(Ask::Cancel);
    assert_eq!(bench.finished(), Err("given up".into()));
}

#[test]
fn a_long_job_can_be_given_up_before_it_has_begun() {
    for _ in 0..8 {
        let bench = Bench::new();
        bench.workers.ask(Ask::Do(Job::Restore { id: "5ca1ab1e".into(), force: false }));
        bench.workers.ask(Ask::Cancel);
        assert_eq!(bench.finished(), Err("given up".into()));
    }
}

#[test]
fn memory_is_read_from_the_session() {
    let bench = Bench::new();
    bench.workers.ask(Ask::Read { checkpoint: None, memory: Memory::Environment, address: 7, count: 3 });
    let bytes = bench.wait(|message| match message {
        Message::Memory { result, .. } => Some(result),
        _ => None,
    });
    assert_eq!(bytes, Ok(vec![7, 8, 9]));
}

#[test]
fn edits_stop_at_the_first_that_fails_and_say_how_many_were_made() {
    let bench = Bench::new();
    let change = flob_link::Change::default;
    let changes = vec![(fork(0), 0, change()), (0xdead, 0, change()), (fork(1), 0, change())];
    bench.workers.ask(Ask::Do(Job::Apply { what: "set it".into(), changes, pokes: Vec::new() }));
    assert_eq!(bench.finished(), Err("1 of 3 edits were applied, then: no flob there".into()));
    let sets = bench
        .asked
        .lock()
        .expect("the log")
        .iter()
        .filter(|request| matches!(request, HubRequest::Set { .. }))
        .count();
    assert_eq!(sets, 2);
}

/// The guest said nothing for long, and may have done it all the same.
#[test]
fn an_edit_of_which_nobody_knows_whether_it_was_made_is_told_as_that() {
    let bench = Bench::new();
    let changes = vec![(SILENT, 0, flob_link::Change::default())];
    bench.workers.ask(Ask::Do(Job::Apply { what: "set it".into(), changes, pokes: Vec::new() }));
    let error = bench.finished().expect_err("it failed");
    assert!(error.contains("may have been changed, or nothing was done"), "{error}");
    assert!(error.ends_with("'flob show 0x51e00' shows which"), "{error}");
}

#[test]
fn before_edits_and_restores_the_state_is_kept_for_undo() {
    let bench = Bench::new();
    let (changes, pokes) = (vec![(fork(0), 0, flob_link::Change::default())], Vec::new());
    bench.workers.ask(Ask::Do(Job::Apply { what: "set FORKS[0] locked=false".into(), changes, pokes }));
    assert_eq!(bench.finished(), Ok(Outcome::Done));
    bench.workers.ask(Ask::Do(Job::Restore { id: "5ca1ab1e".into(), force: false }));
    // The restore itself never ends here.
    let restores = |asked: &[HubRequest]| {
        asked.iter().any(|request| matches!(request, HubRequest::Long(LongRequest::Restore { .. })))
    };
    while !restores(&bench.asked.lock().expect("the log")) {
        thread::yield_now();
    }
    let asked = bench.asked.lock().expect("the log");
    let told: Vec<String> = asked
        .iter()
        .filter_map(|request| match request {
            HubRequest::Long(LongRequest::Remember { what }) => Some(format!("keep {what}")),
            HubRequest::Set { .. } => Some("set".into()),
            HubRequest::Long(LongRequest::Restore { .. }) => Some("restore".into()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["keep set FORKS[0] locked=false", "set", "keep restore 5ca1ab1e", "restore"]);
}

#[test]
fn without_a_store_that_is_said() {
    let bench = Bench::new();
    bench.workers.ask(Ask::List);
    let error = bench.wait(|message| match message {
        Message::Checkpoints(Err(error)) => Some(error),
        _ => None,
    });
    assert_eq!(error, crate::tui::text::NO_STORE);
}

//! Two clients at once on one session, a debugger by gdb's protocol and a client of the session's socket, do random things with a
//! program that runs: step, continue, stop, pause, breakpoints, edits. Nothing gets stuck; whenever both stand, the debugger's
//! registers, `show --json` and a fresh look say the same; and in the end the program's result is right.
//!
//! `FLOB_ROUNDS=1000` is the long form; `FLOB_SEED` repeats one.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use fastrand::Rng;
use flob_abi::{flob::thread_link, state::group};
use flob_image::{Environment, Link, Place, State};
use flob_link::{Change, Memory, Scope};
use flob_session::{Client, HubRequest, Owner, Source};
use flob_tests::{
    World,
    debugged::{Session, start},
};

/// What takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(60);

/// The sixteen registers of a debugger, in its order, and the instruction pointer.
const REGISTERS: [&str; 17] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip",
];
/// Nobody keeps anything in it across what these tests do: it is set back before anybody runs.
const R15: usize = 15;
const RSP: usize = 7;

/// A debugger's end of gdb's protocol.
struct Debugger {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Debugger {
    fn connect(socket: &str) -> Self {
        let mut debugger = Self { stream: UnixStream::connect(socket).unwrap(), received: Vec::new() };
        assert_eq!(debugger.ask("QStartNoAckMode"), "OK");
        debugger
    }

    fn send(&mut self, body: &str) {
        let sum = body.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
        self.stream.write_all(format!("${body}#{sum:02x}").as_bytes()).unwrap();
    }

    fn ask(&mut self, body: &str) -> String {
        self.send(body);
        self.next(LIMIT).unwrap_or_else(|| panic!("no answer to {body}"))
    }

    fn interrupt(&mut self) {
        self.stream.write_all(&[3]).unwrap();
    }

    /// The next packet that is no line for the console, if one comes in time.
    fn next(&mut self, time: Duration) -> Option<String> {
        let until = Instant::now() + time;
        loop {
            while let Some(packet) = self.take() {
                if !packet.starts_with('O') || packet == "OK" {
                    return Some(packet);
                }
            }
            let rest = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(rest)).unwrap();
            let mut room = [0; 4096];
            match self.stream.read(&mut room) {
                Ok(0) => panic!("the connection has ended"),
                Ok(count) => self.received.extend_from_slice(&room[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return None;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn take(&mut self) -> Option<String> {
        let start = self.received.iter().position(|byte| *byte == b'$')?;
        let end = start + self.received[start..].iter().position(|byte| *byte == b'#')?;
        if self.received.len() < end + 3 {
            return None;
        }
        let body = expand(&self.received[start + 1..end]);
        self.received.drain(..end + 3);
        Some(body)
    }
}

/// `x*N` stands for x and N - 29 more of it; a byte behind `}` is meant with another bit.
fn expand(body: &[u8]) -> String {
    let (mut text, mut bytes) = (Vec::new(), body.iter().copied());
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' => {
                let (last, count) = (*text.last().unwrap(), usize::from(bytes.next().unwrap()) - 29);
                text.extend(std::iter::repeat_n(last, count));
            }
            b'}' => text.push(bytes.next().unwrap() ^ 0x20),
            _ => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

struct Chaos<'a, 'world> {
    session: &'a Session<'world>,
    world: &'a World,
    random: Rng,
    debugger: Debugger,
    user: Client,
    /// Holds everything while it is compared.
    checker: Client,
    /// Threads as the debugger numbers them, with their names.
    threads: Vec<(u64, String)>,
    planted: Vec<String>,
    is_running: bool,
    has_ended: bool,
}

/// What the debugger does, and what the other client does meanwhile.
type Deed = fn(&mut Chaos<'_, '_>);

const OF_THE_DEBUGGER: &[(&str, Deed)] = &[
    ("continue", |chaos| chaos.resume("vCont;c")),
    ("continue again", |chaos| chaos.resume("vCont;c")),
    ("step one alone", |chaos| {
        let thread = chaos.thread();
        chaos.resume(&format!("vCont;s:{thread:x}"));
    }),
    ("step one, all others run", |chaos| {
        let thread = chaos.thread();
        chaos.resume(&format!("vCont;s:{thread:x};c"));
    }),
    ("step within a range", |chaos| {
        let thread = chaos.thread();
        let rip = chaos.registers(thread).map_or(0x40_1000, |registers| registers[16]);
        chaos.resume(&format!("vCont;r{rip:x},{:x}:{thread:x};c", rip + 24));
    }),
    ("plant a breakpoint", |chaos| {
        let thread = chaos.thread();
        if let (Some(registers), true) = (chaos.registers(thread), chaos.planted.len() < 3) {
            let place = format!("0,{:x},1", registers[16]);
            chaos.debugger.ask(&format!("Z{place}"));
            chaos.planted.push(place);
        }
    }),
    ("take a breakpoint out", |chaos| {
        if let Some(place) = chaos.planted.pop() {
            assert_eq!(chaos.debugger.ask(&format!("z{place}")), "OK");
        }
    }),
    ("edit a register", |chaos| chaos.edit(true)),
    ("edit memory", |chaos| chaos.edit_memory(true)),
    ("nothing", |_| ()),
];

const OF_THE_USER: &[(&str, Deed)] = &[
    ("pause", |chaos| chaos.ask_user(HubRequest::Hold { owner: Owner::User, scope: Scope::Environment })),
    ("resume", |chaos| chaos.ask_user(release())),
    ("pause one", |chaos| {
        let thread = chaos.place();
        chaos.ask_user(HubRequest::Hold { owner: Owner::User, scope: Scope::Thread(thread) });
    }),
    ("resume one", |chaos| {
        let scope = Scope::Thread(chaos.place());
        chaos.ask_user(HubRequest::Release { owner: Owner::User, scope, force: false });
    }),
    ("step", |chaos| {
        let thread = chaos.place();
        chaos.ask_user(HubRequest::Step { owner: Owner::User, thread, within: None });
    }),
    ("edit a priority", |chaos| chaos.edit_priority()),
    ("edit a register", |chaos| chaos.edit(false)),
    ("edit memory", |chaos| chaos.edit_memory(false)),
    ("look", |chaos| drop(chaos.user.environment(true))),
    ("nothing", |_| ()),
];

fn release() -> HubRequest {
    HubRequest::Release { owner: Owner::User, scope: Scope::Environment, force: false }
}

impl Chaos<'_, '_> {
    fn round(&mut self, number: usize) {
        let (of_debugger, debugger) = OF_THE_DEBUGGER[self.random.usize(..OF_THE_DEBUGGER.len())];
        let (of_user, user) = OF_THE_USER[self.random.usize(..OF_THE_USER.len())];
        println!("{number}: the debugger: {of_debugger}; the user: {of_user}");
        debugger(self);
        if !self.has_ended {
            user(self);
            self.settle();
        }
        if !self.has_ended {
            self.check();
        }
    }

    fn thread(&mut self) -> u64 {
        self.threads[self.random.usize(..self.threads.len())].0
    }

    /// Any thread's place, as a look shows it.
    fn place(&mut self) -> Place {
        let environment = self.user.environment(false).unwrap();
        let threads = environment.flobs.iter().filter(|flob| matches!(flob.state, State::Thread(_)));
        let threads: Vec<Place> = threads.map(|flob| flob.place).collect();
        threads[self.random.usize(..threads.len())]
    }

    /// What is refused is refused for a reason: one holds what the other wants to step.
    fn ask_user(&mut self, request: HubRequest) {
        drop(self.user.request(request));
    }

    fn resume(&mut self, packet: &str) {
        self.debugger.send(packet);
        self.is_running = true;
        let time = Duration::from_millis(self.random.u64(1..30));
        if let Some(stop) = self.debugger.next(time) {
            self.stopped(&stop);
        }
    }

    fn stopped(&mut self, stop: &str) {
        self.is_running = false;
        self.has_ended = stop.starts_with('W');
        assert!(self.has_ended || stop.starts_with('T') || stop.starts_with('S'), "{stop}");
    }

    /// The debugger stands, whatever else is held.
    fn settle(&mut self) {
        if self.is_running {
            self.debugger.interrupt();
            let stop = self.debugger.next(LIMIT).expect("the debugger's stop got stuck");
            self.stopped(&stop);
        }
    }

    fn registers(&mut self, thread: u64) -> Option<[u64; 17]> {
        self.debugger.ask(&format!("Hg{thread:x}"));
        let answer = self.debugger.ask("g");
        if answer.starts_with('E') {
            return None;
        }
        let word = |index: usize| {
            let digits = &answer[16 * index..16 * index + 16];
            u64::from_str_radix(digits, 16).unwrap().swap_bytes()
        };
        Some(std::array::from_fn(word))
    }

    /// All stand, unless the program has ended: one of its threads.
    fn stand(&mut self) -> Option<u64> {
        self.settle();
        if self.has_ended {
            return None;
        }
        self.hold_all();
        self.know_threads();
        Some(self.thread())
    }

    /// A register is another one for a moment, everybody sees that, and it is as it was. All stand meanwhile.
    fn edit(&mut self, by_debugger: bool) {
        let Some(thread) = self.stand() else { return };
        let place = self.place_of(thread);
        let before = self.registers(thread).expect("it is there")[R15];
        let other = self.random.u64(..);
        for value in [other, before] {
            if by_debugger {
                let digits = digits_of(value);
                self.debugger.ask(&format!("Hg{thread:x}"));
                assert_eq!(self.debugger.ask(&format!("P{R15:x}={digits}")), "OK");
            } else {
                let environment = self.user.environment(false).unwrap();
                let State::Thread(mut state) = environment.flob(place).unwrap().state.clone() else {
                    panic!()
                };
                let hash = state.hash;
                state.registers.r15 = value;
                self.set(place, hash, group::REGISTERS, State::Thread(state));
            }
            self.world.wait_until("the edit is seen by the debugger", || {
                self.registers(thread).unwrap()[R15] == value
            });
            self.compare(thread);
        }
        self.release_all();
    }

    /// The same of memory that nobody uses: far enough below a stack's end.
    fn edit_memory(&mut self, by_debugger: bool) {
        let Some(thread) = self.stand() else { return };
        let address = (self.registers(thread).expect("it is there")[RSP] - 512) & !7;
        let memory = Memory::Space(self.space_of(thread));
        if let Some(before) = self.word(address) {
            let other = self.random.u64(..);
            for value in [other, before] {
                if by_debugger {
                    let digits = digits_of(value);
                    assert_eq!(self.debugger.ask(&format!("M{address:x},8:{digits}")), "OK");
                } else {
                    self.user.write(memory, address, &value.to_le_bytes()).unwrap();
                }
                self.world
                    .wait_until("the edit is seen by the debugger", || self.word(address) == Some(value));
                assert_eq!(self.checker.read(memory, address, 8).unwrap(), value.to_le_bytes());
            }
        }
        self.release_all();
    }

    /// Eight bytes of memory as the debugger sees them.
    fn word(&mut self, address: u64) -> Option<u64> {
        let digits = self.debugger.ask(&format!("m{address:x},8"));
        u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16).map(u64::swap_bytes)
    }

    fn space_of(&mut self, thread: u64) -> Place {
        let place = self.place_of(thread);
        let environment = self.checker.environment(false).unwrap();
        match environment.flob(place).unwrap().links[thread_link::SPACE] {
            Link::Flob(space) => space,
            ref other => panic!("a thread in {other:?}"),
        }
    }

    fn edit_priority(&mut self) {
        let place = self.place();
        let environment = self.user.environment(false).unwrap();
        // It may be gone by now, or have another priority: then nothing is done.
        let Some(State::Thread(state)) = environment.flob(place).map(|flob| flob.state.clone()) else {
            return;
        };
        let mut other = state;
        for priority in [state.priority.saturating_sub(1), state.priority] {
            other.priority = priority;
            self.set(place, state.hash, group::SCHEDULING, State::Thread(other));
        }
    }

    fn set(&mut self, place: Place, hash: u64, mask: u64, state: State) {
        let change = Change { mask, state: Some(state.as_bytes().to_vec()), links: Vec::new() };
        self.user.set(place, hash, change).unwrap();
    }

    fn hold_all(&mut self) {
        let owner = Owner::Client("checker".into());
        self.checker.request(HubRequest::Hold { owner, scope: Scope::Environment }).unwrap();
    }

    fn release_all(&mut self) {
        let owner = Owner::Client("checker".into());
        let request = HubRequest::Release { owner, scope: Scope::Environment, force: false };
        self.checker.request(request).unwrap();
    }

    fn know_threads(&mut self) {
        let list = self.debugger.ask("qXfer:threads:read::0,7000");
        let rows = list.split("<thread id=\"").skip(1);
        self.threads = rows
            .map(|row| {
                let (number, rest) = row.split_once('"').unwrap();
                let name = rest.split('"').nth(1).unwrap();
                (u64::from_str_radix(number, 16).unwrap(), name.to_owned())
            })
            .collect();
        assert!(!self.threads.is_empty(), "{list}");
    }

    fn show(&self, thread: u64) -> serde_json::Value {
        let (_, name) = self.threads.iter().find(|(number, _)| *number == thread).unwrap();
        self.session.guest.json(&["show", "--json", name])
    }

    fn place_of(&self, thread: u64) -> Place {
        number(&self.show(thread)["place"])
    }

    /// All three say the same of every register of a thread. Everything is held.
    fn compare(&mut self, thread: u64) {
        let shown = self.show(thread);
        let shown_registers = REGISTERS.map(|name| number(&shown["state"][format!("registers.{name}")]));
        let fresh = registers_of(&self.checker.environment(true).unwrap(), number(&shown["place"]));
        let debugger = self.registers(thread).expect("it is there");
        assert_eq!(shown_registers, fresh, "show --json and a look differ");
        assert_eq!(debugger, fresh, "the debugger and a look differ about thread {thread}");
    }

    /// Nothing moves: the three agree as soon as the debugger has heard of the last change.
    fn check(&mut self) {
        self.hold_all();
        self.know_threads();
        let thread = self.thread();
        let place = self.place_of(thread);
        let fresh = registers_of(&self.checker.environment(true).unwrap(), place);
        self.world.wait_until("the debugger sees what is", || self.registers(thread) == Some(fresh));
        self.compare(thread);
        self.release_all();
    }
}

/// A number as a debugger writes it into registers and memory.
fn digits_of(value: u64) -> String {
    value.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(value: &serde_json::Value) -> u64 {
    match value.as_str() {
        Some(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        None => value.as_u64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

fn registers_of(environment: &Environment, place: Place) -> [u64; 17] {
    let State::Thread(state) = &environment.flob(place).unwrap().state else { panic!("no thread") };
    let r = &state.registers;
    [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15, r.rip,
    ]
}

#[test]
fn two_clients_do_random_things_and_nothing_is_stuck_or_wrong() {
    let random = Rng::with_seed(flob_tests::seed());
    let rounds = flob_tests::rounds(60);
    let world = World::new();
    // It lasts for as long as it is disturbed.
    let pace = (rounds * 2).max(100).to_string();
    let text = flob_tests::random_text(&mut Rng::with_seed(11), 1_000_000);
    let session = start(&world, &[], &pace, text);
    session.guest.wait_for_threads("all threads are there", |threads| threads.len() >= 7);
    let name = Some(world.path("run").join("flob").join(format!("{}.session", session.guest.name)));
    let connect = || Client::connect_path(name.as_deref().unwrap()).unwrap();
    let mut chaos = Chaos {
        session: &session,
        world: &world,
        random,
        debugger: Debugger::connect(&session.socket()),
        user: connect(),
        checker: connect(),
        threads: Vec::new(),
        planted: Vec::new(),
        is_running: false,
        has_ended: false,
    };
    chaos.know_threads();
    let done = (0..rounds).take_while(|number| {
        chaos.round(*number);
        !chaos.has_ended
    });
    let done = done.count();
    println!("{done} of {rounds} rounds");
    assert!(done * 2 > rounds, "the program has come to its end too early");
    if !chaos.has_ended {
        assert_eq!(chaos.debugger.ask("D"), "OK");
    }
    chaos.ask_user(release());
    drop(chaos);
    session.ends_well();
}

//! A made-up guest whose programs consist of one-byte instructions that do nothing, and a real gdb to debug it.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use flob_abi::{MappingState, MutexState, SpaceState, ThreadState};
use flob_gdb::{Guest, Options, serve_guest};
use flob_image::{Environment, Flob, Link, Place, State};
use flob_link::{Change, Event, Scope, StopReason};
use flob_session::{Error, Hears, HubEvent, Owner};

pub const SPACE: Place = 0x1000;
pub const OTHER_SPACE: Place = 0x1200;
pub const RUNNER: Place = 0x3000;
pub const WAITER: Place = 0x4000;
pub const SECOND_RUNNER: Place = 0x5000;
pub const STRANGER: Place = 0x6000;
pub const MUTEX: Place = 0x7000;

/// The program: each line is one instruction. `line` numbers in the tests count from its first line, 1.
pub const SOURCE: &str = r#"#define N asm volatile("nop")
int counter = 7;
void _start(void) {
    N;
    N;
    N;
    N;
    N;
}
void second(void) {
    N;
    N;
    N;
}
"#;

/// What the guest is made of.
pub struct Machine {
    pub environment: Environment,
    pub memory: BTreeMap<u64, u8>,
    pub breakpoints: HashSet<u64>,
    /// Threads that the debugger holds.
    pub holds: HashSet<Place>,
    pub user_holds: bool,
    pub elf: PathBuf,
    /// Where a thread's walk ends and begins again.
    pub loops: BTreeMap<Place, (u64, u64)>,
    pub exit: Option<i32>,
    /// It says nothing any more: what is to be changed fails with these words.
    pub fails: Option<String>,
    /// What `flob undo` can come back to the beginning of.
    pub kept: Vec<String>,
    /// How it began, and begins again.
    pub saved: Environment,
    /// Told while the environment is replaced: of the one that was there.
    pub late: Vec<Event>,
    subscribers: Vec<Hears>,
    on_run: Option<Sender<()>>,
}

/// A handle to the made-up guest.
#[derive(Clone)]
pub struct FakeGuest(pub Arc<Mutex<Machine>>);

impl FakeGuest {
    pub fn new() -> Self {
        let elf = compile();
        let memory = load(&elf);
        let (start, second) = (symbol(&elf, "_start"), symbol(&elf, "second"));
        // Behind the prologue `push rbp; mov rbp, rsp` the instructions that do nothing begin.
        let nops = |function: u64| {
            let first = (function..).find(|address| memory.get(address) == Some(&0x90)).unwrap();
            (first, (first..).find(|address| memory.get(address) != Some(&0x90)).unwrap())
        };
        let (runner, second_runner) = (nops(start), nops(second));
        let loops = BTreeMap::from([(RUNNER, runner), (SECOND_RUNNER, second_runner), (STRANGER, runner)]);
        let environment = environment(runner.0, second_runner.0);
        Self(Arc::new(Mutex::new(Machine {
            saved: environment.clone(),
            late: Vec::new(),
            environment,
            memory,
            breakpoints: HashSet::new(),
            holds: HashSet::new(),
            user_holds: false,
            elf,
            loops,
            exit: None,
            fails: None,
            kept: Vec::new(),
            subscribers: Vec::new(),
            on_run: None,
        })))
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// Told whenever the space is let go.
    pub fn watch_runs(&self) -> Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        self.with(|machine| machine.on_run = Some(sender));
        receiver
    }

    pub fn emit(&self, event: HubEvent) {
        self.with(|machine| machine.emit(event));
    }
}

impl Machine {
    pub fn thread(&mut self, place: Place) -> &mut ThreadState {
        match &mut self.environment.flob_mut(place).unwrap().state {
            State::Thread(state) => state,
            _ => panic!("no thread at {place:#x}"),
        }
    }

    fn links(&self, place: Place) -> &[Link] {
        &self.environment.flob(place).unwrap().links
    }

    fn may_change(&self) -> Result<(), Error> {
        self.fails.clone().map_or(Ok(()), |words| Err(Error::Guest(words)))
    }

    fn emit(&mut self, event: HubEvent) {
        self.subscribers.retain_mut(|hears| hears(event.clone()));
    }

    fn is_held(&self, thread: Place) -> bool {
        self.user_holds || self.holds.contains(&thread)
    }

    fn members(&self, scope: Scope) -> Vec<Place> {
        let threads = [RUNNER, WAITER, SECOND_RUNNER, STRANGER].into_iter();
        let is_in = |thread: &Place| match scope {
            Scope::Environment => true,
            Scope::Space(space) => self.links(*thread)[0] == Link::Flob(space),
            Scope::Thread(place) => place == *thread,
        };
        threads.filter(is_in).collect()
    }

    fn waits(&self, thread: Place) -> bool {
        self.links(thread)[1] != Link::Null
    }

    fn advance(&mut self, thread: Place) {
        let (first, end) = self.loops[&thread];
        let rip = &mut self.thread(thread).registers.rip;
        *rip = if *rip + 1 >= end { first } else { *rip + 1 };
    }

    /// A thread stops where it is.
    pub fn stop(&mut self, thread: Place, reason: StopReason) -> Event {
        let state = State::Thread(*self.thread(thread)).as_bytes()[..flob_abi::THREAD_STATE_HEAD].to_vec();
        let Link::Flob(space) = self.links(thread)[0] else { panic!("it is in no space") };
        Event::Stopped { thread, space, reason, state, whole: false }
    }

    fn stopped(&mut self, thread: Place, reason: StopReason) {
        let event = self.stop(thread, reason);
        self.emit(HubEvent::Guest(event));
    }

    /// What it was is gone, and the user holds it. Its beginning is told when the test says so.
    fn replace(&mut self) {
        for event in std::mem::take(&mut self.late) {
            self.emit(HubEvent::Guest(event));
        }
        self.environment = self.saved.clone();
        self.holds.clear();
        self.user_holds = true;
        self.exit = None;
    }

    /// Lets every thread that nobody holds walk, until it meets a breakpoint or has gone round often.
    fn run(&mut self) {
        for thread in self.loops.keys().copied().collect::<Vec<_>>() {
            if self.is_held(thread) || self.waits(thread) {
                continue;
            }
            for _ in 0..100 {
                let rip = self.thread(thread).registers.rip;
                if self.breakpoints.contains(&rip) {
                    self.stopped(thread, StopReason::Breakpoint);
                    break;
                }
                self.advance(thread);
            }
        }
    }
}

impl Guest for FakeGuest {
    fn tell(&mut self, hears: Hears) -> Result<(), Error> {
        self.with(|machine| machine.subscribers.push(hears));
        Ok(())
    }

    fn exit(&mut self) -> Result<Option<i32>, Error> {
        Ok(self.with(|machine| machine.exit))
    }

    fn environment(&mut self, _vectors: bool) -> Result<Environment, Error> {
        Ok(self.with(|machine| machine.environment.clone()))
    }

    fn read(&mut self, space: Place, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        assert_eq!(space, SPACE);
        let bytes = |machine: &mut Machine| {
            (0..u64::from(count)).map(|offset| machine.memory.get(&(address + offset)).copied()).collect()
        };
        let bytes: Option<Vec<u8>> = self.with(bytes);
        bytes.ok_or_else(|| Error::NotFound("no memory".into()))
    }

    fn write(&mut self, space: Place, address: u64, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(space, SPACE);
        let places = (address..).zip(bytes.iter().copied());
        self.with(|machine| {
            machine.may_change()?;
            machine.memory.extend(places);
            machine.emit(HubEvent::Changed);
            Ok(())
        })
    }

    fn set(&mut self, place: Place, _hash: u64, change: Change) -> Result<(), Error> {
        assert_eq!(change.mask, flob_abi::group::REGISTERS, "only what differs is written");
        let Some(State::Thread(state)) =
            State::from_bytes(flob_abi::FlobKind::Thread, &change.state.unwrap())
        else {
            panic!("no thread state");
        };
        self.with(|machine| {
            machine.may_change()?;
            machine.thread(place).registers = state.registers;
            machine.emit(HubEvent::Changed);
            Ok(())
        })
    }

    fn remember(&mut self, what: &str) -> Result<(), Error> {
        self.with(|machine| machine.kept.push(what.to_owned()));
        Ok(())
    }

    fn hold(&mut self, scope: Scope) -> Result<(), Error> {
        self.with(|machine| {
            let members = machine.members(scope);
            machine.holds.extend(members);
            machine.emit(HubEvent::Changed);
        });
        Ok(())
    }

    fn release(&mut self, scope: Scope) -> Result<Vec<Owner>, Error> {
        self.with(|machine| {
            for member in machine.members(scope) {
                machine.holds.remove(&member);
            }
            machine.run();
            machine.emit(HubEvent::Changed);
            if let Some(watcher) = &machine.on_run {
                let _ = watcher.send(());
            }
            Ok(if machine.user_holds { vec![Owner::User] } else { Vec::new() })
        })
    }

    fn checkpoint(&mut self, name: &str) -> Result<String, Error> {
        Ok(name.to_owned())
    }

    fn restore(&mut self, id: &str) -> Result<String, Error> {
        self.with(Machine::replace);
        Ok(id.to_owned())
    }

    fn restart(&mut self, _arguments: Option<Vec<String>>) -> Result<(), Error> {
        self.with(Machine::replace);
        Ok(())
    }

    fn release_user(&mut self) -> Result<(), Error> {
        self.with(|machine| machine.user_holds = false);
        Ok(())
    }

    fn step(&mut self, thread: Place, _within: Option<(u64, u64)>) -> Result<(), Error> {
        self.with(|machine| {
            assert!(machine.is_held(thread), "only a held thread can be stepped");
            if machine.waits(thread) {
                if let Some(watcher) = &machine.on_run {
                    let _ = watcher.send(());
                }
            } else {
                machine.advance(thread);
                machine.stopped(thread, StopReason::Step);
            }
        });
        Ok(())
    }

    fn set_breakpoint(&mut self, space: Place, address: u64, wanted: bool) -> Result<(), Error> {
        assert_eq!(space, SPACE);
        self.with(|machine| {
            if wanted { machine.breakpoints.insert(address) } else { machine.breakpoints.remove(&address) }
        });
        Ok(())
    }

    fn elf(&mut self) -> Option<PathBuf> {
        Some(self.with(|machine| machine.elf.clone()))
    }
}

fn environment(runner_at: u64, second_at: u64) -> Environment {
    let thread = |place, space, rip, waiting: Link| {
        let mut state = ThreadState { hash: place, priority: 8, ..ThreadState::default() };
        state.registers.rip = rip;
        state.registers.rsp = 0x7fff_0000;
        let mut links = vec![Link::Null; 6];
        links[0] = Link::Flob(space);
        links[1] = waiting;
        Flob { place, state: State::Thread(state), links }
    };
    let space =
        |place| Flob { place, state: State::Space(SpaceState::default()), links: vec![Link::Null; 2] };
    let code = MappingState { start: 0x40_0000, size: 0x10_0000, protection: 5, ..MappingState::default() };
    let mutex = MutexState { locked: 1, ..MutexState::default() };
    Environment {
        program: "made-up".into(),
        flobs: vec![
            space(SPACE),
            space(OTHER_SPACE),
            Flob { place: 0x2000, state: State::Mapping(code), links: vec![Link::Null, Link::Flob(SPACE)] },
            thread(RUNNER, SPACE, runner_at, Link::Null),
            thread(WAITER, SPACE, runner_at, Link::Flob(MUTEX)),
            thread(SECOND_RUNNER, SPACE, second_at, Link::Null),
            thread(STRANGER, OTHER_SPACE, runner_at, Link::Null),
            Flob { place: MUTEX, state: State::Mutex(mutex), links: vec![Link::Flob(RUNNER)] },
        ],
        ..Environment::default()
    }
}

/// Folder of this test process.
pub fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("flob-gdb-test-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// A path in it that nobody else uses.
pub fn unique(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    folder().join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn compile() -> PathBuf {
    let (elf, source) = (unique("program"), unique("source").with_extension("c"));
    fs::write(&source, SOURCE).unwrap();
    let flags =
        ["-g", "-O0", "-nostdlib", "-static", "-no-pie", "-ffreestanding", "-fcf-protection=none", "-o"];
    let done =
        Command::new("cc").args(flags).arg(&elf).arg(&source).status().expect("a C compiler is needed");
    assert!(done.success());
    elf
}

fn load(elf: &Path) -> BTreeMap<u64, u8> {
    use object::{Object, ObjectSegment};
    let bytes = fs::read(elf).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let mut memory: BTreeMap<u64, u8> = (0x7ffe_0000..0x7fff_1000).map(|address| (address, 0)).collect();
    for segment in file.segments() {
        // Memory comes in whole pages.
        let (first, end) =
            (segment.address() & !0xfff, (segment.address() + segment.size() + 0xfff) & !0xfff);
        memory.extend((first..end).map(|address| (address, 0)));
        memory.extend((segment.address()..).zip(segment.data().unwrap().iter().copied()));
    }
    memory
}

pub fn symbol(elf: &Path, name: &str) -> u64 {
    use object::{Object, ObjectSymbol};
    let bytes = fs::read(elf).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    file.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap().address()
}

/// A file where a test's packets are logged.
#[derive(Clone)]
pub struct Log(pub PathBuf);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        fs::OpenOptions::new().create(true).append(true).open(&self.0)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A server on a socket of its own, which takes one debugger after the other.
pub struct Server {
    pub socket: PathBuf,
    pub log: Log,
}

impl Server {
    pub fn start(guest: &FakeGuest) -> Self {
        let (socket, log) = (unique("socket"), Log(unique("packets")));
        let listener = UnixListener::bind(&socket).unwrap();
        let (guest, packets) = (guest.clone(), log.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let options = Options { log: Some(Box::new(packets.clone())), ..Options::default() };
                serve_guest(stream.unwrap(), guest.clone(), options).unwrap();
            }
        });
        Self { socket, log }
    }

    /// Starts gdb, connected, with these commands; no file name is told.
    pub fn gdb(&self, commands: &[&str]) -> std::process::Child {
        let mut command = Command::new("timeout");
        // Else it would hand a signal on twice: to gdb, and to the group that gdb is in.
        command.args(["--foreground", "60", "gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex"]);
        command.arg(format!("target remote {}", self.socket.display()));
        for line in commands {
            command.args(["-ex", line]);
        }
        let piped = std::process::Stdio::piped;
        command.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped());
        command.spawn().expect("gdb and timeout are needed")
    }

    /// Runs gdb to its end; what it printed.
    pub fn run(&self, commands: &[&str]) -> String {
        self.finish(self.gdb(commands))
    }

    pub fn finish(&self, gdb: std::process::Child) -> String {
        let output = gdb.wait_with_output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        println!("{text}\npackets: {}", self.log.0.display());
        assert!(output.status.success(), "gdb ended with {}", output.status);
        text
    }
}

//! What a thread does or waits for, in one sentence, down to the deadlock it stands in.

use flob_abi::{Call, ExceptionCode, FlobKind, ThreadState, flob::thread_link, thread_flag};
use flob_image::{Link, Place, State};
use flob_link::{Access, Hit, Memory, StopReason};

use crate::{
    Source,
    place::Map,
    symbols::{Caller, Location},
    translate::Translation,
};

/// Functions that are looked at to find one of the program's own.
const MOST_FRAMES: usize = 64;

/// Why a thread was stopped, as what comes behind its name.
pub fn why_stopped(reason: &StopReason) -> String {
    match reason {
        StopReason::Breakpoint | StopReason::Condition { .. } => "is at a breakpoint".into(),
        StopReason::Step => "has done a step".into(),
        StopReason::Watched(hits) => why_watched(hits),
        StopReason::Call(number) => format!("is about to call {}", flob_abi::call_name(*number)),
        StopReason::Debug(bits) => format!("was stopped by a debug exception ({bits:#x})"),
    }
}

fn why_watched(hits: &[Hit]) -> String {
    if let Some(Hit { address, .. }) = hits.iter().find(|hit| hit.access == Access::Execute) {
        return format!("is at a hardware breakpoint, {address:#x}");
    }
    let mut addresses: Vec<u64> = hits.iter().map(|hit| hit.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let addresses: Vec<String> = addresses.iter().map(|address| format!("{address:#x}")).collect();
    format!("has touched what is watched at {}", addresses.join(", "))
}

/// For what a thread does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It runs, or would if it had the processor.
    Nothing,
    /// Somebody stopped it.
    Stopped,
    /// Its exception is not answered yet.
    Exception(ExceptionCode),
    /// A flob of the environment.
    Flob(Place),
    /// A service outside: `stdin`.
    Service(String),
    /// Something outside that nobody knows.
    Outside,
}

impl Map<'_> {
    /// The state of a thread.
    pub fn state(&self, thread: Place) -> Option<&ThreadState> {
        match &self.environment.flob(thread)?.state {
            State::Thread(state) => Some(state),
            _ => None,
        }
    }

    /// For what a thread does not run.
    pub fn waiting(&self, thread: Place) -> Waiting {
        let Some(state) = self.state(thread) else { return Waiting::Nothing };
        if let Some(code) = ExceptionCode::from_number(state.exception.code) {
            return Waiting::Exception(code);
        }
        match self.link(thread, thread_link::WAITING_FOR) {
            Some(Link::Flob(place)) => Waiting::Flob(place),
            Some(Link::External(service)) => Waiting::Service(service),
            Some(Link::Unknown) => Waiting::Outside,
            _ if state.flags & thread_flag::STOPPED != 0 => Waiting::Stopped,
            _ => Waiting::Nothing,
        }
    }

    /// The threads that wait for each other in a circle which this one is part of or waits for, in order.
    pub fn deadlock(&self, thread: Place) -> Option<Vec<Place>> {
        let mut path = vec![thread];
        loop {
            let next = self.blocker(*path.last()?)?;
            if let Some(start) = path.iter().position(|known| *known == next) {
                return Some(path.split_off(start));
            }
            path.push(next);
        }
    }

    /// The sentence; `source` reads stacks, to find the place in the program.
    pub fn sentence(&self, thread: Place, source: &mut dyn Source) -> String {
        let location =
            self.location(thread, source).map_or(String::new(), |place| format!(" at {}", place.short()));
        let stopped = self.state(thread).is_some_and(|state| state.flags & thread_flag::STOPPED != 0);
        let name = self.names.short(thread);
        match self.waiting(thread) {
            Waiting::Nothing => format!("{name} runs{location}"),
            Waiting::Stopped => format!("{name} is held{location}"),
            Waiting::Exception(code) => {
                format!("{name} waits for its keeper to answer: {}{location}", code.text())
            }
            _ => {
                let held = if stopped { " (and is held)" } else { "" };
                format!("{name} {}{held}{}", self.wait(thread, &location), self.chain(thread))
            }
        }
    }

    /// What it waits for, without its own name and place; `None` if it waits for nothing.
    pub fn reason(&self, thread: Place) -> Option<String> {
        match self.waiting(thread) {
            Waiting::Nothing | Waiting::Stopped => None,
            _ => Some(format!("{}{}", self.wait(thread, ""), self.chain(thread))),
        }
    }

    /// `waits for FORKS[2]`, with the place in the source behind it.
    fn wait(&self, thread: Place, location: &str) -> String {
        match self.waiting(thread) {
            Waiting::Flob(place) => format!("{}{location}", self.wait_for_flob(thread, place)),
            Waiting::Service(service) => format!("waits for the service {service}{location}"),
            Waiting::Outside => format!("waits for something outside{location}"),
            Waiting::Nothing => "runs".into(),
            Waiting::Stopped => "is held".into(),
            Waiting::Exception(code) => format!("waits for its keeper: {}", code.text()),
        }
    }

    fn wait_for_flob(&self, thread: Place, place: Place) -> String {
        let name = self.names.short(place);
        match self.environment.flob(place).map(|flob| flob.state.kind()) {
            Some(FlobKind::Condition) => format!("sleeps on the condition {name}"),
            Some(FlobKind::PortSet) => format!("waits for requests at {name}"),
            Some(FlobKind::Port) => format!("waits for a server of {name}"),
            Some(FlobKind::Thread) if self.is_server_of(thread, place) => {
                format!("waits for {name}, its client")
            }
            Some(FlobKind::Thread) => format!("waits for {name} to answer"),
            _ => format!("waits for {name}"),
        }
    }

    fn is_server_of(&self, thread: Place, client: Place) -> bool {
        self.link(thread, thread_link::SERVER_PEER) == Some(Link::Flob(client))
    }

    /// `, held by worker-3, which waits for …: deadlock of 5`.
    fn chain(&self, thread: Place) -> String {
        let mut text = String::new();
        let mut seen = vec![thread];
        let mut present = thread;
        while let Some(next) = self.blocker(present) {
            let name = self.names.short(next);
            let holder = matches!(self.waiting(present), Waiting::Flob(place) if self.is_mutex(place));
            text += &if holder { format!(", held by {name}") } else { ", which".to_owned() };
            if let Some(start) = seen.iter().position(|known| *known == next) {
                return format!("{text}: deadlock of {}", seen.len() - start);
            }
            let wait = self.wait(next, "");
            text += &if holder { format!(", which {wait}") } else { format!(" {wait}") };
            seen.push(next);
            present = next;
        }
        text
    }

    /// The thread without which this one does not go on: the owner of a mutex, the server of a request.
    fn blocker(&self, thread: Place) -> Option<Place> {
        let Waiting::Flob(place) = self.waiting(thread) else { return None };
        let flob = self.environment.flob(place)?;
        match flob.state.kind() {
            // Who is named in a free mutex has nothing to do with it.
            FlobKind::Mutex => match (&flob.state, flob.links.first()?) {
                (State::Mutex(mutex), Link::Flob(owner)) if mutex.locked != 0 => Some(*owner),
                _ => None,
            },
            FlobKind::Thread => Some(place),
            _ => None,
        }
    }

    fn is_mutex(&self, place: Place) -> bool {
        self.environment.flob(place).is_some_and(|flob| flob.state.kind() == FlobKind::Mutex)
    }

    fn link(&self, thread: Place, position: usize) -> Option<Link> {
        self.environment.flob(thread)?.links.get(position).cloned()
    }

    /// The call that a thread is blocked in: `mutex_lock`.
    pub fn call(&self, thread: Place) -> Option<&'static str> {
        let waits =
            !matches!(self.waiting(thread), Waiting::Nothing | Waiting::Stopped | Waiting::Exception(_));
        let state = self.state(thread).filter(|_| waits)?;
        Some(Call::from_number(state.registers.rax).map_or("ipc", Call::name))
    }

    /// Where in the program's own source a thread is.
    pub fn location(&self, thread: Place, source: &mut dyn Source) -> Option<Location> {
        let frames = self.backtrace(thread, source);
        let own = frames.iter().find(|location| location.is_of_program());
        own.or(frames.first()).cloned()
    }

    /// The functions that a thread is in, innermost first, inlined ones too.
    pub fn backtrace(&self, thread: Place, source: &mut dyn Source) -> Vec<Location> {
        let Some(state) = self.state(thread) else { return Vec::new() };
        let Some(Link::Flob(space)) = self.link(thread, thread_link::SPACE) else { return Vec::new() };
        let translation = self.names.translation();
        let mut stack = Stack { space, translation, source, start: 0, bytes: Vec::new() };
        let mut frames = Vec::new();
        let mut present = Some(Caller::innermost(&state.registers));
        while let Some(function) = present.take().filter(|_| frames.len() < MOST_FRAMES) {
            frames.extend(self.symbols.inlined(function.lookup_address()));
            present = self.symbols.caller(&function, &mut |address| stack.read(address));
        }
        frames
    }
}

/// Reads words of a stack, a piece at a time. Where its memory is was found out when all was looked at: the guest would look at all
/// mappings for each piece.
struct Stack<'a> {
    space: Place,
    translation: &'a Translation,
    source: &'a mut dyn Source,
    start: u64,
    bytes: Vec<u8>,
}

impl Stack<'_> {
    const PIECE: u32 = 1024;

    fn read(&mut self, address: u64) -> Option<u64> {
        if self.word(address).is_none() {
            // A function's saved registers are read downwards: from the beginning of a piece on, they are all in it.
            let within = if address.is_multiple_of(8) { address % u64::from(Self::PIECE) } else { 0 };
            let place = self.translation.place(self.space, address - within)?;
            self.bytes = self.source.read(Memory::Environment, place, Self::PIECE).ok()?;
            self.start = address - within;
        }
        self.word(address)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(offset..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, SpaceState};
    use flob_image::{Environment, Flob};
    use flob_link::Change;

    use super::*;
    use crate::{Error, names::Names, symbols::Symbols};

    struct NoMemory;

    impl Source for NoMemory {
        fn environment(&mut self, _vectors: bool) -> Result<Environment, Error> {
            Ok(Environment::default())
        }

        fn read(&mut self, _memory: Memory, _address: u64, _count: u32) -> Result<Vec<u8>, Error> {
            Ok(Vec::new())
        }

        fn write(&mut self, _memory: Memory, _address: u64, _bytes: &[u8]) -> Result<(), Error> {
            Ok(())
        }

        fn set(&mut self, _place: Place, _hash: u64, _change: Change) -> Result<(), Error> {
            Ok(())
        }

        fn is_live(&self) -> bool {
            false
        }
    }

    fn thread(place: Place, waits_for: Link) -> Flob {
        let mut links = vec![Link::Null; FlobKind::Thread.links().len()];
        links[thread_link::WAITING_FOR] = waits_for;
        Flob { place, state: State::Thread(ThreadState::default()), links }
    }

    fn mutex(place: Place, owner: Place) -> Flob {
        let state = State::Mutex(MutexState { locked: 1, ..MutexState::default() });
        Flob { place, state, links: vec![Link::Flob(owner)] }
    }

    #[test]
    fn nobody_holds_a_mutex_that_was_set_free_whatever_its_owner_link_says() {
        let mut free = mutex(0x4000, 0x2000);
        if let State::Mutex(state) = &mut free.state {
            state.locked = 0;
        }
        let environment = Environment {
            program: "one".into(),
            flobs: vec![thread(0x1000, Link::Flob(0x4000)), thread(0x2000, Link::Flob(0x4000)), free],
            ..Environment::default()
        };
        let symbols = Symbols::none();
        let names = Names::new(&environment, &symbols);
        let why = Map { environment: &environment, names: &names, symbols: &symbols };
        assert_eq!(why.deadlock(0x2000), None);
        assert!(!why.sentence(0x1000, &mut NoMemory).contains("held"));
    }

    #[test]
    fn a_circle_of_threads_and_mutexes_is_named_and_counted() {
        let space = Flob { place: 0, state: State::Space(SpaceState::default()), links: vec![Link::Null; 2] };
        let environment = Environment {
            program: "two".into(),
            flobs: vec![
                space,
                thread(0x1000, Link::Flob(0x4200)),
                thread(0x2000, Link::Flob(0x4000)),
                thread(0x3000, Link::Flob(0x4000)),
                mutex(0x4000, 0x1000),
                mutex(0x4200, 0x2000),
            ],
            ..Environment::default()
        };
        let symbols = Symbols::none();
        let names = Names::new(&environment, &symbols);
        let why = Map { environment: &environment, names: &names, symbols: &symbols };
        assert_eq!(why.deadlock(0x3000), Some(vec![0x1000, 0x2000]));
        let sentence = why.sentence(0x1000, &mut NoMemory);
        assert_eq!(
            sentence,
            "main waits for +0x4200, held by thread-10, which waits for +0x4000, held by main: deadlock of 2"
        );
    }
}

//! Five philosophers who all hold their left fork, in a session that never existed.

use std::{sync::Arc, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use flob_abi::{FlobKind, thread_flag};
use flob_image::{Environment, Flob, Link, Place, State as FlobState};
use flob_link::{Change, Event, Memory, Progress};
use flob_session::{
    Condition, Error, HubEvent, LinkState, Owner, SessionInfo, Source, Spot, symbols::Symbols,
};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    insight::{Explained, Insight, Symbolic},
    message::{Ask, Message},
    snapshot::Snapshot,
    state::State,
    store::Saved,
    theme::Theme,
    update::update,
    view,
};

pub const SPACE: Place = 0x1000;
pub const FORKS: Place = 0x2_0000;

pub fn philosopher(number: u64) -> Place {
    0x1_0000 + number * 0x1000
}

pub fn fork(number: u64) -> Place {
    FORKS + number * 0x200
}

fn flob(place: Place, kind: FlobKind, links: &[Link]) -> Flob {
    let mut state = FlobState::from_bytes(kind, &[]).expect("a kind has a state");
    state.as_mut_bytes()[..8].copy_from_slice(&(place ^ 0xabcd).to_le_bytes());
    let mut links = links.to_vec();
    links.resize(kind.links().len(), Link::Null);
    Flob { place, state, links }
}

pub fn environment(deadlock: bool) -> Environment {
    let to = Link::Flob;
    let outside = |name: &str| Link::External(name.into());
    let mut flobs = vec![flob(SPACE, FlobKind::Space, &[outside("keeper")])];
    let mut region = flob(0x1200, FlobKind::Region, &[to(SPACE)]);
    let mut mapping = flob(0x1400, FlobKind::Mapping, &[outside("memory"), to(SPACE)]);
    if let FlobState::Region(state) = &mut region.state {
        (state.start, state.size, state.protection) = (0x40_0000, 0x10_0000, 7);
    }
    if let FlobState::Mapping(state) = &mut mapping.state {
        (state.start, state.size, state.protection, state.offset) = (0x40_0000, 0x10_0000, 5, 0x4000);
    }
    flobs.extend([region, mapping]);
    flobs.push(flob(0x1600, FlobKind::PortSet, &[]));
    flobs.push(flob(0x1800, FlobKind::Port, &[to(0x1600)]));
    flobs.push(flob(0x1a00, FlobKind::Condition, &[]));
    flobs.push(flob(0x1c00, FlobKind::Reference, &[to(philosopher(0))]));
    for number in 0..5 {
        let wants = if deadlock { to(fork((number + 1) % 5)) } else { Link::Null };
        let mut thread = flob(philosopher(number), FlobKind::Thread, &[to(SPACE), wants]);
        if let FlobState::Thread(state) = &mut thread.state {
            state.priority = 10;
            state.own_address = 0x50_0000 + number * 0x1000;
            state.registers.rip = 0x40_1230 + number * 4;
            state.registers.rsp = 0x60_0ff0 + number * 0x1000;
            state.flags = thread_flag::EXCEPTIONS_ENABLED;
        }
        flobs.push(thread);
    }
    for number in 0..5 {
        let owner = if deadlock { to(philosopher(number)) } else { Link::Null };
        let mut mutex = flob(fork(number), FlobKind::Mutex, &[owner]);
        if let FlobState::Mutex(state) = &mut mutex.state {
            state.locked = u32::from(deadlock);
        }
        flobs.push(mutex);
    }
    flobs.sort_by_key(|flob| flob.place);
    Environment {
        program: "philosophers".into(),
        arguments: vec!["5".into(), "--deadlock".into()],
        size: 4 << 20,
        flobs,
        ..Environment::default()
    }
}

/// Names as the symbols of an ELF would give them.
#[derive(Debug)]
struct Named {
    plain: Symbolic,
    /// Place, label, and what people call it; ascending.
    names: Vec<(Place, String, Option<String>)>,
}

impl Insight for Named {
    fn explain(&self, environment: &Environment, source: &mut dyn Source) -> Explained {
        let mut explained = self.plain.explain(environment, source);
        let plain = explained.names.clone();
        for (position, why) in &mut explained.threads {
            // What comes last in the list is the first part of nothing that comes before.
            for (place, label, nick) in self.names.iter().rev() {
                *why = why.replace(&plain.short(*place), nick.as_ref().unwrap_or(label));
            }
            *position = "philosophers.rs:41".into();
        }
        for (place, label, nick) in &self.names {
            explained.names.rename(*place, label, nick.as_deref());
        }
        let space = environment.flobs.iter().position(|flob| flob.place == SPACE).map(|index| index as u32);
        explained.homes = environment.flobs.iter().map(|_| space).collect();
        explained
    }

    fn symbol(&self, _: &Environment, name: &str) -> Option<u64> {
        (name == "FORKS").then_some(0x42_0000)
    }

    fn covering(&self, _: &Environment, address: u64) -> Option<(String, u64)> {
        (0x40_1200..0x40_1300).contains(&address).then(|| ("take".to_owned(), address - 0x40_1200))
    }

    fn describe(&self, environment: &Environment, spot: &Spot) -> String {
        self.plain.describe(environment, spot)
    }

    fn breakpoints(
        &self,
        environment: &Environment,
        text: &str,
    ) -> Result<Vec<(Spot, Option<Condition>)>, Error> {
        self.plain.breakpoints(environment, text)
    }
}

pub fn insight() -> Arc<dyn Insight> {
    let name = |place: Place, label: &str| (place, label.to_owned(), None);
    let mut names =
        vec![name(0x1600, "REQUESTS"), name(0x1800, "TABLE"), name(0x1a00, "HUNGRY"), name(0x1c00, "HOST")];
    for number in 0..5 {
        let nick = Some(format!("philosopher-{number}"));
        names.push((philosopher(number), format!("PHILOSOPHERS[{number}]"), nick));
        names.push(name(fork(number), &format!("FORKS[{number}]")));
    }
    names.sort_unstable();
    Arc::new(Named { plain: Symbolic::new(|_| Symbols::none()), names })
}

/// Memory that nobody can read.
struct Dark;

impl Source for Dark {
    fn environment(&mut self, _: bool) -> Result<Environment, Error> {
        Ok(Environment::default())
    }

    fn read(&mut self, _: Memory, _: u64, _: u32) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn write(&mut self, _: Memory, _: u64, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn set(&mut self, _: Place, _: u64, _: Change) -> Result<(), Error> {
        Ok(())
    }

    fn is_live(&self) -> bool {
        false
    }
}

pub fn snapshot(environment: Environment, before: Option<&Arc<Snapshot>>) -> Arc<Snapshot> {
    let before = before.map(|before| Arc::clone(&before.environment));
    Arc::new(Snapshot::new(environment, before, insight(), &mut Dark))
}

pub fn info(holders: &[Owner]) -> Box<SessionInfo> {
    Box::new(SessionInfo {
        name: "philosophers".into(),
        program: "philosophers".into(),
        arguments: vec!["philosophers".into(), "--deadlock".into()],
        hub_process: 100,
        guest_process: Some(101),
        device: None,
        elf: None,
        gdb_socket: None,
        gdb_port: None,
        started: 1_700_000_000,
        link: LinkState::Up,
        received: 0,
        sent: 0,
        restore_bytes: 0,
        fetching: None,
        lost: None,
        holders: holders.to_vec(),
        progress: Progress::default(),
        checkpoint: None,
        restored: false,
    })
}

pub fn saved() -> Vec<Saved> {
    let one = |id: &str, parent: Option<&str>, name: Option<&str>, minutes: u64| Saved {
        id: id.into(),
        name: name.map(str::to_owned),
        parent: parent.map(str::to_owned),
        program: "philosophers".into(),
        bytes: 300 << 10,
        flobs: 17,
        time: 1_700_000_000 + minutes * 60,
        edited: parent.is_some(),
    };
    vec![
        one("5ca1ab1e", None, Some("before dinner"), 0),
        one("0ddba11", Some("5ca1ab1e"), None, 3),
        one("cafe0001", None, None, 5),
    ]
}

/// A screen and somebody in front of it.
pub struct Desk {
    pub state: State,
    pub asks: Vec<Ask>,
}

impl Desk {
    /// Colours are on: assertions on the buffer need them; snapshots have none anyway.
    pub fn new(width: u16, height: u16) -> Self {
        let theme = Theme { colour: true, unicode: true };
        let mut desk = Self { state: State::new((width, height), theme, true, true), asks: Vec::new() };
        desk.tell(Message::Info(info(&[])));
        desk.look(environment(true));
        desk.tell(Message::Checkpoints(Ok(saved())));
        desk.tell(Message::Hub(HubEvent::Guest(Event::Output {
            stream: 1,
            position: 0,
            bytes: b"philosopher 0 eats\nphilosopher 3 eats\n".to_vec(),
        })));
        desk.state.notice = None;
        desk
    }

    pub fn tell(&mut self, message: Message) {
        self.asks.extend(update(&mut self.state, message));
    }

    pub fn look(&mut self, environment: Environment) {
        let snapshot = snapshot(environment, self.state.live.clone().as_ref());
        self.tell(Message::Looked { snapshot, took: Duration::from_millis(3) });
    }

    /// Types keys: `<Enter>` and its like, `^u` for one with Control, or characters.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(letter) = rest.chars().next() {
            let (code, length) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, _)) => (special(name), name.len() + 2),
                None => (KeyCode::Char(letter), letter.len_utf8()),
            };
            rest = &rest[length..];
            let (code, modifiers) = match (code, rest.chars().next()) {
                (KeyCode::Char('^'), Some(letter)) => {
                    rest = &rest[letter.len_utf8()..];
                    (KeyCode::Char(letter), KeyModifiers::CONTROL)
                }
                _ => (code, KeyModifiers::NONE),
            };
            self.tell(Message::Key(KeyEvent::new(code, modifiers)));
        }
        self
    }

    /// What is to be done since the last call.
    pub fn done(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    pub fn buffer(&self) -> Buffer {
        let (width, height) = self.state.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        view::paint(&mut buffer, &self.state);
        buffer
    }

    pub fn screen(&self) -> String {
        text_of(&self.buffer())
    }
}

fn special(name: &str) -> KeyCode {
    match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Back" => KeyCode::Backspace,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "End" => KeyCode::End,
        other => panic!("no key is called {other}"),
    }
}

pub fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    let lines: Vec<String> = symbols.chunks(width).map(|line| line.concat().trim_end().to_owned()).collect();
    lines.join("\n")
}

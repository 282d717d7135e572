//! Everything the screen shows, as plain data. Messages change it ([`super::update`]), the view draws it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use flob_image::Place;
use flob_session::{LinkState, SessionInfo};

use super::{
    calls::Calls,
    coach::Coach,
    console::Console,
    cost::Meter,
    edit::Edit,
    keymap::Keymap,
    list::List,
    memory::MemoryView,
    points::Points,
    script::Script,
    sieve::{Sieve, Sifted},
    snapshot::Snapshot,
    store::Saved,
    theme::Theme,
    tree::FoldKey,
    waits::{Facts, Status},
};

pub use super::mode::{Mode, Question, Reading};
pub use super::progress::{LogKind, Logged, Work};

/// The panes to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tab {
    Flobs,
    Threads,
    Memory,
    Graph,
    Checkpoints,
    Console,
    Log,
    Calls,
    Breakpoints,
}

impl Tab {
    /// All, in their order on screen.
    pub const ALL: [Self; 9] = [
        Self::Flobs,
        Self::Threads,
        Self::Memory,
        Self::Graph,
        Self::Checkpoints,
        Self::Console,
        Self::Log,
        Self::Calls,
        Self::Breakpoints,
    ];
}

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The list of the tab.
    List,
    /// The selected flob.
    Detail,
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// An exception that nobody handled, in a sentence, and its code.
    Died(String, u32),
}

/// How the screen was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The session runs on, or there was none.
    Running,
    /// The session was stopped; after saving this checkpoint if one is named.
    Stopped(Option<String>),
    /// The session had ended by itself.
    Gone,
    /// By a signal: the session runs on.
    Terminated,
}

/// The flob that is looked at, and the way there.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// The flob.
    pub place: Option<Place>,
    /// Where Backspace leads.
    pub history: Vec<Place>,
    /// Its fields.
    pub list: List,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct State {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// How it looks.
    pub theme: Theme,
    /// What keys mean.
    pub keymap: Arc<Keymap>,
    /// Time since the start of the screen.
    pub now: Duration,
    /// The chosen tab.
    pub tab: Tab,
    /// Which pane has the keys.
    pub focus: Focus,
    /// What keys do at the moment.
    pub mode: Mode,
    /// There is a session (else only a checkpoint).
    pub has_session: bool,
    /// The session's name.
    pub session: Option<String>,
    /// Other sessions run too.
    pub several: bool,
    /// What the hub says of it.
    pub info: Option<SessionInfo>,
    /// The connection to the guest.
    pub link: LinkState,
    /// The hub is gone.
    pub hub_gone: bool,
    /// The session that the program has moved into.
    pub moved: Option<String>,
    /// What looking costs the program.
    pub cost: Meter,
    /// How the program ended.
    pub ended: Option<Ended>,
    /// The last look at the live environment, when it came, and how long it took.
    pub live: Option<Arc<Snapshot>>,
    #[expect(missing_docs, reason = "see `live`")]
    pub looked: Duration,
    #[expect(missing_docs, reason = "see `live`")]
    pub took: Duration,
    /// A checkpoint being browsed, by its id, instead of the live environment.
    pub opened: Option<(String, Arc<Snapshot>)>,
    /// Rows of the tree that are shown.
    pub visible: Vec<u32>,
    /// How they are chosen, beside what is folded.
    pub tree_sieve: Sieve,
    /// What is folded.
    pub folded: HashSet<FoldKey>,
    /// Selection in the tree.
    pub tree: List,
    /// Selection among the threads.
    pub threads: Sifted,
    /// Selection in the graph.
    pub graph: List,
    /// The flob looked at.
    pub detail: Detail,
    /// Memory.
    pub memory: MemoryView,
    /// What the program asks.
    pub calls: Calls,
    /// Breakpoints.
    pub points: Points,
    /// Output.
    pub console: Console,
    /// The program takes typed input.
    pub typed_input: bool,
    /// The checkpoints, in the order of their tree, with their depth in it.
    pub saved: Vec<(usize, Saved)>,
    /// Selection among them.
    pub checkpoints: Sifted,
    /// The id of the one that others are compared with.
    pub marked: Option<String>,
    /// The log, and how far it is scrolled back.
    pub log: Vec<Logged>,
    #[expect(missing_docs, reason = "see `log`")]
    pub log_back: usize,
    /// What of it is shown.
    pub log_sieve: Sieve,
    /// What was searched last.
    pub search: String,
    /// Edits that wait to be applied.
    pub pending: Vec<Edit>,
    /// The long job under way.
    pub work: Option<Work>,
    /// What is told in the footer, until the next key.
    pub notice: Option<(LogKind, String)>,
    /// Commands that are done one after the other.
    pub script: Option<Script>,
    /// Says what to press next, in the demo.
    pub coach: Option<Coach>,
    /// Set once the screen is to be left.
    pub leave: Option<Leave>,
}

impl State {
    /// At the start.
    pub fn new(size: (u16, u16), theme: Theme, has_session: bool, typed_input: bool) -> Self {
        Self {
            size,
            theme,
            keymap: Arc::default(),
            now: Duration::ZERO,
            tab: Tab::Flobs,
            focus: Focus::List,
            mode: Mode::Normal,
            has_session,
            session: None,
            several: false,
            info: None,
            link: LinkState::Connecting,
            hub_gone: false,
            moved: None,
            cost: Meter::default(),
            ended: None,
            live: None,
            looked: Duration::ZERO,
            took: Duration::ZERO,
            opened: None,
            visible: Vec::new(),
            tree_sieve: Sieve::default(),
            folded: HashSet::new(),
            tree: List::default(),
            threads: Sifted::default(),
            graph: List::default(),
            detail: Detail::default(),
            memory: MemoryView::default(),
            calls: Calls::default(),
            points: Points::default(),
            console: Console::default(),
            typed_input,
            saved: Vec::new(),
            checkpoints: Sifted::default(),
            marked: None,
            log: Vec::new(),
            log_back: 0,
            log_sieve: Sieve::default(),
            search: String::new(),
            pending: Vec::new(),
            work: None,
            notice: None,
            script: None,
            coach: None,
            leave: None,
        }
    }

    /// What is shown: the opened checkpoint, else the live environment.
    pub fn shown(&self) -> Option<&Arc<Snapshot>> {
        self.opened.as_ref().map(|(_, snapshot)| snapshot).or(self.live.as_ref())
    }

    /// Whether what is shown is the live environment.
    pub fn is_live(&self) -> bool {
        self.opened.is_none()
    }

    /// Whether the hub still answers.
    pub fn has_hub(&self) -> bool {
        self.has_session && !self.hub_gone
    }

    /// Whether the guest can do something.
    pub fn has_guest(&self) -> bool {
        self.has_hub() && self.link != LinkState::Dead
    }

    /// Whether panes stand side by side.
    pub fn is_wide(&self) -> bool {
        self.size.0 >= 110
    }

    /// Whether anybody holds threads back.
    pub fn is_held(&self) -> bool {
        self.info.as_ref().is_some_and(|info| !info.holders.is_empty())
    }

    /// Whether every thread is held back.
    pub fn is_all_held(&self) -> bool {
        let stopped = |facts: &Facts| facts.status == Status::Stopped;
        self.is_held() && self.live.as_ref().is_none_or(|live| live.threads.iter().all(stopped))
    }

    /// Whether the live environment stands in a deadlock.
    pub fn is_deadlocked(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.deadlocks.is_empty())
    }

    /// How old the live values are.
    pub fn age(&self) -> Duration {
        self.now.saturating_sub(self.looked)
    }

    /// Writes a line into the log and shows it in the footer.
    pub fn tell(&mut self, kind: LogKind, text: impl Into<String>) {
        let text = text.into();
        self.notice = Some((kind, text.clone()));
        self.log.push(Logged { at: self.now, text, kind });
        if self.log.len() > 2000 {
            self.log.drain(..1000);
        }
    }

    /// The name of a flob of what is shown.
    pub fn name(&self, place: Place) -> String {
        self.shown().map_or_else(|| format!("{place:#x}"), |snapshot| snapshot.name(place))
    }

    /// The lines of the log that are shown.
    pub fn shown_log(&self) -> impl DoubleEndedIterator<Item = &Logged> {
        self.log.iter().filter(|line| self.log_sieve.lets([line.text.as_str()]))
    }

    /// The thread selected in the list.
    pub fn selected_thread(&self) -> Option<&Facts> {
        self.shown()?.threads.get(self.threads.chosen()?)
    }

    /// The checkpoint selected in the list.
    pub fn selected_checkpoint(&self) -> Option<&Saved> {
        self.saved.get(self.checkpoints.chosen()?).map(|(_, saved)| saved)
    }
}

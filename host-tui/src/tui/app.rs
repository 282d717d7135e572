//! The loop: messages in, state changed, asks out, the screen drawn at most sixty times a second.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::AtomicBool,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crossterm::event::KeyCode;
use flob_image::Place;
use flob_session::Error;

use super::{
    coach::Coach,
    config::Config,
    editor,
    input::Input,
    insight::Insight,
    message::{Ask, Job, Message},
    script::Script,
    state::{Ended, Leave, LogKind, State},
    store::Store,
    terminal::{self, Screen},
    text,
    update::update,
    worker::{Connect, Tools, Workers},
};

/// Shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(16);
/// How often values age on screen if nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// The same while something long is under way.
const WORKING_TICK: Duration = Duration::from_millis(200);

/// What the TUI is to show.
pub struct Options {
    /// The session: its name, and what connects to it while the first frame is drawn already. `None` for a checkpoint alone.
    pub session: Option<(String, Connect)>,
    /// A checkpoint to open at the start.
    pub checkpoint: Option<String>,
    /// The checkpoints.
    pub store: Option<Arc<dyn Store>>,
    /// Names and symbols.
    pub insight: Arc<dyn Insight>,
    /// The program reads what is typed.
    pub typed_input: bool,
    /// What the config file says.
    pub config: Config,
    /// Somebody says what to press next.
    pub coach: bool,
    /// Commands to be done one after the other.
    pub script: Option<Script>,
}

/// What is left to say once the terminal is back.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it was left.
    pub leave: Leave,
    /// The session's name.
    pub session: Option<String>,
    /// The session that the program has moved into.
    pub moved: Option<String>,
    /// How the program ended, if it has.
    pub ended: Option<Ended>,
    /// The program's last output, as it wrote it.
    pub output: Vec<u8>,
}

impl Summary {
    /// What to tell once the program's last output stands on the terminal again, a line each.
    pub fn farewell(&self) -> Vec<String> {
        let session = self.session.as_deref().unwrap_or_default();
        let mut lines: Vec<String> = self.ended.iter().map(text::ended).collect();
        match &self.leave {
            Leave::Running | Leave::Terminated if self.session.is_some() => {
                lines.push(text::runs_on(session))
            }
            Leave::Stopped(Some(id)) => lines.push(text::stopped_with(session, id)),
            Leave::Stopped(None) => lines.push(text::session_stopped(session)),
            Leave::Gone => {
                lines.push(self.moved.as_deref().map_or_else(|| text::HUB_GONE.to_owned(), text::moved))
            }
            Leave::Running | Leave::Terminated => {}
        }
        lines
    }
}

/// Shows the TUI until it is left.
pub fn run(options: Options) -> Result<Summary, Error> {
    let (messages, inbox) = mpsc::channel();
    let (session, connect) = options.session.unzip();
    let tools = Tools {
        client: session.as_ref().map(|_| Arc::new(OnceLock::new())),
        store: options.store,
        insight: options.insight,
        messages: messages.clone(),
        cancel: Arc::new(AtomicBool::new(false)),
    };
    terminal::restore_on_panic(messages.clone());
    let mut screen = Screen::take(!options.config.without_mouse)?;
    let input = Input::start(&messages)?;
    let mut state = State::new(screen.size(), options.config.theme(), session.is_some(), options.typed_input);
    state.keymap = Arc::new(options.config.keymap);
    state.session = session;
    state.script = options.script;
    state.coach = options.coach.then(Coach::default);
    // The first frame stands before anything is asked of anybody.
    screen.draw(&state)?;
    let workers = Workers::start(&tools, connect)?;
    let mut app = App {
        state,
        screen,
        input,
        workers,
        tools,
        start: Instant::now(),
        failed: None,
        drawn: Instant::now(),
        panics: std::env::var_os("FLOB_TEST_PANIC").is_some(),
    };
    app.run(&inbox, options.checkpoint)?;
    let App { state, failed, .. } = app;
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(Summary {
        leave: state.leave.unwrap_or(Leave::Running),
        session: state.session,
        moved: state.moved,
        ended: state.ended,
        output: state.console.tail(),
    })
}

struct App {
    state: State,
    screen: Screen,
    input: Input,
    workers: Workers,
    tools: Tools,
    start: Instant,
    failed: Option<Error>,
    /// When the last drawing began.
    drawn: Instant,
    /// For tests of what a panic leaves behind: F12 is one where `FLOB_TEST_PANIC` is set.
    panics: bool,
}

impl App {
    fn run(&mut self, inbox: &Receiver<Message>, checkpoint: Option<String>) -> Result<(), Error> {
        self.workers.ask(Ask::List);
        if let Some(id) = checkpoint {
            self.workers.ask(Ask::Open(id));
        }
        self.draw()?;
        while self.state.leave.is_none() {
            let tick = if self.state.work.is_some() { WORKING_TICK } else { TICK };
            match inbox.recv_timeout(tick) {
                Ok(message) => self.take_all(message, inbox)?,
                Err(RecvTimeoutError::Timeout) => self.take(Message::Tick)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.draw()?;
        }
        Ok(())
    }

    fn draw(&mut self) -> Result<(), Error> {
        self.drawn = Instant::now();
        self.screen.draw(&self.state)
    }

    /// Takes a message and what else comes until the next drawing is due: at once, if the last was long ago.
    fn take_all(&mut self, first: Message, inbox: &Receiver<Message>) -> Result<(), Error> {
        let due = self.drawn + FRAME;
        self.take(first)?;
        while self.state.leave.is_none() {
            match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(message) => self.take(message)?,
                Err(_) => return Ok(()),
            }
            if Instant::now() >= due {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        self.state.now = self.start.elapsed();
        if let Message::Key(key) = &message
            && self.panics
        {
            assert_ne!(key.code, KeyCode::F(12), "a panic was asked for");
        }
        if let Message::NoSession(error) = message {
            self.failed = Some(error);
            self.state.leave = Some(Leave::Gone);
            return Ok(());
        }
        for ask in update(&mut self.state, message) {
            match ask {
                Ask::Redraw => self.screen.clear()?,
                Ask::Copy(text) => self.screen.copy(&text)?,
                Ask::Editor { checkpoint, flobs } => self.edit(checkpoint, &flobs)?,
                other => self.workers.ask(other),
            }
        }
        Ok(())
    }

    /// Lends the terminal to `$EDITOR`. What came of it is saved as a new checkpoint.
    fn edit(&mut self, checkpoint: String, flobs: &[Place]) -> Result<(), Error> {
        let Some(store) = self.tools.store.clone() else {
            self.state.tell(LogKind::Trouble, text::NO_STORE);
            return Ok(());
        };
        let (screen, id) = (&mut self.screen, &checkpoint);
        let edited = self.input.rest_while(|| screen.lend(|| editor::edit(store.as_ref(), id, flobs)))?;
        self.state.size = self.screen.size();
        match edited {
            Ok(Some(environment)) => {
                let environment = Box::new(environment);
                self.workers.ask(Ask::Do(Job::SaveEdited {
                    parent: checkpoint,
                    environment,
                    pokes: Vec::new(),
                }));
            }
            Ok(None) => self.state.tell(LogKind::Note, text::UNCHANGED),
            Err(error) => self.state.tell(LogKind::Trouble, error.to_string()),
        }
        Ok(())
    }
}

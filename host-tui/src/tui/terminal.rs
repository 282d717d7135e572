//! The terminal itself, not the standard streams: those are the program's. Put back on every way out.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    panic,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::Show,
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use flob_session::Error;
use ratatui::{Terminal, backend::CrosstermBackend};

use super::{message::Message, state::State, view};

/// The terminal, taken over until this is dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
    /// Whether the mouse comes to us.
    mouse: bool,
}

/// Opens the terminal for reading and writing.
pub fn open() -> Result<File, Error> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
    opened.map_err(|_| Error::Environment("there is no terminal to draw on; use --headless".into()))
}

fn failed(source: io::Error) -> Error {
    Error::Io { context: "using the terminal".into(), source }
}

impl Screen {
    /// Takes the terminal over, and the mouse if wanted.
    pub fn take(mouse: bool) -> Result<Self, Error> {
        let tty = open()?;
        enter(&tty, mouse).map_err(failed)?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(64 * 1024, tty));
        match Terminal::new(backend) {
            Ok(terminal) => Ok(Self { terminal, mouse }),
            Err(error) => {
                restore();
                Err(failed(error))
            }
        }
    }

    /// Draws a state; `size` is what the terminal says it has.
    pub fn draw(&mut self, state: &State) -> Result<(), Error> {
        self.terminal.draw(|frame| view::draw(frame, state)).map(drop).map_err(failed)
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Forgets what was drawn, so that all of it is drawn again.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.terminal.clear().map_err(failed)
    }

    /// Puts a text into the terminal's clipboard, if the terminal lets that be done.
    pub fn copy(&mut self, text: &str) -> Result<(), Error> {
        let mut tty = open()?;
        execute!(tty, CopyToClipboard::to_clipboard_from(text)).map_err(failed)
    }

    /// Lends the terminal to another program for as long as `work` takes.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> Result<T, Error> {
        restore();
        let result = work();
        enter(&open()?, self.mouse).map_err(failed)?;
        self.clear()?;
        Ok(result)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether there is anything to put back.
static TAKEN: AtomicBool = AtomicBool::new(false);

fn enter(mut tty: &File, mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(tty, EnterAlternateScreen, EnableBracketedPaste)?;
    if mouse { execute!(tty, EnableMouseCapture) } else { Ok(()) }
}

/// Puts the terminal back as it was. Whatever fails here, there is nobody left to tell.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    if let Ok(mut tty) = open() {
        let _ = execute!(tty, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = tty.flush();
    }
    let _ = disable_raw_mode();
}

/// From now on a panic of this thread puts the terminal back before it is reported, and one of another thread is told
/// on the screen.
pub fn restore_on_panic(messages: Sender<Message>) {
    let screen = thread::current().id();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_other = thread::current().id() != screen;
        if is_other && messages.send(Message::Defect(info.to_string())).is_ok() {
            return;
        }
        restore();
        before(info);
    }));
}

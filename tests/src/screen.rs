//! A terminal with the real binary in it: keys in, screen out.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, NativePtySystem, PtySize, PtySystem};

use crate::World;

/// No test waits longer for the screen than this.
const LIMIT: Duration = Duration::from_secs(120);

struct Shared {
    parser: Mutex<vt100::Parser>,
    /// All that was ever written to it.
    written: Mutex<Vec<u8>>,
    changed: Condvar,
}

/// A pseudo-terminal and what is on its screen.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    shared: Arc<Shared>,
    _master: Box<dyn MasterPty + Send>,
}

impl Screen {
    /// Starts `flob` in a terminal of this size.
    pub fn start(world: &World, arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_command(&world.command(arguments), columns, rows)
    }

    /// Starts `flob` with its standard input from a file.
    pub fn start_with_input(
        world: &World,
        arguments: &[&str],
        input: &Path,
        columns: u16,
        rows: u16,
    ) -> Self {
        let flob = world.command(arguments);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", r#"input=$1; shift; exec "$@" <"$input""#, "sh"]).arg(input);
        shell.arg(flob.get_program()).args(flob.get_args());
        world.environment(&mut shell);
        Self::start_command(&shell, columns, rows)
    }

    /// Starts a command, with its environment.
    pub fn start_command(plain: &std::process::Command, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = NativePtySystem::default().openpty(size).unwrap();
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        for (key, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            }
        }
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let shared = Arc::new(Shared {
            parser: Mutex::new(vt100::Parser::new(rows, columns, 0)),
            written: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let to_fill = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                to_fill.written.lock().unwrap().extend_from_slice(&buffer[..count]);
                to_fill.parser.lock().unwrap().process(&buffer[..count]);
                to_fill.changed.notify_all();
            }
        });
        Self { child, writer, shared, _master: pair.master }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// What is on the screen now.
    pub fn text(&self) -> String {
        self.shared.parser.lock().unwrap().screen().contents()
    }

    /// All that was written so far, what is gone from the screen too, with its control characters.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.shared.written.lock().unwrap()).into_owned()
    }

    /// Waits until the program's own screen is left; what stands on the terminal then.
    pub fn wait_until_left(&self) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut parser = self.shared.parser.lock().unwrap();
        while parser.screen().alternate_screen() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen was never left; it is\n{}", parser.screen().contents());
            parser = self.shared.changed.wait_timeout(parser, left).unwrap().0;
        }
        parser.screen().contents()
    }

    /// Whether the program shows its own screen rather than the shell's.
    pub fn is_alternate(&self) -> bool {
        self.shared.parser.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until the screen satisfies a condition; the screen then.
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut parser = self.shared.parser.lock().unwrap();
        loop {
            let text = parser.screen().contents();
            if condition(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen never showed {what}; it is\n{text}");
            parser = self.shared.changed.wait_timeout(parser, left).unwrap().0;
        }
    }

    /// Waits until the screen shows a text.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// The process in the terminal.
    pub fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the program's end; its exit code.
    pub fn finish(mut self) -> u32 {
        self.end()
    }

    /// The same, but what is on the screen stays to be read.
    pub fn end(&mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

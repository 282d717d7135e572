//! Processes with a time limit that are gone when the test is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test waits longer for a process than this.
const LIMIT: Duration = Duration::from_secs(400);

/// Sends a signal to a process.
pub fn send(signal: rustix::process::Signal, process: u32) {
    let process = rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

/// What a process that has ended left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    #[allow(missing_docs)]
    pub stdout: String,
    #[allow(missing_docs)]
    pub stderr: String,
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A process that runs.
pub struct Running {
    child: Child,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

impl Running {
    /// Starts it, with input from a file or none.
    pub fn start(command: Command, input: Option<&Path>) -> Self {
        Self::start_with(command, input.map_or_else(Stdio::null, |path| File::open(path).unwrap().into()))
    }

    /// Starts it, with any input.
    pub fn start_with(mut command: Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Stream::collect(child.stdout.take().unwrap());
        let stderr = Stream::collect(child.stderr.take().unwrap());
        Self { child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Takes over a process whose output nobody wants.
    pub fn adopt(child: Child) -> Self {
        Self { child, stdout: None, stderr: None }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until so many bytes were written to standard output; all that was.
    pub fn wait_for_output(&self, bytes: usize) -> String {
        self.stdout.as_ref().unwrap().wait(&format!("{bytes} bytes"), |text| text.len() >= bytes)
    }

    /// Waits until standard output contains this.
    pub fn wait_for(&self, text: &str) -> String {
        self.stdout.as_ref().unwrap().wait(text, |all| all.contains(text))
    }

    /// Waits until standard error contains this.
    pub fn wait_for_error(&self, text: &str) -> String {
        self.stderr.as_ref().unwrap().wait(text, |all| all.contains(text))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) -> Finished {
        self.child.kill().unwrap();
        self.finish()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let deadline = Instant::now() + LIMIT;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                eprintln!("killed after {LIMIT:?}");
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |stream: Option<Stream>| stream.map_or_else(String::new, Stream::finish);
        Finished { code, stdout: text(self.stdout.take()), stderr: text(self.stderr.take()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// What comes out of a process.
struct Stream {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Stream {
    /// Reads a stream to its end.
    fn collect(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let to_fill = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                to_fill.bytes.lock().unwrap().extend_from_slice(&buffer[..count]);
                to_fill.more.notify_all();
            }
        });
        Self { shared, reader }
    }

    /// Waits until what has come satisfies a condition.
    fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut bytes = self.shared.bytes.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if condition(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !self.reader.is_finished(), "{what} never came, only\n{text}");
            // The end of the stream is not told, but looked for.
            let left = left.min(Duration::from_millis(100));
            bytes = self.shared.more.wait_timeout(bytes, left).unwrap().0;
        }
    }

    fn finish(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.shared.bytes.lock().unwrap()).into_owned()
    }
}

//! Processes with a time limit that are gone when the test is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test waits longer for a process than this.
const LIMIT: Duration = Duration::from_secs(240);

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
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    lines: Option<mpsc::Receiver<String>>,
}

impl Running {
    /// Starts it, with input from a file or none.
    pub fn start(mut command: Command, input: Option<&Path>) -> Self {
        let input = input.map_or_else(Stdio::null, |path| File::open(path).unwrap().into());
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = collect(child.stdout.take().unwrap(), Some(sender));
        let stderr = collect(child.stderr.take().unwrap(), None);
        Self { child, stdout: Some(stdout), stderr: Some(stderr), lines: Some(lines) }
    }

    /// Takes over a process whose output nobody wants.
    pub fn adopt(child: Child) -> Self {
        Self { child, stdout: None, stderr: None, lines: None }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of its standard output that contains this.
    pub fn wait_for_line(&self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        let lines = self.lines.as_ref().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?}: {error}"),
            }
        }
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
        let text = |handle: Option<JoinHandle<Vec<u8>>>| {
            handle.map_or_else(String::new, |handle| String::from_utf8_lossy(&handle.join().unwrap()).into_owned())
        };
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

/// Reads a stream to its end, and sends its lines on as they come.
fn collect(mut stream: impl Read + Send + 'static, lines: Option<mpsc::Sender<String>>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut all, mut sent, mut buffer) = (Vec::new(), 0, [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            while let Some(end) = all[sent..].iter().position(|byte| *byte == b'\n') {
                if let Some(lines) = &lines {
                    lines.send(String::from_utf8_lossy(&all[sent..sent + end]).into_owned()).ok();
                }
                sent += end + 1;
            }
        }
        all
    })
}

//! This program as a nester: its child is this program once more, with one nesting less, in an environment that it makes,
//! serves and destroys each round.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use flob_runtime::abi::SpaceState;
use flob_runtime::flob::Links;
use flob_runtime::nester::serve::{Clerk, Request};
use flob_runtime::nester::{ChildMemory, Desk, Environment, Reply, Setup, inherited};
use flob_runtime::service::messages::{ParentReply, ParentRequest, StreamReply, StreamRequest};
use flob_runtime::service::{Service, pass_on, programs};
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread;
use serde::Serialize;

use crate::Round;
use crate::options::Options;
use flob_program_shared::Failure;

/// This program's name.
const NAME: &str = "random";
const PARENT: &str = "parent";
/// What the child is given, by alias.
const SERVICES: &[&str] = &[PARENT, "stdout", "stderr", "clock", "programs"];
/// Memory of a child without children (it uses 3.75 MiB, at times a little more), and more for each nesting.
const MEMORY: u64 = 6 << 20;
const MEMORY_DEEPER: u64 = 6 << 20;
/// Rounds of a child.
const ROUNDS: u64 = 1;

/// What the child has said and how it ended.
#[derive(Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
    exit: Option<i32>,
}

struct Child {
    environment: Environment,
    desk: Desk,
    said: Lock<Said>,
    ended: Condition,
    depth: u64,
}

pub fn prepare(options: &Options) -> Result<Round, Failure> {
    let Some(depth) = options.depth.checked_sub(1) else { return Ok(Box::new(|random| Ok(random.word()))) };
    let memory = ChildMemory::take(MEMORY + MEMORY_DEEPER * depth);
    let memory = memory.ok_or(Failure::Wrong("memory for a child", depth))?;
    let child = Arc::new(Child {
        environment: Environment::over(memory)?,
        desk: Desk::new(SERVICES)?,
        said: Lock::new(Said::default()),
        ended: Condition::new(),
        depth,
    });
    let (served, clerk) = (Arc::clone(&child), Clerk::new()?);
    thread::spawn(move || clerk.serve(&served.desk, |request| served.answer(&request)))?.detach();
    Ok(Box::new(move |random| child.run(random.word())))
}

impl Child {
    /// A child's life: its checksum.
    fn run(&self, seed: u64) -> Result<u64, Failure> {
        *self.said.lock() = Said::default();
        let arguments = [
            NAME.to_string(),
            seed.to_string(),
            "--rounds".into(),
            ROUNDS.to_string(),
            "--depth".into(),
            self.depth.to_string(),
        ];
        self.load(&arguments)?;
        self.environment.start()?;
        let said = self.ended.wait_until(self.said.lock(), |said| said.exit.is_some());
        let checksum = checksum(&said.output);
        if checksum.is_none() {
            flob_runtime::eprintln!("the child said: {}", String::from_utf8_lossy(&said.errors));
        }
        let exit = said.exit;
        drop(said);
        self.environment.clear()?;
        checksum.ok_or(Failure::Wrong("the child's exit code", exit.unwrap_or(-1) as u64))
    }

    fn load(&self, arguments: &[String]) -> Result<(), Failure> {
        let mut file = programs::File::open(NAME).ok().flatten().ok_or(Failure::Wrong("no own file", 0))?;
        let parent = self.desk.reference(PARENT).ok_or(Failure::Wrong("no parent port", 0))?;
        // Asked each time: after a restore it may be lower.
        let space = SpaceState { ceiling: inherited(&Links::NONE)?.ceiling, ..SpaceState::default() };
        let setup = Setup { parent, keeper: None, debug_port: None, space, arguments };
        match self.environment.load(&mut file, &setup) {
            Ok(_) => Ok(()),
            Err(error) => {
                flob_runtime::eprintln!("the child cannot be started: {error}");
                Err(Failure::Wrong("no child", self.depth))
            }
        }
    }

    fn answer(&self, request: &Request<'_>) -> Reply {
        match request.service {
            PARENT => self.parent(request.bytes),
            "stdout" => self.output(|said| &mut said.output, request.bytes),
            "stderr" => self.output(|said| &mut said.errors, request.bytes),
            "clock" => pass_up(&CLOCK, request.bytes),
            _ => pass_up(&PROGRAMS, request.bytes),
        }
    }

    fn parent(&self, bytes: &[u8]) -> Reply {
        match postcard::from_bytes(bytes) {
            Ok(ParentRequest::Lookup { name }) => {
                match self.desk.reference(name).filter(|_| name != PARENT) {
                    Some(reference) => {
                        let Reply::Bytes { bytes, .. } = reply(&ParentReply::Found) else {
                            return Reply::None;
                        };
                        Reply::Bytes { bytes, reference: Some(reference) }
                    }
                    None => reply(&ParentReply::NoService),
                }
            }
            Ok(ParentRequest::Exit { code }) => {
                self.said.lock().exit = Some(code);
                self.ended.signal();
                Reply::None
            }
            Err(_) => Reply::None,
        }
    }

    fn output(&self, stream: fn(&mut Said) -> &mut Vec<u8>, bytes: &[u8]) -> Reply {
        let Ok(StreamRequest::Write { position, bytes }) = postcard::from_bytes(bytes) else {
            return reply(&StreamReply::Refused);
        };
        let mut said = self.said.lock();
        let stream = stream(&mut said);
        if position != stream.len() as u64 {
            return reply(&StreamReply::Refused);
        }
        stream.extend_from_slice(bytes);
        reply(&StreamReply::Written { count: bytes.len() as u32 })
    }
}

static CLOCK: Service = Service::new("clock");
static PROGRAMS: Service = Service::new("programs");

fn reply(reply: &impl Serialize) -> Reply {
    postcard::to_allocvec(reply).map_or(Reply::None, Reply::bytes)
}

fn pass_up(service: &Service, request: &[u8]) -> Reply {
    let Ok(port) = service.port() else { return Reply::None };
    pass_on(port, request).map_or(Reply::None, Reply::bytes)
}

/// The checksum in what a child said.
fn checksum(output: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(output).ok()?;
    let line = text.lines().rfind(|line| line.starts_with("checksum "))?;
    u64::from_str_radix(line.strip_prefix("checksum ")?, 16).ok()
}

//! A session that runs headless: the hub that the test started, and the guest that the hub started.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use crate::{Finished, Running, World};

/// No test waits longer for something that is to become true.
const LIMIT: Duration = Duration::from_secs(120);

/// A process that is watched, whoever its parent is.
pub struct Watched(OwnedFd);

impl Watched {
    /// Watches the process with this number.
    pub fn new(number: u64) -> Self {
        let process = Pid::from_raw(number.try_into().unwrap()).unwrap();
        Self(pidfd_open(process, PidfdFlags::empty()).unwrap())
    }

    /// Kills it without notice.
    pub fn kill(&self) {
        pidfd_send_signal(&self.0, Signal::KILL).unwrap();
    }

    /// Waits for its end.
    pub fn wait_for_end(&self, what: &str) {
        let limit = Timespec { tv_sec: LIMIT.as_secs().try_into().unwrap(), tv_nsec: 0 };
        let count = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(count, 1, "{what} is still there after {LIMIT:?}");
    }
}

/// A headless session.
pub struct Guest<'world> {
    world: &'world World,
    /// The hub.
    pub hub: Running,
    /// The emulator.
    pub qemu: Watched,
    /// The session's name.
    pub name: String,
}

impl World {
    /// Starts a program headless and waits until the session answers.
    pub fn guest(&self, arguments: &[&str], input: Option<&Path>) -> Guest<'_> {
        let arguments: Vec<&str> = ["run", "--headless"].iter().chain(arguments).copied().collect();
        self.guest_of(self.start(&arguments, input))
    }

    /// Waits until the session of this hub answers.
    pub fn guest_of(&self, mut hub: Running) -> Guest<'_> {
        let number = u64::from(hub.id());
        let mut found = None;
        self.wait_until("the session is up", || {
            if hub.has_ended() {
                return true;
            }
            let sessions = self.json(&["sessions", "--json"]);
            found = sessions.as_array().unwrap().iter().find(|session| session["hub"] == number).cloned();
            found.is_some()
        });
        let Some(session) = found else { panic!("the hub has ended at once: {}", hub.finish()) };
        let name = session["name"].as_str().unwrap().to_owned();
        Guest { world: self, hub, qemu: Watched::new(session["guest"].as_u64().unwrap()), name }
    }

    /// Looks again and again until something is true.
    pub fn wait_until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_true() {
            assert!(Instant::now() < deadline, "it did not come about that {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes an executable shell script into this world; to be an editor, say. Its path.
    pub fn script(&self, name: &str, lines: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        let mut file = std::fs::File::create(&path).unwrap();
        write!(file, "#!/bin/sh\nset -e\n{lines}\n").unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Guest<'_> {
    /// Runs a verb on this session.
    pub fn flob(&self, arguments: &[&str]) -> Finished {
        self.world.flob(&self.with_name(arguments))
    }

    /// Runs a verb on this session and expects success; its output.
    pub fn flob_ok(&self, arguments: &[&str]) -> String {
        self.world.flob_ok(&self.with_name(arguments))
    }

    /// Runs a verb with `--json` on this session.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.flob_ok(arguments)).unwrap()
    }

    fn with_name<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        ["-s", &self.name].iter().chain(arguments).copied().collect()
    }

    /// Waits until the list of threads (`ps --json`) satisfies a condition; the list then.
    pub fn wait_for_threads(&self, what: &str, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut threads = Vec::new();
        self.world.wait_until(what, || {
            threads = self.json(&["ps", "--json"]).as_array().unwrap().clone();
            condition(&threads)
        });
        threads
    }

    /// Saves a checkpoint; its id.
    pub fn save(&self, arguments: &[&str]) -> String {
        let arguments: Vec<&str> = ["checkpoint", "save"].iter().chain(arguments).copied().collect();
        self.flob_ok(&arguments).trim().to_owned()
    }

    /// Bytes that have come from the guest so far.
    pub fn received(&self) -> u64 {
        let sessions = self.json(&["sessions", "--json"]);
        let mut sessions = sessions.as_array().unwrap().iter();
        let session = sessions.find(|session| session["name"] == self.name.as_str());
        session.unwrap()["received"].as_u64().unwrap()
    }

    /// Kills the hub like a power cut; the guest has to end with it.
    pub fn power_cut(self) -> Finished {
        let finished = self.hub.kill();
        self.qemu.wait_for_end("QEMU");
        finished
    }

    /// Waits for the program's end; the guest has to end with its hub.
    pub fn finish(self) -> Finished {
        let finished = self.hub.finish();
        self.qemu.wait_for_end("QEMU");
        finished
    }
}

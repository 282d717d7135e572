//! A `wordcount` under a debugger: what the tests of gdb and lldb share.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{Finished, Guest, Running, World, count, random_text};

/// A `wordcount` that is up.
pub struct Session<'world> {
    world: &'world World,
    /// The session.
    pub guest: Guest<'world>,
    text: Vec<u8>,
}

/// A `wordcount` that goes on for a while.
pub fn wordcount<'world>(world: &'world World, arguments: &[&str]) -> Session<'world> {
    let text = random_text(&mut fastrand::Rng::with_seed(7), 1_000_000);
    start(world, arguments, "100", text)
}

/// One whose workers have mostly nothing to do.
pub fn lazy_wordcount(world: &World) -> Session<'_> {
    let text = random_text(&mut fastrand::Rng::with_seed(8), 150_000);
    start(world, &[], "1000", text)
}

/// One that counts this text at this pace.
pub fn start<'world>(world: &'world World, arguments: &[&str], pace: &str, text: Vec<u8>) -> Session<'world> {
    let file = world.file("input", &text);
    let arguments = [arguments, &["wordcount", "--pace", pace]].concat();
    Session { world, guest: world.guest(&arguments, Some(&file)), text }
}

/// Debian's gdb with nothing of flob's, which carries out these commands, the first to attach to something.
pub fn plain_gdb(world: &World, attach: &str, commands: &[&str]) -> Running {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-q", "-batch", "-ex", "set pagination off", "-ex", "set width 0", "-ex", attach]);
    gdb.args(commands.iter().flat_map(|command| ["-ex", command]));
    world.environment(&mut gdb);
    Running::start(gdb, None)
}

/// A command of gdb's that waits until the test has made a file of this path.
pub fn wait_for_file(path: &Path) -> String {
    format!("python import os, time\nwhile not os.path.exists({path:?}): time.sleep(0.01)")
}

impl Session<'_> {
    /// A plain gdb that attaches to this target and carries out these commands.
    pub fn gdb(&self, target: &str, commands: &[&str]) -> Running {
        self.gdb_by("target remote", target, commands)
    }

    /// One that begins with this command, in front of the target.
    pub fn gdb_by(&self, command: &str, target: &str, commands: &[&str]) -> Running {
        plain_gdb(self.world, &format!("{command} {target}"), commands)
    }

    /// What `sessions` says of it.
    pub fn session(&self) -> Value {
        self.world.json(&["sessions", "--json"])[0].clone()
    }

    /// Where its gdb server is.
    pub fn socket(&self) -> String {
        self.session()["gdb_socket"].as_str().unwrap().to_owned()
    }

    /// A gdb over the socket, to its end; what it said.
    pub fn debug(&self, commands: &[&str]) -> String {
        let finished = self.gdb(&self.socket(), commands).finish();
        finished.stdout.clone() + &finished.stderr
    }

    /// The same in extended mode.
    pub fn debug_extended(&self, commands: &[&str]) -> String {
        let finished = self.gdb_by("target extended-remote", &self.socket(), commands).finish();
        finished.stdout.clone() + &finished.stderr
    }

    /// A gdb stops at `add_up` by this command, `break` or `hbreak`, stays while `meanwhile` happens, and stops there again: what
    /// it asked for has stayed.
    #[track_caller]
    pub fn stops_again_after(&self, command: &str, meanwhile: impl FnOnce()) {
        let stop = format!("{command} wordcount::work::add_up");
        let commands = [&*stop, "continue", "echo first is here\\n", "continue", "delete", "detach"];
        let first = self.gdb(&self.socket(), &commands);
        first.wait_for("first is here");
        meanwhile();
        let first = first.finish();
        assert_eq!(first.stdout.matches("hit Breakpoint 1, wordcount::work::add_up").count(), 2, "{first}");
    }

    /// The program comes to its end with the right result.
    #[track_caller]
    pub fn ends_well(self) {
        check_counts(&self.text, &self.guest.finish());
    }
}

#[track_caller]
fn check_counts(text: &[u8], finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished}");
    let expected = count(text);
    let totals = format!("lines: {}\nwords: {}\nbytes: {}\n", expected.lines, expected.words, expected.bytes);
    assert!(finished.stdout.starts_with(&totals), "not {totals:?} in {finished}");
}

/// All of these parts are in the text.
#[track_caller]
pub fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

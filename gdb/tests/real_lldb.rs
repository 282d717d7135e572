//! Debian's lldb against the server over a made-up guest.
#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "shared with the tests that start gdb")]
mod support;

use std::process::{Command, Stdio};

use support::{FakeGuest, Server};

fn lldb(guest: &FakeGuest, commands: &[&str]) -> String {
    let server = Server::start(guest);
    let mut command = Command::new("timeout");
    command.args(["60", "lldb", "--no-lldbinit", "--batch"]);
    let elf = guest.with(|machine| machine.elf.display().to_string());
    let connect = format!("process connect --plugin gdb-remote unix-connect://{}", server.socket.display());
    for line in [&format!("target create {elf}"), &connect]
        .into_iter()
        .map(String::as_str)
        .chain(commands.iter().copied())
    {
        command.args(["-o", line]);
    }
    let output = command.stdin(Stdio::null()).output().expect("lldb and timeout are needed");
    // What `timeout` says of a command that is not there.
    assert_ne!(output.status.code(), Some(127), "lldb is missing: ./flob test installs it");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}\npackets: {}", server.log.0.display());
    text
}

#[test]
fn lldb_connects_shows_threads_and_registers_steps_and_stops_at_breakpoints() {
    let guest = FakeGuest::new();
    let commands = [
        "thread list",
        "register read rip rsp xmm0",
        "si",
        "breakpoint set -l 7",
        "continue",
        "print counter",
        "detach",
    ];
    let text = lldb(&guest, &commands);
    for part in
        ["thread #3", "rsp = 0x000000007fff0000", "instruction step into", "breakpoint 1.1", "(int) $0 = 7"]
    {
        assert!(text.contains(part), "not found: {part}");
    }
    assert!(guest.with(|machine| machine.holds.is_empty()), "detaching lets everything go");
}

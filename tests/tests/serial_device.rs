//! A guest that runs elsewhere, behind a serial device: here an emulator that flob did not start, at the other end of a
//! pseudo-terminal that loses and garbles bytes, is unplugged and plugged in again.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::Write,
    process::{Child, ChildStdin, Command, Stdio},
};

use flob_tests::{
    Screen, World,
    debugged::{assert_has, plain_gdb},
};
use serde_json::Value;

/// The machine elsewhere, and the cable to it.
struct Elsewhere<'world> {
    world: &'world World,
    line: Child,
    orders: Option<ChildStdin>,
}

impl<'world> Elsewhere<'world> {
    /// Starts a program there; `quality` is that of the line.
    fn start(world: &'world World, quality: &str, program: &[&str]) -> Self {
        let folder = world.path("elsewhere");
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let folder_name = folder.to_str().unwrap().to_owned();
        world.flob_ok(&[&["boot-files", &folder_name], program].concat());
        let machine = "-accel tcg -M pc -cpu qemu64 -nodefaults -no-user-config -no-reboot -display none -m 256 -device \
                       isa-debug-exit,iobase=0xf4,iosize=0x04 -chardev stdio,id=link,signal=off -serial chardev:link";
        let mut line = Command::new(env!("CARGO_BIN_EXE_flob-line"));
        line.args(machine.split_whitespace())
            .args(["-kernel", &path("kernel"), "-initrd", &path("archive")])
            .args(["-append", &fs::read_to_string(path("command-line")).unwrap()])
            .args(["-debugcon", &format!("file:{}", path("console.log"))])
            .env("FLOB_LINE", quality)
            .env("FLOB_LINE_DEVICE", world.path("cable"))
            .stdin(Stdio::piped());
        let mut line = line.spawn().unwrap();
        world.wait_until("the cable is there", || world.path("cable").exists());
        let orders = line.stdin.take();
        Self { world, line, orders }
    }

    fn device(&self) -> String {
        self.world.path("cable").to_str().unwrap().to_owned()
    }

    fn order(&mut self, what: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{what}").unwrap();
    }

    /// The terminal interface on it, over the device.
    fn attach(&self, name: &str) -> Screen {
        self.attach_with(name, &[])
    }

    fn attach_with(&self, name: &str, options: &[&str]) -> Screen {
        let device = self.device();
        let arguments = [&["-s", name, "attach", "--serial", &device], options].concat();
        let screen = Screen::start(self.world, &arguments, 120, 40);
        screen.wait_for("space:");
        screen
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        // The emulator ends with it.
        self.line.kill().unwrap();
        self.line.wait().unwrap();
    }
}

fn session(world: &World) -> Value {
    world.json(&["sessions", "--json"])[0].clone()
}

fn leave_running(mut screen: Screen) {
    screen.keys("q");
    screen.wait_for("leave the session running");
    screen.keys("l");
    screen.wait_until_left();
    assert_eq!(screen.end(), 0);
}

/// The next session on it: of the one before no breakpoint is left.
fn met_again(elsewhere: &Elsewhere<'_>) -> Screen {
    let screen = elsewhere.attach("again");
    assert!(elsewhere.world.flob_ok(&["break"]).lines().count() <= 1, "breakpoints stayed");
    screen
}

fn comes_to_its_end(world: &World, screen: Screen) {
    world.wait_until("it has come to its end", || session(world)["exit"] == 0);
    leave_running(screen);
    world.flob_ok(&["stop"]);
}

fn gdb(world: &World, commands: &[&str]) -> String {
    let mut arguments = vec!["gdb", "--", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set width 0"];
    arguments.extend(commands.iter().flat_map(|command| ["-ex", command]));
    let finished = world.flob(&arguments);
    finished.stdout.clone() + &finished.stderr
}

#[test]
fn a_guest_elsewhere_is_met_debugged_saved_left_and_met_again() {
    let world = World::new();
    let quality = format!("lose=20000,flip=20000,seed={}", flob_tests::seed());
    let program = ["philosophers", "3", "--meals", "150"];
    let mut elsewhere = Elsewhere::start(&world, &quality, &program);
    // It runs, and nobody is there.
    let screen = elsewhere.attach("far");
    screen.wait_for("space:philosophers");
    let met = session(&world);
    assert_eq!(met["guest"], Value::Null, "{met}");
    assert_eq!(met["device"], elsewhere.device(), "{met}");
    assert_eq!(met["arguments"], serde_json::json!(["3", "--meals", "150"]), "{met}");

    world.flob_ok(&["pause"]);
    // Answers that were on their way still arrive.
    let tree = || world.flob_ok(&["tree", "--json"]);
    let mut last = tree();
    world.wait_until("what is held stands still", || std::mem::replace(&mut last, tree()) == last);
    let checkpoint = world.flob_ok(&["checkpoint", "save"]).trim().to_owned();
    world.flob_ok(&["checkpoint", "verify", &checkpoint]);
    world.flob_ok(&["resume"]);
    // Symbols of a bundled program are known.
    let said =
        gdb(&world, &["break philosophers::table::Fork::take", "continue", "backtrace 2", "stepi", "detach"]);
    assert_has(&said, &["hit Breakpoint 1", "\n#1 ", "philosophers::philosopher (number=", "detached"]);

    // Somebody trips over the cable.
    elsewhere.order("unplug");
    screen.wait_for("reconnecting");
    elsewhere.order("plug");
    screen.wait("that the link is back", |text| !text.lines().next().unwrap().contains("reconnecting"));
    world.flob_ok(&["pause"]);
    leave_running(screen);

    // The session ends; the guest stays as it is, but for what only a debugger puts there.
    world.flob_ok(&["resume"]);
    // Nobody comes by there: who stood at a breakpoint would be held by the user from now on.
    world.flob_ok(&["break", "philosophers::table::wait_until_all_have_their_left_fork"]);
    world.flob_ok(&["stop"]);
    let screen = met_again(&elsewhere);
    comes_to_its_end(&world, screen);
}

#[test]
fn what_stood_at_a_breakpoint_when_a_session_ended_is_held_in_the_next_one() {
    let world = World::new();
    let quality = format!("lose=20000,flip=20000,seed={}", flob_tests::seed());
    // However long it takes until somebody comes: it has not ended by then.
    let elsewhere = Elsewhere::start(&world, &quality, &["philosophers", "3", "--meals", "1000000"]);
    let screen = elsewhere.attach("far");
    let stands_at_it = || {
        world.flob_ok(&["break", "table.rs:37"]);
        world.wait_until("a philosopher stands at it", || session(&world)["state"] == "held");
    };
    stands_at_it();
    leave_running(screen);
    world.flob_ok(&["stop"]);
    let screen = met_again(&elsewhere);
    assert_eq!(session(&world)["holders"], serde_json::json!(["the user"]));
    world.flob_ok(&["resume"]);
    // They go on.
    stands_at_it();
    leave_running(screen);
    world.flob_ok(&["stop"]);
}

#[test]
fn the_programs_file_can_be_named_and_gdb_served_at_a_port() {
    let world = World::new();
    // The file of a program that is known to be bundled: kept by a session that ran it.
    let kept = {
        let guest = world.guest(&["--paused", "philosophers", "2", "--meals", "1"], None);
        let kept = session(&world)["elf"].as_str().unwrap().to_owned();
        guest.power_cut();
        kept
    };
    let own = world.file("own.elf", &fs::read(kept).unwrap());
    let program = own.to_str().unwrap().to_owned();
    let elsewhere = Elsewhere::start(&world, "", &[&program, "2", "--meals", "1000000"]);
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (port, nothing) = (free.to_string(), world.path("nothing"));
    let absent = ["-s", "far", "attach", "--serial", &elsewhere.device(), "--elf", nothing.to_str().unwrap()];
    let finished = world.flob(&absent);
    assert_eq!(finished.code, Some(121), "{finished}");
    let screen = elsewhere.attach_with("far", &["--elf", &program, "--gdb", &port]);
    assert_eq!(session(&world)["gdb_port"], free);
    // Debian's own, with nothing of flob's: symbols come by the connection.
    let target = format!("target remote :{free}");
    let commands = ["break philosophers::table::Fork::take", "continue", "backtrace 2", "detach"];
    let said = plain_gdb(&world, &target, &commands).finish().stdout;
    assert_has(&said, &["hit Breakpoint 1", "\n#1 ", "philosophers::philosopher (number=", "detached"]);
    leave_running(screen);
    world.flob_ok(&["stop"]);
}

#[test]
fn another_guest_at_the_same_cable_is_found_out() {
    let world = World::new();
    let mut elsewhere = Elsewhere::start(&world, "", &["philosophers", "2", "--meals", "1000000"]);
    let screen = elsewhere.attach("far");
    world.flob_ok(&["pause"]);
    world.flob_ok(&["break", "table.rs:37"]);
    elsewhere.order("reset");
    screen.wait_for("another guest answers");
    // Nobody holds the new one, and nothing of what was asked of the old one is in it.
    assert_eq!(session(&world)["state"], "running");
    assert!(world.flob_ok(&["break"]).lines().count() <= 1);
    world.flob_ok(&["pause"]);
    assert_eq!(session(&world)["state"], "held");
    // The user's hold outlasts the session.
    leave_running(screen);
    world.flob_ok(&["stop"]);
    let screen = elsewhere.attach("again");
    assert_eq!(session(&world)["state"], "held");
    leave_running(screen);
    world.flob_ok(&["stop"]);
}

/// It waited for them, and nobody said so; a checkpoint of it had zeroes in their place.
#[test]
fn pages_of_a_lazy_restore_whose_session_has_gone_are_told_as_missing() {
    let world = World::new();
    let program = ["scribble", "4", "--every", "1", "--rounds", "1000000000"];
    let here = world.guest(&program, None);
    here.hub.wait_for("ready\n");
    let id = here.save(&[]);
    here.power_cut();
    let elsewhere = Elsewhere::start(&world, "", &program);
    let screen = elsewhere.attach("far");
    world.flob_ok(&["checkpoint", "restore", &id, "--lazy"]);
    leave_running(screen);
    world.flob_ok(&["stop"]);

    let screen = elsewhere.attach("again");
    screen.wait_for("pages of its memory are missing");
    world.wait_until("it is told to all", || !session(&world)["lost"].is_null());
    let refused = world.flob(&["checkpoint", "save"]);
    assert!(refused.stderr.contains("nobody brings its pages any more"), "{refused}");
    // Now it is known where they come from.
    world.flob_ok(&["checkpoint", "restore", &id, "--lazy"]);
    assert_eq!(session(&world)["lost"], Value::Null);
    leave_running(screen);
    world.flob_ok(&["stop"]);
}

#[test]
fn a_device_that_cannot_be_used_says_why() {
    let world = World::new();
    let attach = |device: &str| world.flob(&["-s", "far", "attach", "--serial", device]);
    let text = world.file("text", b"no terminal");
    let elsewhere = Elsewhere::start(&world, "", &["philosophers", "2", "--meals", "1000000"]);
    let gone = world.path("nothing");
    for (device, code, said) in [
        (gone.to_str().unwrap(), 121, "is the device plugged in?"),
        (text.to_str().unwrap(), 122, "is no serial device"),
        ("/dev/null", 122, "is no serial device"),
        (&format!("{},fast", elsewhere.device()), 120, "bits a second"),
    ] {
        let finished = attach(device);
        assert_eq!(finished.code, Some(code), "{device}: {finished}");
        assert!(finished.stderr.contains(said), "{device}: {finished}");
    }
    let screen = elsewhere.attach("first");
    let finished = attach(&elsewhere.device());
    assert_eq!(finished.code, Some(123), "{finished}");
    assert!(finished.stderr.contains("in use by another program"), "{finished}");
    leave_running(screen);
    world.flob_ok(&["-s", "first", "stop"]);
}

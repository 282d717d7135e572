//! What a defect of the kernel leaves behind: the record that `docs/kernel/panic-record.md` describes, on the console and in
//! memory.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io::{PipeWriter, Write};
use std::process::{Command, Stdio};

use flob_abi::Call;
use flob_tests::{Finished, Running, World};

/// What the emulator ends with after a panic.
const PANICKED: i32 = 255;
/// Bytes of a record, and where the parts are that are looked at here.
const SIZE: usize = 1200;
const CALLS: usize = 368;
const CALL_SIZE: usize = 32;
const STACK: usize = 624;
const MESSAGE: usize = 816;
const LOCATION: usize = 1072;
/// Names of general registers in their order in memory.
const REGISTERS: [&str; 20] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags", "fs_base", "gs_base",
];

/// The emulator with a kernel that has a defect.
struct Emulator {
    running: Running,
    monitor: PipeWriter,
}

impl Emulator {
    /// Starts it; without the exit device the kernel halts after the panic and its memory can be looked at.
    fn start(world: &World, defect: &str, exit_device: bool) -> Self {
        let folder = world.path("boot");
        std::fs::create_dir(&folder).unwrap();
        world.flob_ok(&["boot-files", folder.to_str().unwrap(), "philosophers"]);
        let words = std::fs::read_to_string(folder.join("command-line")).unwrap();
        let mut command = Command::new("qemu-system-x86_64");
        command
            .current_dir(&folder)
            .args("-accel tcg -M pc -m 128 -nodefaults -no-reboot -display none -serial null".split(' '))
            .args("-kernel kernel -initrd archive -debugcon file:console -monitor stdio".split(' '))
            .args(["-append", &format!("kernel.defect={defect} {words}")]);
        if exit_device {
            command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        }
        let (commands, monitor) = std::io::pipe().unwrap();
        Self { running: Running::start_with(command, Stdio::from(commands)), monitor }
    }

    fn command(&mut self, text: &str) {
        writeln!(self.monitor, "{text}").unwrap();
    }

    fn finish(self) -> Finished {
        self.running.finish()
    }
}

/// The record as the console has it.
struct Record {
    /// Lines by their names; what stands indented below one belongs to it.
    lines: BTreeMap<String, Vec<String>>,
}

impl Record {
    /// The one record of a console.
    fn of(console: &str) -> Self {
        let (_, rest) =
            console.split_once("=== kernel panic ===\n").unwrap_or_else(|| panic!("none in {console}"));
        let (record, _) =
            rest.split_once("=== end of record ===\n").unwrap_or_else(|| panic!("no end: {rest}"));
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut last = String::new();
        for line in record.lines() {
            if let Some(below) = line.strip_prefix("  ") {
                lines.get_mut(&last).unwrap().push(below.to_owned());
            } else {
                let (name, text) = line.split_once(':').unwrap_or_else(|| panic!("{line:?} has no name"));
                last = name.to_owned();
                let twice = lines.insert(last.clone(), vec![text.trim().to_owned()]);
                assert!(twice.is_none(), "{name} twice: {record}");
            }
        }
        Self { lines }
    }

    fn line(&self, name: &str) -> &[String] {
        self.lines.get(name).unwrap_or_else(|| panic!("no line {name:?} in {:?}", self.lines))
    }

    fn text(&self, name: &str) -> &str {
        &self.line(name)[0]
    }

    /// The values of a line and those below it.
    fn values(&self, name: &str) -> BTreeMap<String, u64> {
        self.line(name).iter().flat_map(|line| values(line)).collect()
    }

    fn calls(&self) -> Vec<BTreeMap<String, u64>> {
        self.line("calls").iter().skip(1).map(|line| values(line).collect()).collect()
    }

    fn stack(&self) -> Vec<u64> {
        self.line("stack").iter().skip(1).map(|word| number(word)).collect()
    }
}

/// The `name=value` words of a line.
fn values(line: &str) -> impl Iterator<Item = (String, u64)> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), number(value)))
}

fn number(text: &str) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// What any record says of a kernel that fails when a program first waits for an interrupt.
fn check_thread_and_calls(record: &Record) {
    let thread = record.values("thread");
    let names: Vec<_> = thread.keys().map(String::as_str).collect();
    let mut expected = REGISTERS;
    expected.sort_unstable();
    assert_eq!(names, expected);
    let calls = record.calls();
    assert_eq!(calls.len(), 8, "{calls:?}");
    assert!(record.line("calls")[1].ends_with(Call::InterruptWait.name()), "{:?}", record.line("calls"));
    let newest = &calls[0];
    assert_eq!(newest["number"], Call::InterruptWait as u64);
    assert_eq!(thread["rax"], newest["number"]);
    assert_eq!((thread["rip"], thread["rdi"]), (newest["rip"], newest["rdi"]));
    assert_eq!(number(record.text("context")), newest["context"]);
    assert_eq!(record.text("stack"), "return addresses");
    // No more than the way back to the stub: what a call does last it has left before.
    assert!(!record.stack().is_empty());
}

#[test]
fn a_panic_prints_its_record_and_ends_the_emulator_with_its_status() {
    let world = World::new();
    let finished = Emulator::start(&world, "panic", true).finish();
    let console = std::fs::read_to_string(world.path("boot/console")).unwrap();
    assert_eq!(finished.code, Some(PANICKED), "{finished}\n{console}");
    let record = Record::of(&console);
    assert_eq!(record.text("message"), "a defect that was asked for");
    assert!(record.text("at").contains("defect.rs:"), "{}", record.text("at"));
    assert!(record.text("record").starts_with(&format!("version 1, {SIZE} bytes at physical 0x")));
    assert!(record.values("kernel")["rsp"] > 1 << 63);
    check_thread_and_calls(&record);
}

#[test]
fn a_fault_in_the_kernel_leaves_the_same_record_in_memory_as_on_the_console() {
    let world = World::new();
    let mut emulator = Emulator::start(&world, "fault", false);
    let mut console = String::new();
    world.wait_until("the record is on the console", || {
        console = std::fs::read_to_string(world.path("boot/console")).unwrap_or_default();
        console.contains("=== end of record ===\n")
    });
    let record = Record::of(&console);
    let physical = number(record.text("record").rsplit(' ').next().unwrap());
    emulator.command(&format!("pmemsave {physical} {SIZE} memory"));
    emulator.command("quit");
    assert_eq!(emulator.finish().code, Some(0));
    let memory = std::fs::read(world.path("boot/memory")).unwrap();
    assert_eq!(memory.len(), SIZE);

    assert_eq!(record.text("message"), "page fault in the kernel");
    let exception = record.values("exception");
    assert_eq!(exception["address"], 0xffff_ffff_ffff_f000);
    let kernel = record.values("kernel");
    assert_eq!(number(record.text("at")), kernel["rip"]);
    check_thread_and_calls(&record);

    let word = |offset: usize| u64::from_le_bytes(memory[offset..offset + 8].try_into().unwrap());
    let text = |offset: usize, len: usize| {
        String::from_utf8(memory[offset..offset + len].split(|byte| *byte == 0).next().unwrap().to_vec())
            .unwrap()
    };
    assert_eq!(&memory[..8], b"FLOBPANC");
    assert_eq!(word(8), 1 | (SIZE as u64) << 32);
    assert_eq!([word(16), word(24), word(32)], ["vector", "error", "address"].map(|name| exception[name]));
    for (at, registers) in [(40, kernel), (208, record.values("thread"))] {
        let stored: Vec<u64> = (0..REGISTERS.len()).map(|index| word(at + 8 * index)).collect();
        assert_eq!(stored, REGISTERS.map(|name| registers[name]), "{registers:?}");
    }
    assert_eq!(word(200), number(record.text("context")));
    for (at, call) in (CALLS..).step_by(CALL_SIZE).zip(record.calls()) {
        let stored = [0, 8, 16, 24].map(|offset| word(at + offset));
        assert_eq!(stored, ["number", "rip", "rdi", "context"].map(|name| call[name]));
    }
    let stack: Vec<u64> = (STACK..MESSAGE).step_by(8).map(word).take_while(|word| *word != 0).collect();
    assert_eq!(stack, record.stack());
    assert_eq!(text(MESSAGE, LOCATION - MESSAGE), record.text("message"));
    assert_eq!(text(LOCATION, SIZE - LOCATION), record.text("at"));
}

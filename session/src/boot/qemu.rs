//! The emulator's process. The line to its guest is its standard input and output, one socket; it ends with the hub, however
//! that ends.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::net::sockopt::set_socket_send_buffer_size;

use super::{Software, archive};
use crate::Error;

/// The emulator that is looked for in `PATH`.
pub const EMULATOR: &str = "qemu-system-x86_64";
/// Room for what is on its way: the longest message and what goes before it.
const SEND_ROOM: usize = 2 << 20;
/// Names another.
pub const VARIABLE: &str = "FLOB_QEMU";

/// How this very program is started as the guest's process: a process can only ask for its own death at its parent's, so the
/// emulator is started by [`become_guest`].
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before those that [`become_guest`] takes.
    pub arguments: Vec<OsString>,
}

/// A guest to be started.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What runs in it.
    pub software: &'a Software,
    /// See [`super::arguments`].
    pub command_line: &'a str,
    /// Main memory in MiB.
    pub memory: u32,
    /// What carries the line.
    pub link: LinkDevice,
    /// An instruction is a nanosecond: runs can be compared, and are slow.
    pub counted: bool,
    /// Folder for its files and logs.
    pub folder: &'a Path,
}

/// The guest's end of the line to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkDevice {
    /// A port of a virtio serial device: fast, and no byte is ever lost.
    #[default]
    Virtio,
    /// A 16550, as real machines have it.
    Serial,
}

impl LinkDevice {
    /// The emulator's options for it. The guest takes what it finds: the virtio port before the 16550. A legacy virtio
    /// device is all I/O ports: no uncached memory has to be mapped for it. Without `ioeventfd` a message leaves in the thread that
    /// runs the guest, and wakes no other one first.
    const fn options(self) -> &'static str {
        match self {
            Self::Virtio => {
                "-serial none -device virtio-serial-pci,disable-modern=on,disable-legacy=off,max_ports=2,vectors=0,ioeventfd=off \
                 -device virtserialport,chardev=link,name=flob,nr=1"
            }
            Self::Serial => "-serial chardev:link",
        }
    }
}

/// The guest's process.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    /// The line.
    pub line: UnixStream,
}

/// Where the kernel's early console goes.
pub fn console_log(folder: &Path) -> PathBuf {
    folder.join("console.log")
}

/// Where the emulator's own complaints go.
pub fn emulator_log(folder: &Path) -> PathBuf {
    folder.join("qemu.log")
}

/// Finds the emulator, or says how to get it.
pub fn find() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(missing(&format!("{VARIABLE}={}", path.display())))
        };
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&folders).map(|folder| folder.join(EMULATOR));
    candidates.find(|path| path.is_file()).ok_or_else(|| missing(EMULATOR))
}

fn missing(what: &str) -> Error {
    Error::Environment(format!(
        "{what} was not found: install QEMU (Debian: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core; \
         Arch: pacman -S qemu-system-x86)"
    ))
}

impl Guest {
    /// Starts a machine. To be called on a thread that lives as long as the guest shall: the guest ends with it.
    pub fn start(machine: Machine<'_>, launcher: &Launcher) -> Result<Self, Error> {
        let emulator = find()?;
        let kernel = write(machine.folder, "kernel", &machine.software.kernel)?;
        let archive = write(machine.folder, "archive", &archive::build(&machine.software.programs)?)?;
        let io = |error| Error::io("starting the guest", error);
        let (line, theirs) = UnixStream::pair().map_err(io)?;
        for end in [&line, &theirs] {
            // With less room than a message has it goes in pieces, each with a change of threads: slower, but not wrong.
            let _ = set_socket_send_buffer_size(end, SEND_ROOM);
        }
        let theirs_too = theirs.try_clone().map_err(io)?;
        let log = File::create(emulator_log(machine.folder)).map_err(io)?;
        let child = Command::new(&launcher.program)
            .args(&launcher.arguments)
            .arg(std::process::id().to_string())
            .arg(emulator)
            .args(machine.arguments(&kernel, &archive))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(theirs_too)))
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(io)?;
        Ok(Self { child, line })
    }

    /// Its process number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, if it has not ended, and waits for that.
    pub fn end(&mut self) -> Option<ExitStatus> {
        // Fails only if it has ended by itself.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

impl Machine<'_> {
    fn arguments(&self, kernel: &Path, archive: &Path) -> Vec<OsString> {
        let words = "-accel tcg -M pc -cpu qemu64 -nodefaults -no-user-config -no-reboot -display none \
                     -chardev stdio,id=link,signal=off -device isa-debug-exit,iobase=0xf4,iosize=0x04";
        let words = words.split_whitespace().chain(self.link.options().split_whitespace());
        let mut arguments: Vec<OsString> = words.map(OsString::from).collect();
        let console = console_log(self.folder);
        let pairs: [(&str, OsString); 5] = [
            ("-m", self.memory.to_string().into()),
            ("-kernel", kernel.into()),
            ("-initrd", archive.into()),
            ("-append", self.command_line.into()),
            ("-debugcon", prefixed("file:", &console)),
        ];
        if self.counted {
            arguments.extend(["-icount".into(), "shift=0".into()]);
        }
        for (option, value) in pairs {
            arguments.push(option.into());
            arguments.push(value);
        }
        arguments
    }
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

fn write(folder: &Path, name: &str, contents: &[u8]) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    fs::write(&path, contents).map_err(|error| Error::io(format!("writing {}", path.display()), error))?;
    Ok(path)
}

/// Removes what only the start of the machine needed.
pub fn remove_boot_files(folder: &Path) {
    for name in ["kernel", "archive"] {
        // If it stays, it costs space and nothing else.
        let _ = fs::remove_file(folder.join(name));
    }
}

/// Turns this process into the guest's: it is killed when its parent ends, even by SIGKILL. `arguments` are the parent's
/// process number, the emulator, and the emulator's arguments. Returns only on an error.
pub fn become_guest(arguments: &[OsString]) -> Error {
    let [parent, emulator, rest @ ..] = arguments else {
        return Error::Usage("for flob's own use only".into());
    };
    let signal = Some(rustix::process::Signal::KILL);
    if let Err(error) = rustix::process::set_parent_process_death_signal(signal) {
        return Error::io("tying the guest to its hub", error.into());
    }
    let present = rustix::process::getppid().map(|process| process.as_raw_nonzero().to_string());
    if present.as_deref() != parent.to_str() {
        return Error::Guest("the hub has ended already".into());
    }
    Error::io(format!("starting {}", emulator.display()), Command::new(emulator).args(rest).exec())
}

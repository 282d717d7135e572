//! A machine that counts instructions: the emulator with `-icount shift=0`, the kernel, and one first program. What it says on
//! the early console is what it has measured.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

use flob_session::{
    Error,
    boot::{Software, archive, qemu},
};

/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// The exit device's status for 0.
const WELL: i32 = 1;

/// Starts the machine with these words for the first program and returns what it has said when it has ended.
pub fn run(software: &Software, memory: u32, words: &str) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let mut command = command(software, memory, words, &folder)?;
    let child = command.spawn().map_err(|error| Error::io("starting the emulator", error))?;
    let (said, complaints, code) = watch(child)?;
    if code != Some(WELL) || !said.ends_with("end\n") {
        return Err(Error::Guest(format!("the measuring program has failed; it said: {said}{complaints}")));
    }
    Ok(said)
}

/// The emulator's command line; boot files go into the folder.
pub fn command(software: &Software, memory: u32, words: &str, folder: &TempDir) -> Result<Command, Error> {
    let options = "-accel tcg -icount shift=0 -M pc -cpu qemu64 -nodefaults -no-user-config -no-reboot -display none \
                   -device isa-debug-exit,iobase=0xf4,iosize=0x04 -serial null -debugcon stdio";
    let mut command = emulator(software, words, folder)?;
    command.args(options.split_whitespace()).args(["-m", &memory.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// An emulator that boots this, with these words for the first program, and has no machine yet; boot files go into the folder.
pub fn emulator(software: &Software, words: &str, folder: &TempDir) -> Result<Command, Error> {
    let file = |name: &str, contents: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).map(|()| path).map_err(|error| Error::io("writing boot files", error))
    };
    let kernel = file("kernel", &software.kernel)?;
    let archive = file("archive", &archive::build(&software.programs)?)?;
    let mut command = Command::new(qemu::find()?);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(archive).args(["-append", words]);
    Ok(command)
}

/// Reads all that it says; ends it if it does not end.
fn watch(mut child: Child) -> Result<(String, String, Option<i32>), Error> {
    let io = |error| Error::io("reading from the emulator", error);
    let (sender, end) = mpsc::channel();
    let (output, complaints) = (child.stdout.take(), child.stderr.take());
    std::thread::spawn(move || {
        // Nobody listens after the time is up.
        let _ = sender.send(everything(output).and_then(|said| Ok((said, everything(complaints)?))));
    });
    let said = end.recv_timeout(PATIENCE);
    if said.is_err() {
        // It may have ended just now.
        let _ = child.kill();
    }
    let code = child.wait().map_err(io)?.code();
    let (said, complaints) = said
        .map_err(|_| Error::Guest(format!("the measuring program has not ended within {PATIENCE:?}")))?
        .map_err(io)?;
    Ok((said, complaints, code))
}

fn everything(from: Option<impl Read>) -> std::io::Result<String> {
    let mut all = String::new();
    from.map_or(Ok(0), |mut from| from.read_to_string(&mut all)).map(|_| all)
}

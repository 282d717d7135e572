//! `flob run`: a guest with a program, in this process (`--headless`) or in a hub of its own with the terminal interface on it.

use std::{ffi::OsString, io::IsTerminal};

use clap::{Args, ValueEnum};
use flob_image::{Environment, store::Store};
use flob_link::host::Timing;
use flob_session::{
    Claim, Error,
    boot::{Launcher, LinkDevice, arguments},
    hub::{Config, Emulated, Ending, GuestPlan, Session, Standard},
    sessions, symbols,
};

use super::{
    attach, black_box, gdb_server,
    hub::{self, Plan},
    under::{CHECKPOINTER, Under},
};
use crate::{
    cli::Context,
    guest::{self, Program},
};

/// Arguments of `run`, and of the hub that it starts.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// No terminal interface: the session lives in this process and ends with the program
    #[arg(long)]
    pub headless: bool,
    /// Hold the program before its first instruction
    #[arg(long)]
    pub paused: bool,
    /// Serve gdb on this TCP port too, on the loopback interface
    #[arg(long, value_name = "PORT")]
    pub gdb: Option<u16>,
    /// Begin with this checkpoint (id, beginning of one, or name)
    #[arg(long, value_name = "ID")]
    pub restore: Option<String>,
    /// Restore even what is odd; unknown links to the outside become null
    #[arg(long, requires = "restore")]
    pub force: bool,
    /// Run before the checkpoint's memory is there: it comes when it is needed, and by and by
    #[arg(long, requires = "restore")]
    pub lazy: bool,
    /// Main memory of the guest in MiB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(128..=3072))]
    pub memory: u32,
    /// The device that carries the line to the guest
    #[arg(long, value_name = "DEVICE", default_value = "virtio")]
    pub link: Link,
    /// Make an instruction of the guest a nanosecond of its time, for measurements
    #[arg(long, hide = true)]
    pub counted: bool,
    #[command(flatten)]
    under: Under,
    #[command(flatten)]
    disturb: Disturb,
    /// A bundled program's name, or the path of an ELF
    #[arg(required_unless_present = "restore")]
    pub program: Option<String>,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// What carries the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Link {
    /// A virtio serial port
    Virtio,
    /// A 16550, as real machines have it: slow
    Serial,
}

impl Link {
    const fn device(self) -> LinkDevice {
        match self {
            Self::Virtio => LinkDevice::Virtio,
            Self::Serial => LinkDevice::Serial,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Serial => "serial",
        }
    }
}

/// Disturbances that no program can notice: for tests of flob itself.
#[derive(Args, Clone, Debug)]
struct Disturb {
    /// Take threads, the whole environment, or a thread at every kernel entry, out of the kernel and put them back
    #[arg(long, hide = true, value_name = "SIZE")]
    torture: Option<Torture>,
    /// Make the kernel forget what is derived at about every Nth entry
    #[arg(long, hide = true, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    amnesia: Option<u64>,
    /// Of the random choices of these
    #[arg(long, hide = true, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Torture {
    Small,
    Large,
    Entries,
}

impl Torture {
    const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Entries => "entries",
        }
    }
}

impl Disturb {
    fn disturbance(&self) -> arguments::Disturbance {
        let torture = self.torture.map(|torture| match torture {
            Torture::Small => arguments::Torture::Small,
            Torture::Large => arguments::Torture::Large,
            Torture::Entries => arguments::Torture::Entries,
        });
        arguments::Disturbance { seed: self.seed, torture, amnesia: self.amnesia }
    }
}

impl Run {
    /// Runs the program.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        if self.headless { self.run_here(context) } else { self.run_apart(context, false) }
    }

    fn run_here(&self, context: &Context) -> Result<u8, Error> {
        let standard = Standard { input: true, output: true };
        let (config, servers) = self.prepare(context.session.as_deref(), standard)?;
        let session = Session::start(config)?;
        servers.serve(&session.door())?;
        loop {
            match session.wait() {
                Ending::Exited(code) => return Ok(exit_code(code)),
                Ending::Shutdown => return Ok(0),
                Ending::Failed(error) | Ending::PagesLost(error) => return Err(error),
                Ending::Moved(to) => {
                    eprintln!("flob: the program goes on in session '{to}'");
                    return Ok(0);
                }
                Ending::StandsStill => black_box::keep_the_stuck(&session),
                Ending::Died { code, sentence } => {
                    eprintln!("flob: {sentence}");
                    black_box::keep_the_dead(&session);
                    return Ok(128_u8.saturating_add(u8::try_from(code).unwrap_or(u8::MAX)));
                }
            }
        }
    }

    /// In a hub of its own, with the terminal interface on it, and a coach if there is to be one.
    pub fn run_apart(self, context: &Context, coach: bool) -> Result<u8, Error> {
        let name = hub::name(&self, context)?;
        // What can be told without a guest is told before the screen is taken.
        self.find_program(&Store::open_default()?)?;
        flob_session::boot::qemu::find()?;
        let manner = attach::Manner { typed: !redirected().input, coach, script: None };
        attach::open(name.clone(), manner, move || hub::start(&self, &name))
    }

    fn find_program(&self, store: &Store) -> Result<Found, Error> {
        let (above, mut stack) = self.under.around_the_debugger()?;
        match (&self.restore, &self.program) {
            (Some(_), _) if !stack.is_empty() => Err(Error::Usage(
                "a checkpoint brings what ran below the debugger with it: to put a nester above, say \
                 '--under checkpointer --under debugger-nester'"
                    .into(),
            )),
            (Some(id), _) => {
                let checkpoint = store.load(id)?;
                let environment = checkpoint.environment();
                let arguments = environment.arguments.iter().skip(1).cloned();
                stack.push(environment.program.clone());
                stack.extend(arguments);
                let label = environment.program.clone();
                Ok(Found { program: kept(environment, store), label, stack, above })
            }
            (None, Some(program)) => {
                let program = guest::find(program)?;
                let label = program.name.clone();
                stack.push(label.clone());
                stack.extend(self.arguments.iter().cloned());
                Ok(Found { program: Some(program), label, stack, above })
            }
            (None, None) => Err(Error::Usage("which program?".into())),
        }
    }
}

impl Plan for Run {
    const VERB: &str = "hub";

    fn label(&self) -> String {
        let program = self.program.as_deref().or(self.restore.as_deref()).unwrap_or_default();
        program.rsplit('/').next().unwrap_or_default().to_owned()
    }

    fn prepare(
        &self,
        name: Option<&str>,
        standard: Standard,
    ) -> Result<(Config, gdb_server::Servers), Error> {
        let store = Store::open_default()?;
        let Found { program, label, stack, above } = self.find_program(&store)?;
        // Whoever is named on the way, in a checkpoint's arguments too: nesters load their children by name.
        let debugger = above.last().map(|_| guest::DEBUGGER);
        let words = above.iter().chain(&stack).map(String::as_str).chain(debugger);
        let named: Vec<_> = words.filter_map(guest::carried).collect();
        let name = match name {
            Some(name) => name.to_owned(),
            None => sessions::free_name(&label)?,
        };
        flob_session::boot::qemu::find()?;
        let claim = Claim::take(&name)?;
        let servers = gdb_server::Servers::bind(&claim, self.gdb, self.paused)?;
        // A checkpoint's symbols are found by its build id; below a nester the debugger's program is that nester.
        let nester = stack.first().filter(|name| *name == CHECKPOINTER).and_then(|name| guest::carried(name));
        let given = nester.as_ref().or(program.as_ref()).filter(|_| self.restore.is_none());
        let elf = given.map(|program| file_of(program, &store)).transpose()?.flatten();
        let config = Config {
            claim,
            program: stack.first().cloned().unwrap_or_default(),
            arguments: stack.iter().skip(1).cloned().collect(),
            elf,
            guest: GuestPlan::Emulated(Box::new(Emulated {
                software: guest::software(program.iter().chain(&named)),
                above,
                memory: self.memory,
                link: self.link.device(),
                counted: self.counted,
                launcher: launcher()?,
                disturbance: self.disturb.disturbance(),
            })),
            paused: self.paused,
            restore: self.restore.clone(),
            force: self.force,
            lazy: self.lazy,
            store,
            standard,
            timing: Timing::default(),
            gdb_socket: Some(servers.socket().to_owned()),
            gdb_port: self.gdb,
        };
        Ok((config, servers))
    }

    fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.push(name.into());
                arguments.push(value.into());
            }
        };
        option("--gdb", self.gdb.map(|port| port.to_string()));
        option("--restore", self.restore.clone());
        option("--memory", Some(self.memory.to_string()));
        option("--link", Some(self.link.name().to_owned()));
        option("--seed", Some(self.disturb.seed.to_string()));
        option("--amnesia", self.disturb.amnesia.map(|every| every.to_string()));
        option("--torture", self.disturb.torture.map(|torture| torture.name().to_owned()));
        for (name, wanted) in [
            ("--paused", self.paused),
            ("--force", self.force),
            ("--lazy", self.lazy),
            ("--counted", self.counted),
        ] {
            if wanted {
                arguments.push(name.into());
            }
        }
        for (name, value) in self.under.to_arguments() {
            arguments.push(name.into());
            arguments.push(value.into());
        }
        if let Some(program) = &self.program {
            arguments.push("--".into());
            arguments.push(program.into());
            arguments.extend(self.arguments.iter().map(OsString::from));
        }
        arguments
    }
}

/// What is to be run.
struct Found {
    /// The program's file.
    program: Option<Program>,
    /// What the session is called after.
    label: String,
    /// What the debugger runs: nesters below it, the program, its arguments.
    stack: Vec<String>,
    /// Nesters above the debugger's.
    above: Vec<String>,
}

/// A process's exit code has eight bits.
pub fn exit_code(code: i32) -> u8 {
    (code & 0xff) as u8
}

/// The file of a checkpoint's program, as far as it was kept: a nester may load it once more, for a child.
fn kept(environment: &Environment, store: &Store) -> Option<Program> {
    let elf = store.get_program(&environment.build_id).ok().flatten()?;
    Some(Program { name: environment.program.clone(), elf, file: None })
}

/// Where symbols come from: the program's file, or for a bundled one the store's copy.
fn file_of(program: &Program, store: &Store) -> Result<Option<std::path::PathBuf>, Error> {
    if program.file.is_some() {
        return Ok(program.file.clone());
    }
    let id = symbols::build_id(&program.elf);
    store.put_program(&id, &program.elf)?;
    Ok(store.program_file(&id)?)
}

fn launcher() -> Result<Launcher, Error> {
    let program = std::env::current_exe().map_err(|error| Error::io("finding flob's own program", error))?;
    Ok(Launcher { program, arguments: vec!["guest-process".into(), "--".into()] })
}

/// Which standard streams are the program's: those that are not the terminal.
pub fn redirected() -> Standard {
    Standard { input: !std::io::stdin().is_terminal(), output: !std::io::stdout().is_terminal() }
}

//! The command line: one table of verbs. What a verb takes and does stands in its own file.

pub mod complete;
pub mod print;
pub mod source;
mod store;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use flob_session::Error;

use crate::verbs;

const EXIT_CODES: &str = "\
Exit codes: the program's own passes unchanged; 128 + kind when an exception ended it (1 page fault, 2 misuse of a call,
3 divide error, 6 invalid instruction, 7 general protection …). Of flob itself:
  120  wrong arguments
  121  no such program, session, checkpoint, thread or flob
  122  bad input: no ELF, a damaged checkpoint, a text that does not parse
  123  this machine: QEMU or gdb missing, a port in use
  124  the guest does not answer or has died
  125  refused by the guest
  126  input or output failed
  127  a defect of flob

Environment: FLOB_SESSION (default of -s), FLOB_STORE (where checkpoints are: a folder, or s3://BUCKET/PREFIX with
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL …), FLOB_QEMU (the emulator), EDITOR, XDG_RUNTIME_DIR,
XDG_DATA_HOME, XDG_CACHE_HOME, NO_COLOR. The terminal interface's keys and looks: flob/config.toml in XDG_CONFIG_HOME
(~/.config); 'flob config' prints one to begin with, 'flob doctor' says whether yours is right.";

/// Run programs on the Flob kernel; see, stop, edit, save and restore everything about them.
#[derive(Debug, Parser)]
#[command(name = "flob", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// The session that is meant, by name; needed only where several run.
    #[arg(short, long, global = true, value_name = "NAME", add = complete::sessions())]
    session: Option<String>,
    /// Where checkpoints are, instead of FLOB_STORE: a folder, or s3://BUCKET/PREFIX.
    #[arg(long, global = true, value_name = "PLACE")]
    store: Option<OsString>,
    #[command(subcommand)]
    verb: Verb,
}

/// What all verbs are given.
#[derive(Clone, Debug)]
pub struct Context {
    /// The session that was named.
    pub session: Option<String>,
}

macro_rules! verbs {
    ($($(#[$attribute:meta])* $name:ident: $arguments:path;)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb { $($(#[$attribute])* $name($arguments),)* }

        impl Verb {
            fn run(self, context: &Context) -> Result<u8, Error> {
                match self { $(Self::$name(verb) => verb.run(context),)* }
            }
        }
    };
}

verbs! {
    /// Start a program in a guest under the debugger, and open the terminal interface
    Run: verbs::run::Run;
    /// Meet flob: a deadlock, and a coach that says which key is next
    Demo: verbs::demo::Demo;
    /// Open the terminal interface on a running session, a checkpoint, or a guest behind a serial device
    Attach: verbs::attach::Attach;
    /// List the running sessions
    Sessions: verbs::sessions::Sessions;
    /// List threads: what each does, where, and what it waits for
    Ps: verbs::ps::Ps;
    /// Show what the program asks of its parent and of the kernel, and what came of it
    Trace: verbs::trace::Trace;
    /// Stop threads at a place in the code, at an access to memory or before a kernel call; list and change that
    Break: verbs::breakpoints::Break;
    /// Show the tree of spaces, threads and all other flobs
    Tree: verbs::tree::Tree;
    /// Show one flob: every field and link
    Show: verbs::show::Show;
    /// Say in one sentence why a thread does not run
    Why: verbs::why::Why;
    /// Show who waits for whom; all flobs and links with --dot or --svg
    Graph: verbs::graph::Graph;
    /// Hold the program, or one space or thread of it
    Pause: verbs::hold::Pause;
    /// Let go what was paused
    Resume: verbs::hold::Resume;
    /// Let a held thread do single instructions
    Step: verbs::step::Step;
    /// Change fields or links of a flob
    Set: verbs::set::Set;
    /// Take the last edit, poke or restore of a session back
    Undo: verbs::undo::Undo;
    /// Read memory
    Peek: verbs::memory::Peek;
    /// Write memory
    Poke: verbs::memory::Poke;
    /// Start gdb on the session, connected, with symbols and commands of flob's own (help flob)
    Gdb: verbs::gdb::Gdb;
    /// Serve one space to any gdb or lldb, at a port or socket of its own
    GdbServer: verbs::serve_gdb::ServeGdb;
    /// Start lldb on the session, connected, with symbols
    Lldb: verbs::lldb::Lldb;
    /// Save, list, show, edit, restore and remove checkpoints
    Checkpoint: verbs::checkpoint::Checkpoint;
    /// Move a program into another session's guest while it runs
    Migrate: verbs::migrate::Migrate;
    /// End a session: its hub, and its guest unless that runs elsewhere
    Stop: verbs::stop::Stop;
    /// Measure what things cost, in real runs
    Bench: verbs::bench::Bench;
    /// Check what flob needs on this machine
    Doctor: verbs::doctor::Doctor;
    /// Print the script by which a shell completes verbs, options, and names of sessions, flobs and checkpoints
    Completions: verbs::completions::Completions;
    /// Print the terminal interface's config file as it is by default
    Config: verbs::config::Config;
    #[command(hide = true)]
    BootFiles: verbs::boot_files::BootFiles;
    #[command(hide = true)]
    Hub: verbs::hub::HubProcess<verbs::run::Run>;
    #[command(hide = true)]
    SerialHub: verbs::hub::HubProcess<verbs::serial::Serial>;
    #[command(hide = true)]
    GuestProcess: verbs::guest_process::GuestProcess;
}

/// Does what the arguments say.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    complete::answer_shell();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed standard error leaves nobody to tell.
            let _ = error.print();
            let usage = Error::Usage(String::new()).exit_code();
            return ExitCode::from(if error.use_stderr() { usage } else { 0 });
        }
    };
    let context = Context { session: cli.session };
    let place = cli.store.map_or(Ok(()), |place| store::choose(&place));
    match place.and_then(|()| cli.verb.run(&context)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("flob: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

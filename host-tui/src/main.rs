//! The `flob` command. What it can do stands in [`cli`], a file a verb in [`verbs`].
#![forbid(unsafe_code)]

mod cli;
mod guest;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A panic is told by its hook; here it only gets its exit code.
    std::panic::catch_unwind(|| cli::run(std::env::args_os())).unwrap_or(ExitCode::from(127))
}

//! The `flob` command. What it can do stands in [`cli`], a file a verb in [`verbs`].
#![forbid(unsafe_code)]

mod cli;
mod guest;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}

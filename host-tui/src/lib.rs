//! The parts of the `flob` command that are a library, so that they can be tested: the TUI.
#![forbid(unsafe_code)]

pub mod tui;

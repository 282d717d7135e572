//! The terminal interface. Connection ([`worker`]), state ([`state`]) and view ([`view`]) are apart: workers talk to the hub and
//! the store and never draw; the state changes by messages only ([`update`]); the view is a pure function of the state.

pub mod app;
pub mod calls;
pub mod choices;
pub mod coach;
pub mod commands;
pub mod config;
pub mod console;
pub mod cost;
pub mod detail;
pub mod disassembly;
pub mod edit;
pub mod editor;
pub mod events;
pub mod graph;
pub mod input;
pub mod insight;
pub mod jobs;
pub mod keymap;
pub mod keys;
pub mod layout;
pub mod library;
pub mod line;
pub mod list;
pub mod memory;
pub mod message;
pub mod mode;
pub mod mouse;
pub mod palette;
pub mod points;
pub mod progress;
pub mod script;
pub mod sieve;
pub mod snapshot;
pub mod state;
pub mod store;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod text;
pub mod theme;
pub mod tree;
pub mod update;
pub mod view;
pub mod waits;
pub mod worker;

pub use app::{Options, Summary, run};
pub use config::Config;
pub use insight::{Insight, Symbolic};
pub use library::Library;
pub use script::Script;
pub use state::{Ended, Leave};
pub use store::{Poke, Saved, Store};
pub use theme::Theme;
pub use worker::Connect;

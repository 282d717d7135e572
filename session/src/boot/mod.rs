//! What it takes to start a guest: its files and the emulator's process.

pub mod archive;
pub mod arguments;
mod loadable;
pub mod qemu;

pub use qemu::{Guest, Launcher, LinkDevice};

/// A file that goes into the guest.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name in the boot archive.
    pub name: String,
    /// What is in it.
    pub contents: Vec<u8>,
}

/// All that runs in the guest.
#[derive(Clone, Debug)]
pub struct Software {
    /// The kernel's ELF.
    pub kernel: Vec<u8>,
    /// `platform`, what it is to run, and nesters above the debugger's.
    pub programs: Vec<File>,
}

//! What session it is, and how it stands.

use std::path::PathBuf;

use flob_link::Progress;
use serde::{Deserialize, Serialize};

use super::Owner;

/// How far the memory of a checkpoint is that was restored lazily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetching {
    /// Pages that have arrived.
    pub done: u64,
    /// Pages of the checkpoint; those that are zero do not count.
    pub total: u64,
}

/// A session, for lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its name: chooses it with `-s`.
    pub name: String,
    /// Name of the program.
    pub program: String,
    #[allow(missing_docs)]
    pub arguments: Vec<String>,
    /// Process of the hub.
    pub hub_process: u32,
    /// Process of QEMU, if the session owns one.
    pub guest_process: Option<u32>,
    /// The serial device behind which the guest is, if it runs elsewhere.
    pub device: Option<PathBuf>,
    /// The program's ELF on the host, for symbols.
    pub elf: Option<PathBuf>,
    /// Socket of its gdb server.
    pub gdb_socket: Option<PathBuf>,
    /// TCP port of its gdb server on the loopback interface.
    pub gdb_port: Option<u16>,
    /// Seconds since 1970.
    pub started: u64,
    /// Connection to the guest.
    pub link: LinkState,
    /// Bytes that have come from the guest so far.
    pub received: u64,
    /// Bytes that have gone to the guest so far.
    pub sent: u64,
    /// Bytes that went over the line, either way, for the last restore until the program could run.
    pub restore_bytes: u64,
    /// What is still missing of a checkpoint that was restored lazily.
    pub fetching: Option<Fetching>,
    /// Why a page of it cannot be had, if so: the program is held.
    pub lost: Option<String>,
    /// Who holds anything now.
    pub holders: Vec<Owner>,
    /// Of the guest.
    pub progress: Progress,
    /// The checkpoint it goes back to: last saved or restored.
    pub checkpoint: Option<String>,
    /// Whether it began with a checkpoint, or went back to one.
    pub restored: bool,
}

/// Connection to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// No hello yet.
    Connecting,
    /// Answers.
    Up,
    /// Has not answered for a while; being tried again.
    Lost,
    /// QEMU has ended.
    Dead,
}

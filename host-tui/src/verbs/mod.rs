//! The verbs of the command line, a file each.

pub mod attach;
pub mod bench;
pub mod bench_checkpoint;
pub mod bench_host;
mod bench_kernel;
mod bench_machine;
mod bench_rows;
pub mod bench_terminal;
pub mod black_box;
pub mod boot_files;
pub mod checkpoint;
pub mod doctor;
pub mod gdb;
pub mod gdb_server;
pub mod graph;
pub mod guest_process;
pub mod hold;
pub mod hub;
pub mod memory;
pub mod ps;
pub mod run;
pub mod sessions;
pub mod set;
pub mod show;
pub mod stop;
pub mod tree;
pub mod why;

//! Tests of the kernel on the simulated machine, in files by meaning.

mod build;
mod invariants;
mod program;
mod random;
mod sim;
mod talk;

mod connections;
mod exceptions;
mod garbage;
mod mutex;
mod parking;
mod regions;
mod servers;

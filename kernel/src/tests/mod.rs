//! Tests of the kernel on the simulated machine, in files by meaning.

mod build;
mod environment;
mod invariants;
mod processor;
mod program;
mod random;
mod sim;
mod talk;
mod workload;

mod asynchronous;
mod conditions;
mod connections;
mod exceptions;
mod mutex;
mod oneself;
mod parking;
mod regions;
mod scheduling;
mod servers;

mod disturbed;
mod garbage;

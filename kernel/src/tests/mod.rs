//! Tests of the kernel on the simulated machine, in files by meaning.

mod build;
mod bystander;
mod environment;
mod invariants;
mod laws;
mod processor;
mod program;
mod random;
mod scene;
mod sim;
mod talk;
mod workload;

mod alerts;
mod asynchronous;
mod bounds;
mod conditions;
mod connections;
mod dirty;
mod exceptions;
mod export;
mod forms;
mod misuse;
mod mutex;
mod oneself;
mod parking;
mod protect;
mod regions;
mod requests;
mod scheduling;
mod servers;
mod talkers;
mod watched;

mod disturbed;
mod everything;
mod explore;
mod garbage;
mod hostile;

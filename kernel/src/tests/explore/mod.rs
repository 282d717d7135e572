//! Exhaustive exploration: the real kernel under a model checker. Small programs of two or three threads; every
//! interleaving of their kernel entries and memory accesses, and of what a nester does to them meanwhile. States
//! are compared in a canonical form. From every reachable state: no law is broken, and everything comes to its right end
//! (so no deadlock and no lost wake-up).

mod connections;
mod form;
mod lifts;
mod model;
pub mod programs;

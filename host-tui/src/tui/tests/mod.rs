//! What a person sees and does, on a made-up environment in a deadlock.

mod calls;
mod coach;
mod code;
mod comfort;
mod hub;
mod keys;
mod library;
mod mouse;
mod points;
mod rebound;
mod screens;
mod script;
mod sorting;
mod world;

//! What a person sees and does, on a made-up environment in a deadlock.

mod keys;
mod screens;
mod world;

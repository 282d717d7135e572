//! What end-to-end tests share: a private world for each test (session folder, store, configuration), the real `flob`
//! binary with a time limit, guests that are cleaned up whatever happens, seeds, and texts to count.

pub mod debugged;
mod guest;
mod process;
mod s3_server;
mod screen;
mod seed;
mod texts;
mod world;

pub use guest::{Guest, Watched};
pub use process::{Finished, Running, send};
pub use rustix::process::Signal;
pub use s3_server::S3Server;
pub use screen::Screen;
pub use seed::{rounds, seed};
pub use texts::{Counts, count, random_text};
pub use world::World;

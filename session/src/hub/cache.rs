//! What was read of the guest and is still true, because everything stands still.

use std::collections::HashMap;

use flob_image::Environment;
use flob_link::Memory;

/// Pieces of memory kept.
const MOST_PIECES: usize = 4096;

/// What is known.
#[derive(Debug, Default)]
pub struct Cache {
    environment: Option<(bool, Environment)>,
    pieces: HashMap<(Memory, u64), Vec<u8>>,
    generation: u64,
}

impl Cache {
    /// The environment, if it is known, with vectors if asked.
    pub fn environment(&self, vectors: bool) -> Option<Environment> {
        let (with_vectors, environment) = self.environment.as_ref()?;
        (*with_vectors || !vectors).then(|| environment.clone())
    }

    /// Counts the times that everything was forgotten: who reads notes it first and keeps nothing if it has changed.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Keeps an environment that was read in this generation.
    pub fn keep_environment(&mut self, generation: u64, vectors: bool, environment: &Environment) {
        if generation == self.generation {
            self.environment = Some((vectors, environment.clone()));
        }
    }

    /// A piece of memory, if it is known.
    pub fn piece(&self, memory: Memory, address: u64) -> Option<Vec<u8>> {
        self.pieces.get(&(memory, address)).cloned()
    }

    /// Keeps a piece of memory that was read in this generation.
    pub fn keep_piece(&mut self, generation: u64, memory: Memory, address: u64, bytes: &[u8]) {
        if generation == self.generation && self.pieces.len() < MOST_PIECES {
            self.pieces.insert((memory, address), bytes.to_vec());
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.environment = None;
        self.pieces.clear();
        self.generation += 1;
    }
}

//! What `flob undo` goes back to: before an edit or a restore its client has a checkpoint taken, and the hub remembers which,
//! for as long as the session lives.

use std::sync::atomic::AtomicBool;

use flob_link::{Failure, FailureKind};

use super::{Hub, lock, requests::ProgressTo, restore::Manner, save::Order};

/// How many steps are remembered; older ones stay checkpoints, but nothing more.
const MOST: usize = 64;

impl Hub {
    /// Saves a checkpoint to come back to; its id.
    pub(super) fn remember(
        &self,
        what: &str,
        cancelled: &AtomicBool,
        progress: ProgressTo<'_>,
    ) -> Result<String, Failure> {
        let order = Order { name: Some(format!("before {what}")), ..Order::default() };
        let id = self.save(order, cancelled, progress)?;
        let mut steps = lock(&self.undo);
        if steps.len() >= MOST {
            steps.remove(0);
        }
        steps.push(id.clone());
        Ok(id)
    }

    /// Restores the checkpoint that was taken before the last edit or restore; its id. Afterwards the one before that is next.
    pub(super) fn undo(&self, cancelled: &AtomicBool, progress: ProgressTo<'_>) -> Result<String, Failure> {
        let nothing = || Failure {
            kind: FailureKind::NotFound,
            text: "there is nothing to undo in this session: no edit, poke or restore".into(),
        };
        let id = lock(&self.undo).last().cloned().ok_or_else(nothing)?;
        // It was like that, so it may be like that again.
        let restored = self.restore(&id, Manner { force: true, lazy: false }, cancelled, progress);
        let is_gone = restored.is_err() && self.store.resolve(&id).is_err();
        if restored.is_ok() || is_gone {
            lock(&self.undo).retain(|step| *step != id);
        }
        restored
    }
}

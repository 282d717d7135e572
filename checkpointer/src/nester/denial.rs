//! The keeper of the child's memory, while a checkpoint is being taken.

use flob_checkpointer::denial;

use super::state::Nester;

/// Its port.
pub const REGION: &str = flob_image::tags::REGION;

/// The keeper's thread.
pub fn serve(nester: &Nester) {
    // Nobody denies anew as long as the lock is held.
    denial::serve(&nester.denials, |denied| nester.mirror.lock().answer(&nester.environment, denied));
}

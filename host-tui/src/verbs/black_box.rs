//! The black box: a program that dies, or stands in a deadlock, is saved by itself.

use flob_abi::FlobKind;
use flob_session::{Client, Error, hub::Session};

use crate::cli::source::View;

/// Saves a program that died, and says how to open the checkpoint.
pub fn keep_the_dead(session: &Session) {
    keep(session);
}

/// Nothing of the program runs any more: if threads wait for each other in a circle, says so and saves that.
pub fn keep_the_stuck(session: &Session) {
    // Threads that sleep for good may be meant to; and who cannot be looked at cannot be saved either.
    if let Ok(Some(sentence)) = deadlock(session) {
        eprintln!("flob: {sentence}");
        keep(session);
    }
}

fn keep(session: &Session) {
    match session.save(None) {
        Ok(id) => eprintln!("flob: saved as checkpoint {id}: look into it with 'flob ps --at {id}'"),
        Err(error) => eprintln!("flob: it could not be saved: {error}"),
    }
}

/// The sentence about the first thread that is part of a circle.
fn deadlock(session: &Session) -> Result<Option<String>, Error> {
    let mut view = View::live(Client::connect(Some(&session.info().name))?, false)?;
    let threads = view.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread);
    let threads: Vec<_> = threads.map(|flob| flob.place).collect();
    let (why, source) = view.why();
    let stuck = threads.into_iter().find(|thread| why.deadlock(*thread).is_some());
    Ok(stuck.map(|thread| why.sentence(thread, source)))
}

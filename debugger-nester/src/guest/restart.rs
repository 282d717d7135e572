//! The program from its beginning: loaded into the spare environment, which takes the place of the present one as at a
//! restore.

use alloc::{string::String, vec, vec::Vec};

use flob_image::Environment as Image;
use flob_link::{Event, FailureKind, Mark, Reply, trace::What};
use flob_runtime::{nester::environment::FIRST_THREAD, service::clock};

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::{copying, launch, restore, services};

/// `Restart`.
pub fn restart(nester: &Nester, state: &mut State, command: Vec<String>) -> Outcome<Reply> {
    restore::abandon(state)?;
    copying::end(nester, state).map_err(refused)?;
    let command = if command.is_empty() { state.program.arguments.clone() } else { command };
    state.spare.resize(state.usual_size).map_err(refused)?;
    if !state.spare_is_clear {
        state.spare.memory().clear_from(0);
    }
    state.spare_is_clear = false;
    let loaded = launch::load_into(nester, &state.spare, state.own.ceiling, &command);
    let build_id = match loaded {
        Ok(build_id) => build_id,
        Err(text) => {
            state.spare.remove_flobs().map_err(refused)?;
            return Err(failure(FailureKind::NotFound, text));
        }
    };
    let program = command.first().cloned().unwrap_or_default();
    let clock = clock::now().unwrap_or(0);
    let image = Image { program, arguments: command, build_id, clock, ..Image::default() };
    let mark = state.mark().map_err(refused)?;
    restore::replace(nester, state, (&image, None), vec![FIRST_THREAD], What::Restarted).map_err(refused)?;
    let mark = Mark { environment: state.replaced, ..mark };
    state.tell(nester, Event::Restarted(mark));
    services::retry_parked(nester, state);
    nester.sleepers.broadcast();
    Ok(Reply::Replaced(mark))
}

//! The large form: everything.

use alloc::{format, string::String, vec::Vec};

use flob_abi::{flob::thread_link, state::group};
use flob_checkpointer::{rebuild_in_order, release, stop_all};
use flob_image::{Environment as Image, Flob, Link, State as FlobState};
use flob_link::Event;
use flob_runtime::flob::any;

use super::super::state::{Nester, State};
use super::super::{record, restore, threads};
use super::{Torture, stage};

/// What the program ends with when it cannot be put together again.
const LOST: i32 = 124;

/// A random moment has come.
pub fn moment(nester: &Nester, state: &mut State, torture: &mut Torture) {
    match round(nester, state, torture) {
        Ok(()) => {}
        Err(Failure::Before(complaint)) => torture.complain(complaint),
        Err(Failure::After(complaint)) => {
            torture.complain(complaint);
            lose(nester, state, torture);
        }
    }
}

/// The program is gone, by our own fault.
fn lose(nester: &Nester, state: &mut State, torture: &Torture) {
    let report = torture.report();
    state.events.push_output(2, state.stderr.position, report.as_bytes());
    state.stderr.position += report.len() as u64;
    state.exit = Some(LOST);
    state.tell(nester, Event::Exited { code: LOST });
}

enum Failure {
    /// Nothing was touched.
    Before(String),
    /// The environment is in pieces.
    After(String),
}

fn round(nester: &Nester, state: &mut State, torture: &mut Torture) -> Result<(), Failure> {
    let kernel = |status: flob_abi::Status| format!("the kernel said: {}", status.text());
    let before = |status| Failure::Before(kernel(status));
    let after = |status| Failure::After(kernel(status));
    let stopped = stop_all(&state.environment).map_err(before)?;
    let image = record::environment(nester, state, group::ALL, record::View::Live).map_err(before);
    let image = image.and_then(|image| match unknown_link(&image) {
        None => Ok(image),
        Some(complaint) => Err(Failure::Before(complaint)),
    });
    let image = match image {
        Ok(image) => image,
        Err(failure) => {
            release(&state.environment, &stopped).map_err(after)?;
            return Err(failure);
        }
    };
    count(nester, state, torture, &image);
    destroy(state, torture, &image).map_err(after)?;
    build(nester, state, torture, &image)?;
    restore::rejoin(nester, state, &image).map_err(after)?;
    release(&state.environment, &stopped).map_err(after)
}

/// What leads to nobody knows where could not be put back.
fn unknown_link(image: &Image) -> Option<String> {
    image.flobs.iter().find_map(|flob| {
        let index = flob.links.iter().position(|link| *link == Link::Unknown)?;
        let kind = flob.state.kind();
        let name = kind.links().get(index)?;
        let stage = match &flob.state {
            FlobState::Thread(thread) => format!(", rax {:#x}", thread.registers.rax),
            _ => String::new(),
        };
        Some(format!("link {name} of the {} at {:#x} leads nowhere known{stage}", kind.name(), flob.place))
    })
}

fn count(nester: &Nester, state: &State, torture: &mut Torture, image: &Image) {
    torture.rounds += 1;
    let Ok(translator) = threads::translator(nester, state) else { return };
    for flob in &image.flobs {
        if let FlobState::Thread(thread) = &flob.state {
            let space = match flob.links.get(thread_link::SPACE) {
                Some(Link::Flob(space)) => Some(*space),
                _ => None,
            };
            torture.points.count(stage(&state.environment, &translator, space, thread));
        }
    }
}

fn shuffled<'a>(image: &'a Image, torture: &mut Torture) -> Vec<&'a Flob> {
    let mut flobs: Vec<_> = image.flobs.iter().collect();
    torture.random.shuffle(&mut flobs);
    flobs
}

/// All flobs are gone afterwards; the memory stays.
fn destroy(state: &State, torture: &mut Torture, image: &Image) -> Result<(), flob_abi::Status> {
    for flob in shuffled(image, torture) {
        any::destroy(flob.state.kind(), state.environment.memory().address(flob.place))?;
    }
    Ok(())
}

fn build(nester: &Nester, state: &State, torture: &mut Torture, image: &Image) -> Result<(), Failure> {
    let orders = (shuffled(image, torture), shuffled(image, torture));
    let tags = nester.tags(&state.environment);
    let world = restore::world(nester, state, &tags, false);
    let built = rebuild_in_order(&state.environment, image, &world, (&orders.0, &orders.1));
    built.map(drop).map_err(|error| Failure::After(format!("{error}")))
}

//! Reading and writing the child's memory, and breakpoints in it.

use alloc::{vec, vec::Vec};

use crate::{
    breakpoints::{Conditions, INT3, Wanted},
    trace::payload,
    translate::Translator,
};
use flob_image::Place;
use flob_link::{CHUNK, FailureKind, MAX_CONDITIONS, Memory, Reply, condition::check};

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::threads::translator;
use super::{copying, lazy};

fn nothing_there() -> flob_link::Failure {
    failure(FailureKind::NotFound, "there is no memory at this address")
}

/// The pieces of the environment behind a range: place and size each.
fn pieces(
    nester: &Nester,
    state: &State,
    memory: Memory,
    address: u64,
    count: u64,
) -> Outcome<Vec<(Place, u64)>> {
    match memory {
        Memory::Environment => {
            let size = state.environment.size();
            let count = count.min(size.saturating_sub(address));
            Ok(if count > 0 { vec![(address, count)] } else { Vec::new() })
        }
        Memory::Space(space) => {
            let translator = translator(nester, state).map_err(refused)?;
            Ok(translator.pieces(space, address, count))
        }
    }
}

/// The answer to what needs missing pages, if some of these pieces lie on such.
fn missing(state: &State, pieces: &[(Place, u64)]) -> Option<Reply> {
    let missing = lazy::missing_of(state, pieces);
    (!missing.is_empty()).then_some(Reply::Missing(missing))
}

/// `Read`: the bytes up to the first that is missing, breakpoints hidden.
pub fn read(nester: &Nester, state: &State, memory: Memory, address: u64, count: u32) -> Outcome<Reply> {
    if count as usize > CHUNK {
        return Err(failure(FailureKind::Invalid, "too many bytes at once"));
    }
    let mut bytes = Vec::new();
    let pieces = pieces(nester, state, memory, address, count.into())?;
    if let Some(missing) = missing(state, &pieces) {
        return Ok(missing);
    }
    for (place, size) in pieces {
        let mut piece = vec![0; usize::try_from(size).unwrap_or(0)];
        if !state.environment.memory().read(place, &mut piece) {
            break;
        }
        state.breakpoints.hide(place, &mut piece);
        bytes.append(&mut piece);
    }
    if bytes.is_empty() && count > 0 { Err(nothing_there()) } else { Ok(Reply::Bytes(bytes)) }
}

/// The memory of a space as it is now, for a few looks: what is not there, or has not come yet, cannot be read; breakpoints are
/// hidden.
pub struct SpaceMemory<'a> {
    state: &'a State,
    translator: &'a Translator,
    space: Place,
}

impl<'a> SpaceMemory<'a> {
    /// Of this space.
    pub const fn new(state: &'a State, translator: &'a Translator, space: Place) -> Self {
        Self { state, translator, space }
    }

    /// How many bytes from there on could be read, up to the first that could not.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        for (place, size) in self.translator.pieces(self.space, address, bytes.len() as u64) {
            let size = usize::try_from(size).unwrap_or(0);
            let Some(piece) = bytes.get_mut(done..done + size) else { break };
            if missing(self.state, &[(place, size as u64)]).is_some()
                || !self.state.environment.memory().read(place, piece)
            {
                break;
            }
            self.state.breakpoints.hide(place, piece);
            done += size;
        }
        done
    }
}

impl payload::Memory for SpaceMemory<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> usize {
        SpaceMemory::read(self, address, bytes)
    }
}

/// `Write`: all of it or nothing.
pub fn write(
    nester: &Nester,
    state: &mut State,
    memory: Memory,
    address: u64,
    bytes: &[u8],
) -> Outcome<Reply> {
    if bytes.len() > CHUNK {
        return Err(failure(FailureKind::Invalid, "too many bytes at once"));
    }
    let pieces = pieces(nester, state, memory, address, bytes.len() as u64)?;
    if pieces.iter().map(|(_, size)| size).sum::<u64>() < bytes.len() as u64 {
        return Err(nothing_there());
    }
    if let Some(missing) = missing(state, &pieces) {
        return Ok(missing);
    }
    state.is_clear = false;
    let mut rest = bytes;
    for (place, size) in pieces {
        let (piece, behind) =
            rest.split_at_checked(usize::try_from(size).unwrap_or(0)).unwrap_or((rest, &[]));
        copying::about_to_change(state, place, size);
        lazy::about_to_write(state, place, size);
        let mut piece = piece.to_vec();
        state.breakpoints.keep(place, &mut piece);
        if !state.environment.memory().write(place, &piece) {
            return Err(nothing_there());
        }
        rest = behind;
    }
    Ok(Reply::Done)
}

/// `SetBreakpoint`.
pub fn set_breakpoint(
    nester: &Nester,
    state: &mut State,
    (space, address): Wanted,
    conditions: Conditions,
) -> Outcome<Reply> {
    let is_good = conditions.len() <= MAX_CONDITIONS && conditions.iter().all(|one| check(one).is_ok());
    if !is_good {
        return Err(failure(FailureKind::Invalid, "a condition of the breakpoint is malformed"));
    }
    let place =
        translator(nester, state).map_err(refused)?.place(space, address).ok_or_else(nothing_there)?;
    if let Some(missing) = missing(state, &[(place, 1)]) {
        return Ok(missing);
    }
    let mut byte = [0];
    if !state.environment.memory().read(place, &mut byte) {
        return Err(nothing_there());
    }
    let [byte] = byte;
    if state.breakpoints.set((space, address), conditions, place, byte)
        && !state.environment.memory().write(place, &[INT3])
    {
        return Err(nothing_there());
    }
    Ok(Reply::Done)
}

/// `ClearBreakpoint`.
pub fn clear_breakpoint(state: &mut State, space: Place, address: u64) -> Outcome<Reply> {
    if let Some((place, byte)) = state.breakpoints.clear((space, address))
        && !state.environment.memory().write(place, &[byte])
    {
        return Err(nothing_there());
    }
    Ok(Reply::Done)
}

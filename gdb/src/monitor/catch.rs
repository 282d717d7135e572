//! Stops at kernel calls by name.

use flob_abi::{Call, call_name, ipc};
use flob_session::Error;

use crate::{guest::Guest, inferior::Inferior};

/// `catch CALL … | all | off`; without anything, what is caught.
pub fn catch<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> Result<String, Error> {
    if !inferior.is_attached() {
        return Err(Error::Refused(
            "no space is attached whose calls could be caught: attach to one first".into(),
        ));
    }
    let mut calls = inferior.catches.clone();
    match line {
        "" => return Ok(told(inferior)),
        "off" => calls.clear(),
        "all" => calls.extend(all()),
        names => {
            for name in names.split_whitespace() {
                calls.insert(number(name)?);
            }
        }
    }
    inferior.guest.catch_calls(inferior.space, &calls.iter().copied().collect::<Vec<_>>())?;
    inferior.catches = calls;
    Ok(told(inferior))
}

fn told<G>(inferior: &Inferior<G>) -> String {
    let names: Vec<&str> = inferior.catches.iter().map(|number| call_name(*number)).collect();
    match names.as_slice() {
        [] => "no calls are caught; monitor catch mutex_lock, say, stops before each of these\n".into(),
        names => format!("caught: {}; monitor catch off ends it\n", names.join(" ")),
    }
}

/// The numbers of all calls.
pub fn all() -> impl Iterator<Item = u64> {
    Call::ALL.iter().map(|call| *call as u64).chain([ipc::IPC])
}

/// The number of a call, by its name.
pub fn number(name: &str) -> Result<u64, Error> {
    if name == "ipc" {
        return Ok(ipc::IPC);
    }
    if let Some(call) = Call::ALL.iter().find(|call| call.name() == name) {
        return Ok(*call as u64);
    }
    let near: Vec<&str> =
        Call::ALL.iter().map(|call| call.name()).filter(|known| known.contains(name)).collect();
    let near = if near.is_empty() { "docs/kernel has them all, and ipc".into() } else { near.join(", ") };
    Err(Error::NotFound(format!("there is no call \"{name}\"; is one of these meant? {near}")))
}

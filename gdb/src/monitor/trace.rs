//! The trace of what the program asks of its parent and of the kernel.

use std::fmt::Write;

use flob_link::Tracing;
use flob_session::{Error, place::Map, trace::Describer};

use super::catch::number;
use crate::{guest::Guest, inferior::Inferior};

/// Calls that are told if nobody says how many.
const SOME: usize = 40;

/// `trace [on [CALL …] | off | COUNT]`.
pub fn trace<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> Result<String, Error> {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("on") => on(inferior, words),
        Some("off") => {
            inferior.guest.set_trace(Tracing::default())?;
            Ok("this debugger traces nothing any more\n".into())
        }
        Some(count) => {
            let usage = || Error::Usage("monitor trace [on [CALL ...] | off | COUNT]".into());
            tell(inferior, count.parse().map_err(|_| usage())?)
        }
        None => tell(inferior, SOME),
    }
}

fn on<'a, G: Guest>(
    inferior: &mut Inferior<G>,
    names: impl Iterator<Item = &'a str>,
) -> Result<String, Error> {
    let mut calls = Vec::new();
    for name in names {
        match name {
            "all" => calls.extend(super::catch::all()),
            name => calls.push(number(name)?),
        }
    }
    let more = if calls.is_empty() { "monitor trace on CALL ... adds kernel calls; " } else { "" };
    inferior.guest.set_trace(Tracing { services: true, calls })?;
    Ok(format!("traced until this debugger leaves; {more}monitor trace shows what has come\n"))
}

fn tell<G: Guest>(inferior: &mut Inferior<G>, count: usize) -> Result<String, Error> {
    let tracing = loop {
        let part = inferior.guest.trace(inferior.trace.next())?;
        let is_all = part.records.is_empty();
        inferior.trace.take(part.records, part.next);
        if is_all || inferior.trace.next() >= part.next {
            break part.tracing;
        }
    };
    let trace = std::mem::take(&mut inferior.trace);
    let told = lines(&inferior.why(false), &trace, count);
    inferior.trace = trace;
    if told.is_empty() && !tracing.is_on() {
        return Ok("nothing is traced; monitor trace on begins\n".into());
    }
    Ok(told)
}

fn lines(why: &Result<Map<'_>, Error>, trace: &flob_session::trace::Trace, count: usize) -> String {
    let short = |place| why.as_ref().map_or_else(|_| format!("{place:#x}"), |why| why.names.short(place));
    let describer = Describer::new(why.as_ref().ok().map(|why| why.environment), &short);
    let calls = trace.calls();
    let skipped = calls.len().saturating_sub(count);
    let mut text = String::new();
    for call in calls.skip(skipped) {
        let described = describer.describe(call);
        let outcome = if call.end.is_some() { described.outcome.as_str() } else { "under way" };
        let at = call.at as f64 / 1e9;
        let _ = writeln!(text, "{at:12.6} {}: {} = {outcome}", described.thread, described.asked());
    }
    text
}

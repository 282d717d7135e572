//! Extended mode: the connection goes on when the debugger lets a space go. It may attach to another by its number, begin the
//! program, end it and begin it anew. gdbstub knows nothing of this: to it there is always the same process, number 1.
//!
//! Who ends a program ends one that it has begun itself; for anybody else that means to let it go. A program that was ended stands at
//! its beginning, held by the user: the session stays, and `run`, or `flob resume`, begins it again.

use flob_session::{Error, names};

use crate::{
    dispatch::{Desk, MALFORMED, NO_PROCESS, Route, last_stop},
    files::Files,
    grammar::{self, Verdict},
    guest::Guest,
    packet::{parse_hex, parse_hex_bytes},
};

/// Answer to what the session refuses.
const REFUSED: &[u8] = b"E01";
/// What gdbstub calls each process.
const STUBS_PROCESS: &[u8] = b"p01.";

/// `!`
pub fn enter<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    if !rest.is_empty() {
        return Route::Answer(Vec::new());
    }
    desk.terms.is_extended = true;
    Route::Answer(b"OK".to_vec())
}

/// `vAttach;PROCESS`
pub fn attach<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    if !desk.terms.is_extended {
        return Route::Answer(Vec::new());
    }
    let Some(number) = parse_hex(rest) else { return Route::Answer(MALFORMED.to_vec()) };
    let environment = desk.inferior.guest.environment(false);
    let Some(space) = environment.ok().and_then(|now| names::space_of_process(&now, number)) else {
        return Route::Answer(NO_PROCESS.to_vec());
    };
    desk.terms.has_begun = false;
    desk.terms.chosen = None;
    match desk.inferior.attach_to(space) {
        Ok(()) => Route::Answer(last_stop(desk)),
        Err(error) => refused(desk, &error),
    }
}

/// `vRun;FILE;ARGUMENT…`, in hexadecimal: without a file it is the session's program, without arguments too with those it had.
pub fn run<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    if !desk.terms.is_extended {
        return Route::Answer(Vec::new());
    }
    let Some((file, arguments)) = command(rest) else { return Route::Answer(MALFORMED.to_vec()) };
    match begin(desk, &file, arguments) {
        Ok(()) => Route::Answer(last_stop(desk)),
        Err(error) => refused(desk, &error),
    }
}

/// `R`: as `vRun` without anything. It has no answer.
pub fn restart<G: Guest>(desk: &mut Desk<'_, G>, _rest: &[u8]) -> Route {
    if !desk.terms.is_extended {
        return Route::Answer(Vec::new());
    }
    if let Err(error) = begin(desk, "", Vec::new()) {
        drop(refused(desk, &error));
    }
    Route::Silence
}

/// `vKill;PROCESS`
pub fn kill_process<G: Guest>(desk: &mut Desk<'_, G>, _rest: &[u8]) -> Route {
    match end(desk) {
        Ok(()) if desk.terms.is_extended => Route::Answer(b"OK".to_vec()),
        Ok(()) => Route::Detach(Some(b"OK")),
        Err(error) => refused(desk, &error),
    }
}

/// `k`: the same without an answer.
pub fn kill<G: Guest>(desk: &mut Desk<'_, G>, _rest: &[u8]) -> Route {
    match end(desk) {
        Ok(()) if !desk.terms.is_extended => return Route::Detach(None),
        Ok(()) => {}
        Err(error) => drop(refused(desk, &error)),
    }
    Route::Silence
}

/// `D`, `D;PROCESS`
pub fn detach<G: Guest>(desk: &mut Desk<'_, G>, _rest: &[u8]) -> Route {
    if !desk.terms.is_extended {
        return Route::Detach(Some(b"OK"));
    }
    desk.inferior.detach();
    Route::Answer(b"OK".to_vec())
}

/// What needs no process, where there is none.
pub fn without_process(packet: &[u8]) -> Route {
    match packet {
        b"qfThreadInfo" | b"qsThreadInfo" => Route::Answer(b"l".to_vec()),
        b"vCont?" => Route::Stub,
        _ if packet.starts_with(b"qRcmd,") => match grammar::check(packet) {
            Verdict::Pass => Route::Stub,
            Verdict::Malformed | Verdict::Unknown => Route::Answer(MALFORMED.to_vec()),
        },
        _ if packet.starts_with(b"H") => Route::Answer(b"OK".to_vec()),
        _ if grammar::check(packet) == Verdict::Unknown => Route::Answer(Vec::new()),
        _ => Route::Answer(NO_PROCESS.to_vec()),
    }
}

/// An answer of gdbstub's as one about this process.
pub fn renumber(answer: Vec<u8>, process: u64) -> Vec<u8> {
    // Only stops and lists of threads name threads.
    if process == 1 || !matches!(answer.first(), Some(b'T' | b'm')) {
        return answer;
    }
    let name = format!("p{process:x}.").into_bytes();
    let (mut renumbered, mut rest) = (Vec::new(), answer.as_slice());
    while let Some((byte, tail)) = rest.split_first() {
        match rest.strip_prefix(STUBS_PROCESS) {
            Some(behind) => {
                renumbered.extend_from_slice(&name);
                rest = behind;
            }
            None => {
                renumbered.push(*byte);
                rest = tail;
            }
        }
    }
    renumbered
}

fn begin<G: Guest>(desk: &mut Desk<'_, G>, file: &str, arguments: Vec<String>) -> Result<(), Error> {
    let program = desk.inferior.guest.environment(false)?.program;
    let elf = desk.files.elf().and_then(|path| path.to_str());
    if !file.is_empty() && file.rsplit('/').next() != Some(&program) && elf != Some(file) {
        return Err(Error::Refused(format!(
            "this session's program is '{program}', not '{file}': 'set remote exec-file' without a name takes that"
        )));
    }
    let arguments = (!arguments.is_empty()).then_some(arguments);
    desk.terms.chosen = None;
    desk.inferior.restart(arguments, "gdb's run")?;
    *desk.files = Files::new(desk.inferior.guest.elf());
    let space = names::spaces(&desk.inferior.guest.environment(false)?).next();
    desk.inferior.attach_to(space.ok_or_else(|| Error::NotFound("the program has no space".into()))?)?;
    desk.terms.has_begun = true;
    desk.inferior.release_user()
}

/// Ends what this debugger has begun; lets go what it has not.
fn end<G: Guest>(desk: &mut Desk<'_, G>) -> Result<(), Error> {
    let has_begun = std::mem::take(&mut desk.terms.has_begun) && desk.inferior.is_attached();
    if has_begun && desk.inferior.exit.is_none() {
        return desk.inferior.restart(None, "gdb's kill");
    }
    desk.inferior.detach();
    Ok(())
}

fn refused<G: Guest>(desk: &mut Desk<'_, G>, error: &Error) -> Route {
    desk.inferior.console.push(format!("flob: {error}"));
    Route::Answer(REFUSED.to_vec())
}

/// A file and arguments.
fn command(rest: &[u8]) -> Option<(String, Vec<String>)> {
    let mut words =
        rest.split(|byte| *byte == b';').map(|word| String::from_utf8(parse_hex_bytes(word)?).ok());
    let file = words.next()??;
    Some((file, words.collect::<Option<Vec<String>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_word_by_word() {
        assert_eq!(command(b""), Some((String::new(), vec![])));
        assert_eq!(command(b"612f62;34;2d2d78"), Some(("a/b".into(), vec!["4".into(), "--x".into()])));
        assert_eq!(command(b";34"), Some((String::new(), vec!["4".into()])));
        assert_eq!(command(b"zz"), None);
        assert_eq!(command(b"ff;34"), None);
    }

    #[test]
    fn threads_that_gdbstub_names_are_of_the_process_that_is_debugged() {
        assert_eq!(renumber(b"T05thread:p01.02;10:00;".to_vec(), 0x1d1), b"T05thread:p1d1.02;10:00;");
        assert_eq!(renumber(b"mp01.01,p01.02".to_vec(), 2), b"mp2.01,p2.02");
        assert_eq!(renumber(b"O7030312e".to_vec(), 2), b"O7030312e");
        assert_eq!(renumber(b"T05thread:p01.02;".to_vec(), 1), b"T05thread:p01.02;");
    }

    #[test]
    fn without_a_process_only_what_needs_none_is_served() {
        for (packet, answer) in
            [("g", "E03"), ("vCont;c", "E03"), ("Hg0", "OK"), ("qfThreadInfo", "l"), ("jThreadsInfo", "")]
        {
            assert_eq!(without_process(packet.as_bytes()), Route::Answer(answer.into()), "{packet}");
        }
        assert_eq!(without_process(b"qRcmd,68"), Route::Stub);
        assert_eq!(without_process(b"qRcmd,6"), Route::Answer(MALFORMED.to_vec()));
    }
}

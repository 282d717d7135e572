//! `monitor …`: what gdb's user can ask of flob itself. A table of verbs; help is made from it.

mod catch;
mod checkpoints;
mod flobs;
mod trace;

use std::fmt::Write;

use flob_session::Error;

use crate::{guest::Guest, inferior::Inferior};

struct Verb<G> {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&mut Inferior<G>, &str) -> Result<String, Error>,
}

fn verbs<G: Guest>() -> Vec<Verb<G>> {
    let verb = |name, arguments, help, run| Verb { name, arguments, help, run };
    vec![
        verb("help", "", "this list", |_, _| Ok(help::<G>())),
        verb("flobs", "[KIND]", "all flobs, or those of a kind", flobs::flobs),
        verb(
            "show",
            "FLOB",
            "a flob's state and links (its name, short id #a3f, place 0x2400, or *ADDRESS)",
            flobs::show,
        ),
        verb("set", "FLOB FIELD=VALUE ...", "change fields and links of a flob", flobs::set),
        verb("memory", "", "what is mapped where, and with what rights", flobs::memory),
        verb("why", "[THREAD]", "what each thread, or this one, waits for", flobs::why),
        verb("threads", "", "all threads by their whole names, and what they do", flobs::threads),
        verb("wait-graph", "", "who waits for whom, and deadlocks", flobs::wait_graph),
        verb("catch", "[CALL ... | all | off]", "stop before kernel calls by name", catch::catch),
        verb(
            "trace",
            "[on [CALL ...] | off | COUNT]",
            "what the program asks of its parent and of the kernel",
            trace::trace,
        ),
        verb("release", "", "let go what the user holds (flob pause)", |inferior, _| {
            inferior.release_user()?;
            Ok("the user holds nothing any more; what gdb holds goes on with continue\n".into())
        }),
        verb("checkpoint", "[NAME]", "save a checkpoint", checkpoints::save),
        verb("checkpoints", "", "list all checkpoints as a tree", checkpoints::list),
        verb("restore", "CHECKPOINT", "put a checkpoint in the program's place", checkpoints::restore),
        verb(
            "diff",
            "CHECKPOINT [CHECKPOINT]",
            "what changed since it (or up to the other)",
            checkpoints::diff,
        ),
    ]
}

/// Runs one command; the answer is what the user reads.
pub fn run<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> String {
    let line = line.trim();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = if name.is_empty() { "help" } else { name };
    let Some(verb) = verbs::<G>().into_iter().find(|verb| verb.name == name) else {
        return format!("flob: there is no monitor command \"{name}\"; monitor help lists them\n");
    };
    (verb.run)(inferior, argument.trim()).unwrap_or_else(|error| format!("flob: {error}\n"))
}

fn help<G: Guest>() -> String {
    verbs::<G>().iter().fold(String::new(), |mut text, verb| {
        let call = format!("monitor {} {}", verb.name, verb.arguments);
        let _ = writeln!(text, "{call:<38} {}", verb.help);
        text
    })
}

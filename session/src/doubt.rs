//! The words of an error after which nobody knows whether something was changed: the guest was told to, and then said nothing for long.

use flob_link::{Effect, Memory};

/// What may have been done, and what shows whether it was.
fn outcome(effect: Effect) -> (&'static str, String) {
    match effect {
        Effect::Memory { memory, address } => {
            let whose = match memory {
                Memory::Environment => "--environment".to_owned(),
                Memory::Space(space) => format!("--space {space:#x}"),
            };
            ("the memory may have been written, or some of it", format!("peek {whose} {address:#x}"))
        }
        Effect::Flob(place) => ("the flob may have been changed", format!("show {place:#x}")),
        Effect::Step(thread) => ("the thread may have made its step", format!("show {thread:#x}")),
        Effect::Stops => ("threads may have been stopped or let go", "ps".into()),
        Effect::Points => ("breakpoints may have been set or taken out", "break --list".into()),
        Effect::Environment => ("another state may be in place, and held", "ps".into()),
    }
}

/// All of the sentence behind `text`, which says that the guest does not answer.
pub fn sentence(text: &str, effect: Effect) -> String {
    let (may_have, look) = outcome(effect);
    format!("{text}: {may_have}, or nothing was done; when it answers again, 'flob {look}' shows which")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_may_have_been_done_and_where_to_look() {
        let said = |effect| sentence("the guest does not answer", effect);
        assert_eq!(
            said(Effect::Flob(0x2400)),
            "the guest does not answer: the flob may have been changed, or nothing was done; when it answers again, \
             'flob show 0x2400' shows which"
        );
        let memory = Memory::Space(0x200);
        assert!(said(Effect::Memory { memory, address: 0x10 }).contains("'flob peek --space 0x200 0x10'"));
    }
}

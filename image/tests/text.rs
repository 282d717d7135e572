//! The text form.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{any_environment, environment};
use flob_image::text::{apply_text, to_text};
use flob_image::{Environment, Link, State};
use proptest::prelude::*;

fn text(environment: &Environment) -> String {
    to_text(environment, None, &|place| format!("flob:main/{place:#x}"))
}

#[test]
fn text_has_names_comments_and_hexadecimal_strings() {
    let text = to_text(&environment(), Some(&[0x200, 0x2000]), &|place| format!("it:{place:x}\n[evil]"));
    assert!(text.contains("# it:200 [evil]"), "{text}");
    assert!(text.contains("[mutex.0x200]\n"), "{text}");
    assert!(text.contains("registers.rip = \"0x402000\""), "{text}");
    assert!(text.contains("priority = 3"), "{text}");
    assert!(text.contains("locked = true"), "{text}");
    assert!(text.contains("# Whether somebody holds it"), "{text}");
    assert!(!text.contains("0xa00"), "{text}");
}

#[test]
fn edited_text_changes_what_it_names_and_nothing_else() {
    let mut edited = environment();
    let text = text(&edited)
        .replace("locked = true", "locked = false")
        .replace("owner = \"0x1000\"", "owner = \"null\"");
    let changes = apply_text(&mut edited, &text).expect("a good text");
    let names: Vec<_> =
        changes.iter().map(|change| (change.place, change.name.as_str(), change.after.as_str())).collect();
    assert_eq!(names, [(0x200, "locked", "false"), (0x200, "owner", "null")]);
    let mut expected = environment();
    let State::Mutex(state) = &mut expected.flobs[1].state else { panic!("a mutex") };
    state.locked = 0;
    expected.flobs[1].links[0] = Link::Null;
    assert_eq!(edited, expected);
}

#[test]
fn short_text_may_leave_everything_else_out() {
    let mut edited = environment();
    let changes = apply_text(&mut edited, "[thread.0x2000]\nrip = 1\nstopped = true\n").expect("a good text");
    assert_eq!(changes.len(), 2);
    assert_eq!(apply_text(&mut edited, ""), Ok(vec![]));
}

#[test]
fn each_mistake_is_named_with_its_line_and_changes_nothing() {
    let cases = [
        ("[mutex.0x200]\nlocked = true\nowner = ", 3, ""),
        ("\n[mutex.0x999]\nlocked = true\n", 2, "no flob at 0x999"),
        ("[thread.0x200]\n", 1, "is a mutex"),
        ("[mutex.there]\n", 1, "no place"),
        ("mutex = 1\n", 1, "expected a table"),
        ("[mutex.0x200]\nlocked = false\n\ncolour = 1\n", 4, "colour"),
        ("[mutex.0x200]\nlocked = false\nowner = \"bob\"\n", 3, "bob"),
        ("[mutex.0x200]\nlocked = [1]\n", 2, "locked"),
        ("[mutex.0x200]\nhash = 1\n", 2, "cannot be changed"),
        ("[mutex.0x200]\nlocked = false\n[thread.0x2000]\nregisters.rip = \"0xg\"\n", 4, "0xg"),
        ("[thread.0x2000]\nregisters.rip = -4\n", 2, "-4"),
        ("[mutex.0x200]\nlocked = true\n[mutex.0x200]\n", 3, ""),
    ];
    for (text, line, part) in cases {
        let mut edited = environment();
        let error = apply_text(&mut edited, text).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error}");
        assert_eq!(edited, environment());
    }
}

proptest! {
    #[test]
    fn text_of_any_environment_gives_it_back(original in any_environment()) {
        let mut copy = original.clone();
        for flob in &mut copy.flobs {
            // The hash and reserved bytes are not in the text.
            for field in flob_image::fields::of(flob.state.kind()).iter().filter(|field| field.settable) {
                flob.state.as_mut_bytes()[field.offset..field.offset + field.width].fill(0);
            }
            flob.links.fill(Link::Null);
        }
        apply_text(&mut copy, &text(&original)).expect("its own text");
        prop_assert_eq!(copy, original);
    }

    #[test]
    fn unedited_text_changes_nothing(original in any_environment()) {
        let mut copy = original.clone();
        prop_assert_eq!(apply_text(&mut copy, &text(&original)), Ok(vec![]));
        prop_assert_eq!(copy, original);
    }

    #[test]
    fn garbled_text_never_panics(start in any::<prop::sample::Index>(), junk in "\\PC{0,12}") {
        let mut text = text(&environment());
        let mut start = start.index(text.len());
        while !text.is_char_boundary(start) { start -= 1; }
        text.insert_str(start, &junk);
        let _ = apply_text(&mut environment(), &text);
    }
}

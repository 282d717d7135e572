//! The table of fields against the state structs.

use flob_abi::FlobKind;
use flob_image::fields::{self, Format};
use flob_image::{Flob, Link, State};
use proptest::prelude::*;

fn size(kind: FlobKind) -> usize {
    State::from_bytes(kind, &[]).expect("an empty state").as_bytes().len()
}

#[test]
fn table_covers_every_byte_of_every_struct_exactly_once() {
    for kind in FlobKind::ALL {
        let mut next = 0;
        for field in fields::of(kind) {
            assert_eq!(field.offset, next, "{} of {}", field.name, kind.name());
            assert!(field.width <= 8 || field.format == Format::Bytes, "{}", field.name);
            assert!(!field.doc.is_empty());
            next += field.width;
        }
        assert_eq!(next, size(kind), "{}", kind.name());
    }
}

#[test]
fn names_are_unique_and_differ_from_link_names() {
    for kind in FlobKind::ALL {
        let mut names: Vec<_> =
            fields::of(kind).iter().map(|field| field.name).chain(kind.links().iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", kind.name());
    }
}

#[test]
fn values_are_written_and_read_as_people_do() {
    let mut state = State::from_bytes(FlobKind::Thread, &[]).expect("a thread");
    let cases = [
        ("flags", "stopped|exceptions_enabled", "stopped|exceptions_enabled"),
        ("flags", "none", "none"),
        ("flags", "0x9", "stopped|0x8"),
        ("registers.rip", "0x401000", "0x401000"),
        ("rip", "4096", "0x1000"),
        ("priority", "0x1f", "31"),
        ("exception.code", "page fault", "page fault"),
        ("exception.code", "page_fault", "page fault"),
        ("exception.code", "none", "none"),
        ("exception.code", "99", "0x63"),
        ("exception.access", "rw", "rw-"),
        ("exception.access", "r-x", "r-x"),
        ("exception.access", "none", "---"),
        ("vectors.xmm0", "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f"),
    ];
    for (name, text, shown) in cases {
        fields::set_field(&mut state, name, text).expect(name);
        assert_eq!(fields::field(&state, name).expect(name).to_string(), shown);
    }
    fields::set_field(&mut state, "stopped", "false").expect("one flag");
    fields::set_field(&mut state, "flags.client_sends", "true").expect("one flag");
    assert_eq!(fields::field(&state, "flags").expect("flags").to_string(), "client_sends|0x8");
    assert_eq!(fields::field(&state, "client_sends").expect("flag").to_string(), "true");
}

#[test]
fn wrong_values_are_refused_and_change_nothing() {
    let mut state = State::from_bytes(FlobKind::Thread, &[]).expect("a thread");
    let before = state.clone();
    let cases = [
        ("registers.rip", "0x10000000000000000"),
        ("registers.rip", "-1"),
        ("registers.rip", "+1"),
        ("registers.rip", ""),
        ("priority", "0x100000000"),
        ("flags", "stopped|running"),
        ("flags", ""),
        ("stopped", "2"),
        ("exception.access", "rr"),
        ("exception.access", "rwxr"),
        ("exception.code", "bad luck"),
        ("vectors.xmm0", "00"),
        ("vectors.xmm0", "+0+0+0+0+0+0+0+0+0+0+0+0+0+0+0+0"),
        ("vectors.xmm0", "0é0102030405060708090a0b0c0d0e0f"),
        ("hash", "1"),
        ("reserved", "1"),
        ("nonsense", "1"),
    ];
    for (name, text) in cases {
        fields::set_field(&mut state, name, text).expect_err(name);
        assert_eq!(state, before);
    }
}

#[test]
fn every_field_refuses_what_is_no_value_of_it_by_name() {
    for kind in FlobKind::ALL {
        for field in fields::of(kind) {
            let mut state = State::from_bytes(kind, &[]).expect("a state");
            let before = state.clone();
            let too_wide = format!("0x1{}", "0".repeat(2 * field.width));
            for wrong in ["nonsense", "", "-1", "1.5", "0x", too_wide.as_str()] {
                let error =
                    fields::set_field(&mut state, field.name, wrong).expect_err(field.name).to_string();
                assert!(error.contains(&format!("`{}`", field.name)), "{error}");
                assert_eq!(state, before, "{} = {wrong}", field.name);
            }
        }
    }
}

#[test]
fn links_are_written_and_read_by_name() {
    let state = State::from_bytes(FlobKind::Mutex, &[]).expect("a mutex");
    let mut flob = Flob { place: 512, state, links: vec![Link::Null] };
    for text in ["null", "external:stdin", "0x2400", "unknown"] {
        fields::set(&mut flob, "owner", text).expect(text);
        assert_eq!(fields::get(&flob, "owner").as_deref(), Some(text));
    }
    for text in ["", "external:", "stdin", "-5"] {
        fields::set(&mut flob, "owner", text).expect_err(text);
    }
    fields::set(&mut flob, "locked", "true").expect("a field");
    assert_eq!(fields::get(&flob, "locked").as_deref(), Some("true"));
    let message = fields::set(&mut flob, "colour", "red").expect_err("no field").to_string();
    assert!(
        message.contains("colour") && message.contains("owner") && message.contains("locked"),
        "{message}"
    );
}

#[test]
fn resuming_a_thread_needs_the_control_group_only() {
    let stopped = State::from_bytes(FlobKind::Thread, &[0, 0, 0, 0, 0, 0, 0, 0, 1]).expect("a thread");
    let mut running = stopped.clone();
    fields::set_field(&mut running, "stopped", "false").expect("a flag");
    assert_eq!(fields::groups_changed(&stopped, &running), flob_abi::state::group::CONTROL);
    fields::set_field(&mut running, "rax", "1").expect("a register");
    let both = flob_abi::state::group::CONTROL | flob_abi::state::group::REGISTERS;
    assert_eq!(fields::groups_changed(&stopped, &running), both);
}

proptest! {
    #[test]
    fn text_of_any_bytes_gives_the_same_bytes_again(kind in 1_u32..10, bytes in proptest::collection::vec(any::<u8>(), 896)) {
        let kind = FlobKind::from_number(kind).expect("a kind");
        let state = State::from_bytes(kind, &bytes[..size(kind)]).expect("a state");
        let mut copy = State::from_bytes(kind, &[]).expect("a state");
        for field in fields::of(kind).iter().filter(|field| field.settable) {
            let text = field.value(&state).to_string();
            fields::set_field(&mut copy, field.name, &text).expect("its own text");
            prop_assert!(!field.differs(&state, &copy), "{} {}", field.name, text);
        }
    }
}

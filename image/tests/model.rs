//! Encoding, verify, diff and JSON.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{any_environment, environment};
use flob_abi::FlobKind;
use flob_image::verify::{Code, Severity, verify, worst};
use flob_image::{Environment, Link, diff, encode, fields, json, tags};
use proptest::prelude::*;

fn codes(environment: &Environment) -> Vec<&'static str> {
    verify(environment).into_iter().map(|finding| finding.code.name()).collect()
}

/// The codes found after one edit of the environment in good order.
fn after(place: u64, name: &str, text: &str) -> Vec<&'static str> {
    let mut environment = environment();
    fields::set(environment.flob_mut(place).expect("a flob"), name, text).expect(name);
    codes(&environment)
}

#[test]
fn nothing_is_odd_about_an_environment_in_good_order() {
    assert_eq!(verify(&environment()), []);
}

#[test]
fn codes_are_unique_and_ascending() {
    assert!(Code::ALL.is_sorted_by(|one, next| one.name() < next.name()));
}

#[test]
fn each_oddity_of_one_field_has_its_code() {
    assert_eq!(after(0x200, "owner", "0x1200"), ["V006"]);
    assert_eq!(after(0x200, "owner", "0x0"), ["V007"]);
    assert_eq!(after(0x200, "owner", "unknown"), ["V008"]);
    assert_eq!(after(0x800, "target", "external:stdni"), ["V009"]);
    assert_eq!(after(0x600, "protection", "8"), ["V010"]);
    assert_eq!(after(0x400, "start", "0x400001"), ["V011"]);
    assert_eq!(after(0x400, "start", "0xfffffffffffff000"), ["V012"]);
    assert_eq!(after(0x600, "offset", "0x2000"), ["V014"]);
    assert_eq!(after(0x600, "region", "null"), ["V015"]);
    assert_eq!(after(0x200, "owner", "null"), ["V016"]);
    assert_eq!(after(0x200, "locked", "false"), ["V017"]);
    assert_eq!(after(0x2000, "space", "null"), ["V018"]);
    assert_eq!(after(0x2000, "waiting_for", "0x600"), ["V007"]);
    assert_eq!(after(0x2000, "waiting_for", "0x0"), ["V019"]);
    assert_eq!(after(0x2000, "waiting_for", "0xe00"), ["V020"]);
    assert_eq!(after(0x2000, "rax", "0"), ["V020"]);
    assert_eq!(after(0x2000, "server_peer", "0x1000"), ["V021"]);
    assert_eq!(after(0x2000, "rip", "0x8000000000000000"), ["V022"]);
    assert_eq!(after(0x2000, "vectors.mxcsr", "0x10000"), ["V023"]);
    assert_eq!(after(0x2000, "priority", "32"), ["V024"]);
    assert_eq!(after(0x1000, "exception.code", "77"), ["V025"]);
}

/// Whatever a nester hands out has a name that is known, and so has its thread behind it.
#[test]
fn nothing_that_nesters_hand_out_is_an_unknown_service() {
    for tag in tags::ALL {
        assert!(after(0x800, "target", &format!("external:{tag}")).is_empty(), "{tag}");
        assert!(after(0x800, "target", &format!("external:{tag}.client")).is_empty(), "{tag}");
    }
}

#[test]
fn oddities_between_flobs_have_their_codes() {
    let mut overlap = environment();
    let mapping = common::flob(
        FlobKind::Mapping,
        0x3000,
        &[("start", "0x11000"), ("size", "0x1000"), ("space", "0x0"), ("region", "0x400")],
    );
    overlap.flobs.push(mapping);
    assert_eq!(codes(&overlap), ["V013"]);

    let mut placed = environment();
    placed.flobs.push(common::flob(FlobKind::Condition, 0x2200, &[]));
    placed.flobs.push(common::flob(FlobKind::Condition, 0x3100, &[]));
    placed.flobs.push(common::flob(FlobKind::Condition, 0x2_0000, &[]));
    placed.flobs.push(common::flob(FlobKind::Condition, 0x3200, &[]));
    assert_eq!(codes(&placed), ["V004", "V002", "V001", "V003"]);

    let mut links = environment();
    links.flobs[1].links.push(Link::Null);
    assert_eq!(codes(&links), ["V005"]);

    let mut border = environment();
    border.borders.push(flob_image::Border {
        client: 0x2000,
        service: "stdin".into(),
        request: vec![1],
        whole: true,
        delivered: 0,
        reply: vec![],
    });
    assert_eq!(codes(&border), ["V026"]);
    border.borders[0].client = 0x1000;
    assert_eq!(codes(&border), Vec::<&str>::new());
}

#[test]
fn worst_of_findings_decides_whether_a_restore_needs_force() {
    let mut environment = environment();
    fields::set(environment.flob_mut(0x200).expect("mutex"), "locked", "false").expect("locked");
    assert_eq!(worst(&verify(&environment)), Some(Severity::Warning));
    fields::set(environment.flob_mut(0x200).expect("mutex"), "owner", "unknown").expect("owner");
    assert_eq!(worst(&verify(&environment)), Some(Severity::Error));
}

#[test]
fn parked_server_end_is_no_one_sided_connection() {
    let mut environment = environment();
    fields::set(environment.flob_mut(0x2000).expect("thread"), "client_peer", "0x1000").expect("peer");
    assert_eq!(codes(&environment), ["V021"]);
    fields::set(environment.flob_mut(0x800).expect("reference"), "target", "0x2000").expect("target");
    assert_eq!(codes(&environment), Vec::<&str>::new());
}

#[test]
fn diff_names_fields_links_and_recreated_flobs() {
    let before = environment();
    let mut after = environment();
    assert!(diff::diff(&before, &after).is_empty());
    fields::set(after.flob_mut(0x200).expect("mutex"), "locked", "false").expect("locked");
    fields::set(after.flob_mut(0x200).expect("mutex"), "owner", "null").expect("owner");
    after.streams[0].position = 120;
    after.clock += 5;
    // A re-created flob has another hash.
    let state = after.flob_mut(0xe00).expect("condition").state.as_mut_bytes();
    state[0] = 9;
    let found = diff::diff(&before, &after);
    assert_eq!(found.changed.len(), 1);
    assert_eq!(
        (found.changed[0].fields[0].field.as_str(), found.changed[0].fields[0].after.as_str()),
        ("locked", "false")
    );
    assert_eq!(
        (found.changed[0].links[0].link.as_str(), &found.changed[0].links[0].after),
        ("owner", &Link::Null)
    );
    assert_eq!((found.removed[0].place, found.added[0].place), (0xe00, 0xe00));
    assert_eq!((found.streams[0].before, found.streams[0].after, found.clock), (100, 120, 5));
}

#[test]
fn diff_of_pages_joins_neighbours() {
    let before = [(1, 'a'), (2, 'b'), (3, 'c'), (9, 'z')];
    let after = [(1, 'a'), (2, 'x'), (4, 'd'), (9, 'y')];
    assert_eq!(diff::pages(&before, &after), [2..5, 9..10]);
    assert!(diff::pages(&before, &before).is_empty());
}

#[test]
fn json_has_hexadecimal_strings_for_64_bit_values() {
    let json = json::to_json(&environment());
    let thread = &json["flobs"][9];
    assert_eq!(thread["place"], "0x2000");
    assert_eq!(thread["state"]["registers.rip"], "0x402000");
    assert_eq!(thread["state"]["priority"], 3);
    assert_eq!(thread["links"]["waiting_for"], "0x200");
    assert!(thread["links"]["client_peer"].is_null());
    assert_eq!(json["flobs"][1]["state"]["locked"], true);
}

#[test]
fn decoding_refuses_other_bytes_and_newer_versions() {
    let bytes = encode::encode(&environment());
    assert_eq!(encode::decode(b"FLOB"), Err(encode::DecodeError::NotAnEnvironment));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(encode::decode(&newer), Err(encode::DecodeError::Newer(9)));
    for length in 0..bytes.len() {
        encode::decode(&bytes[..length]).expect_err("a truncated record");
    }
}

proptest! {
    #[test]
    fn encoding_gives_the_same_environment_again(environment in any_environment()) {
        prop_assert_eq!(encode::decode(&encode::encode(&environment)), Ok(environment));
    }

    #[test]
    fn decoding_damaged_bytes_never_panics(index in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = encode::encode(&environment());
        let index = index.index(bytes.len());
        bytes[index] ^= 1 << bit;
        if let Ok(environment) = encode::decode(&bytes) {
            verify(&environment);
        }
    }

    #[test]
    fn verifying_anything_never_panics(environment in any_environment()) {
        verify(&environment);
        json::to_json(&environment);
    }
}

//! The edit proof: every field of every kind of flob edited in an image, and seen where it is looked at: in the image, and in the
//! guest that the image was restored into. The table of fields drives it, so a new field cannot be forgotten.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use flob_abi::FlobKind;
use flob_image::fields::{self, Field, Format, Value};
use flob_image::json::value_to_json;
use flob_tests::{World, seed};
use serde_json::Value as Json;

/// A flob of each kind in a `wordcount` that waits for its input. None of them is needed to show what the program is.
const FLOBS: [(FlobKind, &str); 9] = [
    (FlobKind::Space, "space:wordcount/TALLY_SPACE"),
    (FlobKind::Thread, "thread:wordcount/WORKER[3]"),
    (FlobKind::Region, "region:wordcount/REGIONS[2]"),
    (FlobKind::Mapping, "mapping:wordcount/MAPPINGS[4]"),
    (FlobKind::Port, "port:TALLY_SPACE/TALLY_PORT"),
    (FlobKind::PortSet, "portset:TALLY_SPACE/TALLY_PORT_SET"),
    (FlobKind::Mutex, "mutex:wordcount/QUEUE"),
    (FlobKind::Condition, "condition:wordcount/NOT_FULL"),
    (FlobKind::Reference, "reference:wordcount/TALLY_SERVICE"),
];

/// Fields that a kernel does not take as they are, each with the reason; all others must come back from a guest.
const NOT_KEPT: [(FlobKind, &str, &str); 1] =
    [(FlobKind::Thread, "rank", "a place among those who wait for the same: who waits for nothing has none")];

/// `wordcount` waiting for input, saved; its guest is gone.
fn saved(world: &World) -> String {
    let fifo = world.path("input");
    let status = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(status.success());
    let writer = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let guest = world.guest(&["wordcount"], Some(&fifo));
    guest.wait_for_threads("all wait", |threads| {
        threads.len() == 7 && threads.iter().all(|thread| thread["state"] == "waits")
    });
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    drop(writer);
    checkpoint
}

/// The name of each kind's flob in this image: the one above, or if names are otherwise now, any of the kind but the first.
fn names(world: &World, checkpoint: &str) -> BTreeMap<u32, String> {
    let tree = world.json(&["graph", "--at", checkpoint, "--json"]);
    let all: Vec<(&str, &str)> = tree["flobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flob| (flob["kind"].as_str().unwrap(), flob["flob"].as_str().unwrap()))
        .collect();
    let name = |(kind, wanted): (FlobKind, &str)| {
        let of_kind: Vec<&str> =
            all.iter().filter(|(other, _)| *other == kind.name()).map(|(_, name)| *name).collect();
        let found = of_kind.iter().find(|name| **name == wanted).or_else(|| of_kind.last());
        (kind as u32, (*found.unwrap_or_else(|| panic!("no {} in {all:?}", kind.name()))).to_owned())
    };
    FLOBS.into_iter().map(name).collect()
}

fn settable(kind: FlobKind) -> impl Iterator<Item = &'static Field> {
    fields::of(kind).iter().filter(|field| field.settable)
}

/// Edits an image; the new one.
fn edit(world: &World, checkpoint: &str, sets: &[String]) -> String {
    let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
    let arguments: Vec<&str> = ["checkpoint", "edit", checkpoint].into_iter().chain(sets).collect();
    world.flob_ok(&arguments).trim().to_owned()
}

#[test]
fn every_field_takes_any_value_in_an_image() {
    let mut random = fastrand::Rng::with_seed(seed());
    let world = World::new();
    let checkpoint = saved(&world);
    let names = names(&world, &checkpoint);
    let mut sets = Vec::new();
    let mut expected: Vec<(u32, &Field, Value)> = Vec::new();
    for (kind, _) in FLOBS {
        for field in settable(kind) {
            let bytes: Vec<u8> = (0..field.width).map(|_| random.u8(1..)).collect();
            let value = Value::from_bytes(field.format, &bytes);
            sets.push(format!("{}.{}={}", names[&(kind as u32)], field.name, value.portable()));
            expected.push((kind as u32, field, value));
        }
    }
    let edited = edit(&world, &checkpoint, &sets);
    let shown: BTreeMap<u32, Json> = names
        .iter()
        .map(|(kind, name)| (*kind, world.json(&["show", "--at", &edited, "--json", name])))
        .collect();
    for (kind, field, value) in &expected {
        assert_eq!(
            shown[kind]["state"][field.name],
            value_to_json(value),
            "{} of {}",
            field.name,
            names[kind]
        );
    }
    // What is not there to be set is refused by name, and so is what is no value.
    for (kind, _) in FLOBS {
        for field in fields::of(kind) {
            let wrong = if field.format == Format::Bytes { "0g" } else { "nonsense" };
            let set = format!("{}.{}={wrong}", names[&(kind as u32)], field.name);
            // One of each kind, and of each that cannot be set; the library's test has all.
            if field.settable && field.offset != 8 {
                continue;
            }
            let said = world.flob(&["checkpoint", "edit", &checkpoint, "--set", &set]);
            assert_eq!((said.code, said.stderr.lines().count()), (Some(122), 1), "{set}: {said}");
            assert!(said.stderr.contains(&format!("`{}`", field.name)), "{set}: {said}");
        }
    }
    eprintln!("edit: {} fields of 9 kinds set in an image, each seen", expected.len());
}

#[test]
fn every_link_leads_anywhere_in_an_image() {
    let world = World::new();
    let checkpoint = saved(&world);
    let names = names(&world, &checkpoint);
    let targets = ["null", "external:parent", "thread:wordcount/main"];
    for (turn, target) in targets.into_iter().enumerate() {
        let links =
            FLOBS.into_iter().flat_map(|(kind, _)| kind.links().iter().map(move |link| (kind, *link)));
        let links: Vec<_> = links.collect();
        let set = |(kind, link): &(FlobKind, &str)| format!("{}.{link}={target}", names[&(*kind as u32)]);
        let edited = edit(&world, &checkpoint, &links.iter().map(set).collect::<Vec<_>>());
        for (kind, link) in &links {
            let shown = world.json(&["show", "--at", &edited, "--json", &names[&(*kind as u32)]]);
            let found = &shown["links"][*link];
            let is_right = match turn {
                0 => found.is_null(),
                1 => found.as_str().is_some_and(|text| text.ends_with("parent")),
                _ => found.as_str().is_some_and(|text| !text.ends_with("parent")),
            };
            assert!(is_right, "{link} of {}: {found} is not {target}", names[&(*kind as u32)]);
        }
    }
}

/// A value that a kernel takes, other than the field is likely to have.
fn acceptable(kind: FlobKind, field: &Field, random: &mut fastrand::Rng) -> String {
    match (kind, field.name) {
        (FlobKind::Space, "ceiling") => "17".into(),
        // Grants: no more than what the nester itself has.
        (FlobKind::Space, "interrupts") => "0x0".into(),
        (FlobKind::Space, name) if name.starts_with("ports") => "0".into(),
        (FlobKind::Region | FlobKind::Mapping, "start" | "size" | "offset") => {
            format!("{:#x}", random.u64(1..0x1000) * 4096)
        }
        (FlobKind::Thread, "priority") => "7".into(),
        (FlobKind::Thread, "flags") => "stopped|exceptions_enabled".into(),
        // All arithmetic bits, DF and IF.
        (FlobKind::Thread, "registers.rflags" | "saved.rflags") => "0xed7".into(),
        (FlobKind::Thread, "exception.deferred") => "0x6000".into(),
        (FlobKind::Thread, "debug.dr6") => "0xffff0ff5".into(),
        (FlobKind::Thread, "debug.dr7") => "0x455".into(),
        (FlobKind::Thread, "vectors.mxcsr") => "0x1fa0".into(),
        (FlobKind::Thread, "vectors.mxcsr_mask") => "0xffff".into(),
        // User addresses, which are canonical too.
        (FlobKind::Thread, name)
            if ["rip", "base", "debug.address", "handlers"].iter().any(|part| name.contains(part)) =>
        {
            format!("{:#x}", random.u64(0x1000..0x7fff_0000_0000))
        }
        _ => match field.format {
            Format::Bool => "true".into(),
            Format::Protection => "r-x".into(),
            Format::ExceptionCode => "divide error".into(),
            Format::Flags(flags) => {
                let names: Vec<&str> = flags.iter().map(|flag| flag.name).collect();
                if names.is_empty() { "none".into() } else { names.join("|") }
            }
            Format::Hex | Format::Decimal | Format::Bytes => {
                let bytes: Vec<u8> = (0..field.width).map(|_| random.u8(1..)).collect();
                Value::from_bytes(field.format, &bytes).portable()
            }
        },
    }
}

#[test]
fn every_field_of_an_edited_image_arrives_in_a_guest() {
    let mut random = fastrand::Rng::with_seed(seed());
    let world = World::new();
    let checkpoint = saved(&world);
    let names = names(&world, &checkpoint);
    let mut sets = vec![format!("{}.waiting_for=null", names[&(FlobKind::Thread as u32)])];
    let mut expected: Vec<(FlobKind, &Field, Json)> = Vec::new();
    for (kind, _) in FLOBS {
        for field in settable(kind) {
            let text = acceptable(kind, field, &mut random);
            let value = field.parse(&text).unwrap();
            sets.push(format!("{}.{}={text}", names[&(kind as u32)], field.name));
            expected.push((kind, field, value_to_json(&value)));
        }
    }
    let edited = edit(&world, &checkpoint, &sets);
    let guest = world.guest_of(world.start(&["run", "--headless", "--paused", "--restore", &edited], None));
    let shown: BTreeMap<u32, Json> =
        names.iter().map(|(kind, name)| (*kind, guest.json(&["show", "--json", name]))).collect();
    let mut wrong = Vec::new();
    for (kind, field, value) in &expected {
        let found = &shown[&(*kind as u32)]["state"][field.name];
        let exempt = NOT_KEPT.iter().find(|(other, name, _)| other == kind && *name == field.name);
        if let Some((_, _, reason)) = exempt {
            // An exemption that is not needed any more is to go.
            assert_ne!(found, value, "{} is kept, though {reason}", field.name);
        } else if found != value {
            wrong.push(format!("{} of {}: {found} instead of {value}", field.name, kind.name()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    eprintln!("edit: {} fields of 9 kinds arrived in a guest", expected.len() - NOT_KEPT.len());
    guest.flob_ok(&["stop"]);
}

/// What a thread's own debug registers watch, it is still told of in another machine: it stands where it has touched that, and goes on
/// when it is let go.
#[test]
fn a_watch_of_the_programs_own_is_hit_behind_a_restore() {
    // One register: eight bytes, read or written.
    const ACCESS_TO_8: &str = "debug.dr7=0xf0001";
    let world = World::new();
    let guest = world.guest(&["philosophers", "3", "--meals", "2", "--deadlock"], None);
    let is_stuck = |threads: &[Json]| threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3;
    guest.wait_for_threads("nobody can eat", is_stuck);
    let name = "thread:philosophers/PHILOSOPHERS[1]";
    let before = guest.json(&["show", "--json", name]);
    // Where its call goes back to lies on top of its stack.
    let top = format!("debug.address[0]={}", before["state"]["registers.rsp"].as_str().unwrap());
    guest.flob_ok(&["set", name, &top, ACCESS_TO_8]);
    let checkpoint = guest.save(&[]);
    guest.power_cut();
    let guest = world.guest(&["--restore", &checkpoint], None);
    guest.flob_ok(&["set", "mutex:philosophers/FORKS[2]", "locked=false"]);
    let is_held = |thread: &&Json| thread["state"] == "held";
    let threads =
        guest.wait_for_threads("it is told", |threads| threads.iter().any(|thread| is_held(&thread)));
    let held: Vec<&Json> = threads.iter().filter(is_held).collect();
    assert!(held.len() == 1 && held[0]["name"] == "philosopher-1", "{held:?}");
    let told = guest.json(&["show", "--json", name]);
    assert_ne!(told["state"]["registers.rip"], before["state"]["registers.rip"]);
    guest.flob_ok(&["set", name, "debug.dr7=0x400"]);
    guest.flob_ok(&["resume", name]);
    let finished = guest.finish();
    assert!(finished.code == Some(0) && finished.stdout.contains("have had 2 meals"), "{finished}");
}

//! A save keeps the program from running for a moment, and for no more: it runs on while its record is made and while its memory
//! travels. (The same of the stand-alone checkpointer: `checkpointer.rs`.)
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::World;

/// The position behind each piece of output that came between two lines of the link's log.
fn said<'a>(log: &'a [&'a str], from: &str, to: &str) -> impl Iterator<Item = u64> + 'a {
    let begin = log.iter().position(|line| line.contains(from)).unwrap_or_else(|| panic!("no {from}"));
    let end = log.iter().position(|line| line.contains(to)).unwrap_or_else(|| panic!("no {to}"));
    log[begin..end].iter().filter_map(|line| {
        let (_, rest) = line.split_once("Output { stream: 1, position: ")?;
        let (position, bytes) = rest.split_once(", bytes: [")?;
        Some(position.parse::<u64>().unwrap() + bytes.split(',').count() as u64)
    })
}

/// A thread of it counts and says so: what it says shows that it runs. What it has said before the moment of the save is in the image.
#[test]
fn a_program_runs_on_while_its_record_is_made_and_while_its_memory_travels() {
    let world = World::new();
    let guest = world.guest(
        &["--memory", "512", "--counted", "crowd", "--threads", "0", "--flobs", "5000", "--talk", "1"],
        None,
    );
    guest.hub.wait_for("count ");
    let checkpoint = guest.save(&[]);
    let log = world.path(&format!("run/flob/{}.logs/link.log", guest.name));
    guest.power_cut();
    let text = std::fs::read_to_string(log).unwrap();
    let log: Vec<&str> = text.lines().collect();
    let image = world.json(&["checkpoint", "show", "--json", &checkpoint]);
    let streams = image["environment"]["streams"].as_array().unwrap();
    let stdout = streams.iter().find(|stream| stream["name"] == "stdout").unwrap();
    let before = u64::from_str_radix(&stdout["position"].as_str().unwrap()[2..], 16).unwrap();
    let while_recorded = said(&log, "SaveBegin", "Ok(Saving").filter(|position| *position > before).count();
    let while_copied = said(&log, "Ok(Saving", "SaveEnd").count();
    eprintln!(
        "it spoke {while_recorded} times while its record was made and {while_copied} while its memory travelled"
    );
    assert!(while_recorded > 0 && while_copied > 0, "{while_recorded} {while_copied}");
}

//! Conditions are compiled and run: what they come to, and what is said of those that are none.

use flob_image::fields;
use flob_link::condition::REGISTERS;

use super::*;

struct Program;

impl Scope for Program {
    fn symbol(&self, name: &str) -> Option<Meaning> {
        let meaning = |address, value| Some(Meaning { address, value, is_code: false });
        match name {
            "COUNT" => meaning(0x100, Some((4, false))),
            "table::DEPTH" => meaning(0x200, Some((2, true))),
            "CELLS[3]" => meaning(0x300, Some((8, false))),
            "TABLE" => meaning(0x400, None),
            "main" => Some(Meaning { address: 0x500, value: None, is_code: true }),
            _ => None,
        }
    }

    fn flob(&self, name: &str) -> Result<u64, Error> {
        let known = [("worker-0", 0x4000), ("FORKS[1]", 0x7000)];
        let place = known.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        place.ok_or_else(|| Error::NotFound(format!("no flob '{name}'")))
    }

    fn kind(&self, place: u64) -> Option<FlobKind> {
        Some(if place == 0x7000 { FlobKind::Mutex } else { FlobKind::Thread })
    }
}

struct Machine;

impl program::World for Machine {
    fn register(&mut self, number: u8) -> u64 {
        if REGISTERS[usize::from(number)] == "rdi" { 0x100 } else { u64::from(number) }
    }

    fn thread(&mut self) -> u64 {
        0x4000
    }

    fn read(&mut self, address: u64, room: &mut [u8]) -> bool {
        let value: u64 = match address {
            0x100 => 7,
            0x200 => 0xfffe,
            0x300 => u64::MAX,
            _ => return false,
        };
        let bytes = value.to_le_bytes();
        room.copy_from_slice(&bytes[..room.len()]);
        true
    }

    fn field(&mut self, place: u64, kind: u8, offset: u16, room: &mut [u8]) -> bool {
        let at = |kind: FlobKind, name: &str| {
            let field = fields::of(kind).iter().find(|field| field.name == name).expect("a field");
            (field.offset, field.width)
        };
        let here = (usize::from(offset), room.len());
        room[0] = match (place, u32::from(kind)) {
            (0x7000, kind) if kind == FlobKind::Mutex as u32 && here == at(FlobKind::Mutex, "locked") => 1,
            (0x4000, kind) if kind == FlobKind::Thread as u32 && here == at(FlobKind::Thread, "priority") => {
                8
            }
            _ => return false,
        };
        true
    }

    fn link(&mut self, place: u64, _kind: u8, link: u8) -> Option<u64> {
        let owner = FlobKind::Mutex.links().iter().position(|name| *name == "owner");
        (place == 0x7000 && owner == Some(link.into())).then_some(0x4000)
    }
}

fn value(text: &str) -> Result<u64, program::Fault> {
    let condition = compile(text, &Program).unwrap_or_else(|error| panic!("{text}: {error}"));
    program::run(&condition.code, &mut Machine)
}

#[test]
fn operators_bind_as_in_c() {
    let cases = [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("1 << 4 | 3 & 2", 18),
        ("5 & 4 == 4", 5 & 1),
        ("1 < 2 == 1", 1),
        ("-1 < 0", 1),
        ("-7 / 2 == -3", 1),
        ("~0 == -1", 1),
        ("!5 || !0", 1),
        ("0x10 % 7", 2),
        ("1_000", 1000),
        ("0 && *0x999", 0),
        ("3 || *0x999", 3),
        ("1&&2", 2),
        ("8 >> 1 >= 4", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn registers_memory_statics_and_threads_are_read() {
    let cases = [
        ("$rdi", 0x100),
        ("$rax + $rbx", 1),
        ("u32[$rdi]", 7),
        ("*$rdi == 7", 1),
        ("COUNT == 7", 1),
        ("&COUNT", 0x100),
        ("u8[&COUNT + 0]", 7),
        ("table::DEPTH == -2", 1),
        ("CELLS[3] == -1", 1),
        ("main", 0x500),
        ("$thread == 'worker-0' && COUNT", 7),
        ("'FORKS[1]'.locked", 1),
        ("'FORKS[1]'.owner == $thread", 1),
        ("$thread.priority + 'worker-0'.priority", 16),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    assert_eq!(value("*0x999"), Err(program::Fault::Memory(0x999)));
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    let long = vec!["COUNT"; 60].join(" + ");
    let nested = "1+(".repeat(20) + "1" + &")".repeat(20);
    let cases = [
        ("", "its end"),
        ("1 +", "its end"),
        ("(1", "')' is missing"),
        ("u8[1", "']' is missing"),
        ("$eax", "the registers are thread, rax"),
        ("NOTHING", "a symbol expected"),
        ("TABLE == 1", "no plain number"),
        ("99999999999999999999", "no number of 64 bits"),
        ("1 2", "not understood"),
        ("'nobody'", "no flob 'nobody'"),
        ("'nobody", "' is missing"),
        ("'FORKS[1]'.nothing", "a mutex has no field or link `nothing`; it has "),
        (deep.as_str(), "too many parentheses"),
        (long.as_str(), "too long"),
        (nested.as_str(), "nested too deeply"),
    ];
    for (text, part) in cases {
        let error = compile(text, &Program).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

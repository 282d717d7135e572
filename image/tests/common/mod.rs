//! Environments for tests.

use flob_abi::{Call, FlobKind, ipc};
use flob_image::{Environment, Flob, Link, State, Stream, fields};
use proptest::prelude::*;

/// A flob with these fields and links set.
pub fn flob(kind: FlobKind, place: u64, settings: &[(&str, &str)]) -> Flob {
    let state = State::from_bytes(kind, &[]).expect("an empty state");
    let mut flob = Flob { place, state, links: vec![Link::Null; kind.links().len()] };
    for (name, text) in settings {
        fields::set(&mut flob, name, text).expect(name);
    }
    flob
}

/// A small environment in good order: two threads, of which one holds a mutex and the other waits for it, a connection
/// to the outside, and a child space with a mapping.
pub fn environment() -> Environment {
    let lock = format!("{:#x}", Call::MutexLock as u64);
    let call = format!("{:#x}", ipc::IPC | ipc::RECEIVE);
    Environment {
        program: "philosophers".into(),
        arguments: vec!["philosophers".into(), "--deadlock".into()],
        build_id: "0123456789abcdef".into(),
        size: 0x2_0000,
        flobs: vec![
            flob(FlobKind::Space, 0x0, &[("ceiling", "20"), ("keeper", "external:keeper")]),
            flob(FlobKind::Mutex, 0x200, &[("locked", "true"), ("owner", "0x1000")]),
            flob(FlobKind::Region, 0x400, &[("start", "0x400000"), ("size", "0x3000"), ("space", "0x0")]),
            flob(
                FlobKind::Mapping,
                0x600,
                &[
                    ("start", "0x10000"),
                    ("size", "0x2000"),
                    ("protection", "rw"),
                    ("space", "0x0"),
                    ("region", "0x400"),
                ],
            ),
            flob(FlobKind::Reference, 0x800, &[("target", "external:stdin")]),
            flob(FlobKind::Port, 0xa00, &[("alias", "7"), ("port_set", "0xc00")]),
            flob(FlobKind::PortSet, 0xc00, &[]),
            flob(FlobKind::Condition, 0xe00, &[]),
            flob(
                FlobKind::Thread,
                0x1000,
                &[("space", "0x0"), ("rip", "0x401000"), ("rax", &call), ("client_peer", "external:stdin")],
            ),
            flob(
                FlobKind::Thread,
                0x2000,
                &[
                    ("space", "0x0"),
                    ("rip", "0x402000"),
                    ("rax", &lock),
                    ("waiting_for", "0x200"),
                    ("priority", "3"),
                ],
            ),
        ],
        streams: vec![Stream { name: "stdin".into(), position: 100, hash: 5 }],
        borders: vec![],
        clock: 1_000_000,
        exit: None,
    }
}

fn any_link() -> impl Strategy<Value = Link> {
    prop_oneof![
        Just(Link::Null),
        Just(Link::Unknown),
        "[a-z\"\\\\.é]{1,12}".prop_map(Link::External),
        any::<u64>().prop_map(Link::Flob),
    ]
}

/// Any flob with any bytes and any links.
pub fn any_flob() -> impl Strategy<Value = Flob> {
    let parts = (
        1_u32..10,
        any::<u64>(),
        prop::collection::vec(any::<u8>(), 896),
        prop::collection::vec(any_link(), 6),
    );
    parts.prop_map(|(kind, place, bytes, mut links)| {
        let kind = FlobKind::from_number(kind).expect("a kind");
        let empty = State::from_bytes(kind, &[]).expect("a state");
        links.truncate(kind.links().len());
        let state = State::from_bytes(kind, &bytes[..empty.as_bytes().len()]).expect("a state");
        Flob { place, state, links }
    })
}

/// Any environment with any flobs.
pub fn any_environment() -> impl Strategy<Value = Environment> {
    prop::collection::vec(any_flob(), 0..8).prop_map(|mut flobs| {
        flobs.sort_by_key(|flob| flob.place);
        flobs.dedup_by_key(|flob| flob.place);
        Environment { flobs, ..environment() }
    })
}

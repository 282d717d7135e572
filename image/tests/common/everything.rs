//! An environment that has everything: each kind twice, every field set, links of every sort, requests in every stage.

use flob_abi::FlobKind;
use flob_image::{Border, Environment, Flob, Link, State, Stream, fields};

/// Every byte of every field that can be set is some number, by this seed.
pub fn everything(seed: u64) -> Environment {
    let mut numbers = fastrand::Rng::with_seed(seed);
    let mut flobs = Vec::new();
    let mut place = 0;
    for kind in FlobKind::ALL.into_iter().chain(FlobKind::ALL) {
        place = place_for(kind, place);
        flobs.push(any(kind, place, &mut numbers));
        place += kind.size();
    }
    let threads: Vec<u64> =
        flobs.iter().filter(|flob| matches!(flob.state, State::Thread(_))).map(|flob| flob.place).collect();
    Environment {
        program: "everything".into(),
        arguments: vec!["everything".into(), "ä \"quoted\" argument".into(), String::new()],
        build_id: "00112233445566778899aabbccddeeff00112233".into(),
        size: 0x10000,
        flobs,
        streams: vec![
            Stream { name: "stdin".into(), position: 1 << 40, hash: u64::MAX },
            Stream { name: "stdout".into(), position: 7, hash: 0 },
        ],
        borders: vec![
            border(threads[0], "stdin", b"\x01\x02 half a re", false, 0, b""),
            border(threads[0], "programs", b"a whole request", true, 0, b""),
            border(threads[1], "clock", b"what time", true, 3, b"a reply on its way"),
        ],
        clock: 0x1234_5678_9abc_def0,
        exit: Some(-3),
    }
}

fn place_for(kind: FlobKind, from: u64) -> u64 {
    from.next_multiple_of(kind.size())
}

fn any(kind: FlobKind, place: u64, numbers: &mut fastrand::Rng) -> Flob {
    let mut state = State::from_bytes(kind, &[]).expect("a state");
    numbers.fill(state.as_mut_bytes());
    for field in fields::of(kind).iter().filter(|field| field.is_reserved()) {
        state.as_mut_bytes()[field.offset..field.offset + field.width].fill(0);
    }
    let link = |numbers: &mut fastrand::Rng| match numbers.u8(0..4) {
        0 => Link::Null,
        1 => Link::Flob(numbers.u64(0..16) * 512),
        2 => Link::External(["parent", "stdin.client", "kein Dienst"][numbers.usize(0..3)].into()),
        _ => Link::Unknown,
    };
    let links = kind.links().iter().map(|_| link(numbers)).collect();
    Flob { place, state, links }
}

fn border(client: u64, service: &str, request: &[u8], whole: bool, delivered: u64, reply: &[u8]) -> Border {
    let (service, request, reply) = (service.into(), request.into(), reply.into());
    Border { client, service, request, whole, delivered, reply }
}

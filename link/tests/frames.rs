//! Frames survive any surroundings, and damage never passes for a frame.

use flob_abi::Sum;
use flob_link::MAX_FRAME;
use flob_link::frame::{Decoder, MAX_BULK, encode, encode_raw_head, encode_with_bulk};
use proptest::prelude::*;

fn decode_all(bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, u64) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    decoder.feed(bytes, |frame| frames.push((frame.channel, frame.payload.to_vec())));
    (frames, decoder.garbled())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        prop::collection::vec(Just(0_u8), 0..MAX_FRAME),
        prop::collection::vec(1_u8..=255, MAX_FRAME - 3..=MAX_FRAME),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn frames_come_out_as_they_went_in(frames in prop::collection::vec((0_u8..64, payload()), 0..5)) {
        let mut stream = Vec::new();
        for (channel, payload) in &frames {
            encode(*channel, payload, &mut stream).expect("short enough");
        }
        prop_assert_eq!(decode_all(&stream), (frames, 0));
    }

    #[test]
    fn what_goes_out_is_cobs_as_others_have_it(payload in payload()) {
        let mut stream = Vec::new();
        encode(5, &payload, &mut stream).expect("short enough");
        let frame = stream.strip_prefix(&[0]).and_then(|frame| frame.strip_suffix(&[0])).expect("delimiters");
        let mut contents = frame.to_vec();
        let length = cobs::decode_in_place(&mut contents).expect("COBS");
        let mut again = vec![0; frame.len() + 1];
        let stuffed = cobs::encode(&contents[..length], &mut again);
        // One that ends with a full run may have a count of nothing behind it, or not.
        prop_assert!(frame == &again[..stuffed] || [frame, &[1]].concat() == again[..stuffed]);
    }

    #[test]
    fn noise_between_frames_costs_no_frame(noise in prop::collection::vec(any::<u8>(), 0..3000), payload in payload()) {
        let mut stream = noise;
        encode(3, &payload, &mut stream).expect("short enough");
        let (frames, _) = decode_all(&stream);
        prop_assert_eq!(frames.last(), Some(&(3, payload)));
    }

    #[test]
    fn a_flipped_bit_loses_that_frame_and_no_other(
        payload in prop::collection::vec(any::<u8>(), 0..600),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut stream = Vec::new();
        encode(1, &payload, &mut stream).expect("short enough");
        let damaged = at.index(stream.len() - 2) + 1;
        stream[damaged] ^= 1 << bit;
        encode(2, b"next", &mut stream).expect("short enough");
        let (frames, garbled) = decode_all(&stream);
        prop_assert_eq!(frames, vec![(2, b"next".to_vec())]);
        prop_assert!(garbled >= 1);
    }

    #[test]
    fn garbage_is_never_a_frame_and_never_stops_the_decoder(garbage in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let (frames, _) = decode_all(&garbage);
        prop_assert!(frames.is_empty());
    }
}

/// Channel, message and bulk.
type Whole = (u8, Vec<u8>, Vec<u8>);

fn with_bulk(bytes: &[u8], step: usize) -> (Vec<Whole>, u64) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        decoder.feed(piece, |frame| frames.push((frame.channel, frame.payload.to_vec(), frame.bulk)));
    }
    (frames, decoder.garbled())
}

fn raw(channel: u8, message: &[u8], bulk: &[u8], stream: &mut Vec<u8>) {
    encode_raw_head(channel, message, bulk.len(), Sum::of(bulk), stream).expect("short enough");
    stream.extend_from_slice(bulk);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bulk_comes_with_its_message_raw_or_framed_however_the_bytes_are_cut(
        bulk in prop::collection::vec(any::<u8>(), 1..5000),
        message in prop::collection::vec(any::<u8>(), 0..200),
        step in 1_usize..3000,
    ) {
        let mut stream = Vec::new();
        raw(5, &message, &bulk, &mut stream);
        encode(6, b"between", &mut stream).expect("short enough");
        encode_with_bulk(7, &message, &bulk, &mut stream).expect("short enough");
        raw(8, b"", &bulk, &mut stream);
        let (frames, garbled) = with_bulk(&stream, step);
        prop_assert_eq!(garbled, 0);
        prop_assert_eq!(frames, vec![
            (5, message.clone(), bulk.clone()),
            (6, b"between".to_vec(), vec![]),
            (7, message, bulk.clone()),
            (8, vec![], bulk),
        ]);
    }

    #[test]
    fn raw_bulk_that_was_changed_is_dropped_with_its_message(
        bulk in prop::collection::vec(any::<u8>(), 1..5000),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut stream = Vec::new();
        raw(5, b"first", &bulk, &mut stream);
        let damaged = stream.len() - bulk.len() + at.index(bulk.len());
        stream[damaged] ^= 1 << bit;
        raw(6, b"second", &bulk, &mut stream);
        prop_assert_eq!(with_bulk(&stream, 4096), (vec![(6, b"second".to_vec(), bulk)], 1));
    }
}

/// What is missing of raw bulk is taken from what follows, and with that it is dropped; what comes behind is whole again.
#[test]
fn half_of_a_bulk_costs_what_fills_it_and_no_more() {
    let bulk = vec![9; 4096];
    for left in [0, 1, 100, 4095] {
        let mut stream = Vec::new();
        raw(5, b"half", &bulk, &mut stream);
        stream.truncate(stream.len() - bulk.len() + left);
        let filled = stream.len() + bulk.len() - left;
        let (mut numbers, mut whole) = (0_u32.., Vec::new());
        while stream.len() < filled + 200 {
            let message = numbers.next().unwrap_or_default().to_le_bytes();
            let before = stream.len();
            encode(6, &message, &mut stream).expect("short enough");
            // A frame begins with what ends the one before: the first that begins behind it may be lost with it.
            if before > filled {
                whole.push((6, message.to_vec(), vec![]));
            }
        }
        let (frames, garbled) = with_bulk(&stream, 777);
        assert!(
            frames.ends_with(&whole[1..]),
            "{left} bytes came, {} frames of {}",
            frames.len(),
            whole.len()
        );
        assert!(frames.len() <= whole.len() + 1 && garbled >= 1, "nothing of the half came through");
    }
}

#[test]
fn bulk_beyond_the_limits_is_refused() {
    let (mut out, sum) = (Vec::new(), 0);
    assert!(encode_raw_head(0, b"", MAX_BULK + 1, sum, &mut out).is_err());
    assert!(encode_raw_head(0, b"", MAX_BULK, sum, &mut out).is_ok());
    assert!(encode_with_bulk(0, b"", &[1; MAX_FRAME - 1], &mut out).is_err());
    assert!(encode_with_bulk(0, b"", &[1; MAX_FRAME - 2], &mut out).is_ok());
}

#[test]
fn a_payload_beyond_the_limit_is_refused() {
    assert!(encode(0, &vec![1; MAX_FRAME + 1], &mut Vec::new()).is_err());
}

#[test]
fn an_endless_frame_takes_no_endless_memory() {
    let mut stream = vec![7; 1_000_000];
    encode(9, b"after", &mut stream).expect("short enough");
    let (frames, garbled) = decode_all(&stream);
    assert_eq!(frames, vec![(9, b"after".to_vec())]);
    assert_eq!(garbled, 1);
}

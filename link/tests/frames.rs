//! Frames survive any surroundings, and damage never passes for a frame.

use flob_link::MAX_FRAME;
use flob_link::frame::{Decoder, encode};
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
    fn frames_come_out_as_they_went_in(frames in prop::collection::vec((any::<u8>(), payload()), 0..5)) {
        let mut stream = Vec::new();
        for (channel, payload) in &frames {
            encode(*channel, payload, &mut stream).expect("short enough");
        }
        prop_assert_eq!(decode_all(&stream), (frames, 0));
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

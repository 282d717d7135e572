//! Tests of counting, against a plain reading of `wc`'s rules.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::println;

use crate::count::{has_printable, is_space};
use crate::cut::CHUNK;
use crate::message::{Reply, Request};
use crate::{Counts, Cutter, Table, Tally, count};

/// Counts `input` as the program does, cut into reads of the sizes that `read` gives; chunks arrive in the order that
/// `shuffle` makes of them, each of them twice.
fn counted(
    input: &[u8],
    mut read: impl FnMut() -> usize,
    shuffle: impl FnOnce(&mut Vec<crate::Chunk>),
) -> (Counts, Vec<(Vec<u8>, u64)>) {
    let mut cutter = Cutter::new();
    let mut chunks = Vec::new();
    let mut left = input;
    while !left.is_empty() {
        let size = read().clamp(1, cutter.room()).min(left.len());
        let (now, later) = left.split_at(size);
        chunks.extend(cutter.push(now));
        left = later;
    }
    chunks.extend(cutter.finish());
    shuffle(&mut chunks);
    let mut tally = Tally::new();
    let mut table = Table::new();
    for chunk in chunks.iter().chain(&chunks) {
        table.clear();
        let counts = count(chunk, &mut table);
        let bytes = postcard::to_allocvec(&Request::add(chunk.number, counts, &table)).unwrap();
        assert!(bytes.len() < 64 * 1024, "a request fits into a message");
        tally.serve(&postcard::from_bytes(&bytes).unwrap());
    }
    match tally.serve(&Request::Report { words: 10 }) {
        Reply::Report { counts, words } => {
            (counts, words.into_iter().map(|(word, count)| (word.to_vec(), count)).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// `wc`, plainly.
fn expected(input: &[u8]) -> (Counts, Vec<(Vec<u8>, u64)>) {
    let words: Vec<&[u8]> = input.split(|byte| is_space(*byte)).filter(|word| has_printable(word)).collect();
    let mut table: BTreeMap<&[u8], u64> = BTreeMap::new();
    for word in words.iter().filter(|word| word.len() < CHUNK) {
        *table.entry(word.get(..256).unwrap_or(word)).or_default() += 1;
    }
    let mut top: Vec<_> = table.into_iter().map(|(word, count)| (word.to_vec(), count)).collect();
    top.sort_by_key(|(word, count)| (core::cmp::Reverse(*count), word.clone()));
    top.truncate(10);
    let lines = input.iter().filter(|byte| **byte == b'\n').count() as u64;
    (Counts { lines, words: words.len() as u64, bytes: input.len() as u64 }, top)
}

/// A small generator with a seed, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[test]
fn an_empty_input_has_nothing() {
    assert_eq!(counted(b"", || 1, |_| ()), (Counts::default(), Vec::new()));
}

#[test]
fn words_at_the_border_of_reads_are_counted_once() {
    let input = b"one two  three\ntwo three\tthree";
    for size in 1..=input.len() {
        assert_eq!(counted(input, || size, |_| ()), expected(input));
    }
}

#[test]
fn a_word_longer_than_a_chunk_is_one_word() {
    for length in [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
        let mut input = b"a ".to_vec();
        input.resize(2 + length, b'x');
        input.extend_from_slice(b" b");
        let (counts, _) = counted(&input, || CHUNK, |_| ());
        assert_eq!(counts, expected(&input).0, "{length}");
    }
}

#[test]
fn a_word_whose_printable_byte_comes_in_a_later_chunk_is_counted() {
    let mut input = std::vec![0x80; 2 * CHUNK + 5];
    input.extend_from_slice(b"x\x80 \x80\x80 y");
    assert_eq!(counted(&input, || CHUNK, |_| ()).0, expected(&input).0);
}

#[test]
fn equally_frequent_words_are_in_order_of_their_bytes() {
    let (_, top) = counted(b"pear apple fig apple pear zebra", || 100, |_| ());
    let words: Vec<_> = top.iter().map(|(word, _)| word.as_slice()).collect();
    assert_eq!(words, [b"apple".as_slice(), b"pear", b"fig", b"zebra"]);
}

#[test]
fn random_bytes_give_what_wc_gives() {
    let seed = std::env::var("FLOB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    println!("seed {seed} (set FLOB_SEED for another)");
    let mut random = Random(seed);
    for _ in 0..60 {
        let letters = 1 + random.below(255);
        let space_in = 2 + random.below(40);
        let size = random.below(5 * CHUNK as u64);
        let input: Vec<u8> = (0..size)
            .map(|_| {
                if random.below(space_in) == 0 {
                    b" \n\t\r\x0b\x0c"[random.below(6) as usize]
                } else {
                    (random.below(letters) + 1) as u8
                }
            })
            .collect();
        let order = random.next();
        let mut reads = Random(random.next() | 1);
        let result = counted(
            &input,
            || 1 + reads.below(CHUNK as u64) as usize,
            |chunks| chunks.sort_by_key(|chunk| chunk.number.wrapping_mul(order | 1)),
        );
        assert_eq!(result, expected(&input));
    }
}

//! Texts to count, and the host's own count of them.

use std::collections::HashMap;
use std::fmt::Write;

/// What `wordcount` is to find.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    #[allow(missing_docs)]
    pub lines: usize,
    #[allow(missing_docs)]
    pub words: usize,
    #[allow(missing_docs)]
    pub bytes: usize,
    /// The ten most frequent words; ties in the order of their bytes.
    pub top: Vec<(String, usize)>,
}

/// Counts as `wc` does in the C locale.
pub fn count(text: &[u8]) -> Counts {
    let mut words: HashMap<&[u8], usize> = HashMap::new();
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        *words.entry(word).or_default() += 1;
    }
    let total = words.values().sum();
    let mut top: Vec<_> = words.into_iter().collect();
    top.sort_by(|(word, count), (other_word, other)| other.cmp(count).then(word.cmp(other_word)));
    top.truncate(10);
    Counts {
        lines: text.iter().filter(|byte| **byte == b'\n').count(),
        words: total,
        bytes: text.len(),
        top: top.into_iter().map(|(word, count)| (String::from_utf8_lossy(word).into_owned(), count)).collect(),
    }
}

/// Words of a skewed distribution, in lines, of about this many bytes.
pub fn random_text(random: &mut fastrand::Rng, bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        let word = random.usize(1..400) * random.usize(1..400) / 40;
        write!(text, "w{word}").unwrap();
        text.push_str(match random.u8(0..12) {
            0 => "\n",
            1 => "  \t",
            _ => " ",
        });
    }
    text.truncate(bytes);
    text.into_bytes()
}

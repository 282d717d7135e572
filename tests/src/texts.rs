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

impl Counts {
    /// What `wordcount` prints then.
    pub fn report(&self) -> String {
        let Self { lines, words, bytes, top } = self;
        let mut text = format!("lines: {lines}\nwords: {words}\nbytes: {bytes}\n");
        for (word, times) in top {
            writeln!(text, "{times:>8} {word}").unwrap();
        }
        text
    }
}

/// A word as it is printed: control characters, which could change the terminal, as `\xNN`.
fn printable(word: &[u8]) -> String {
    let byte =
        |byte: &u8| if byte.is_ascii_control() { format!("\\x{byte:02x}").into_bytes() } else { vec![*byte] };
    String::from_utf8_lossy(&word.iter().flat_map(byte).collect::<Vec<u8>>()).into_owned()
}

/// Counts as `wc` does in the C locale: something without any printable byte is no word. Words must be shorter than
/// the program's chunks.
pub fn count(text: &[u8]) -> Counts {
    let mut words: HashMap<&[u8], usize> = HashMap::new();
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    for word in text.split(is_space).filter(|word| word.iter().any(u8::is_ascii_graphic)) {
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
        top: top.into_iter().map(|(word, count)| (printable(word), count)).collect(),
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

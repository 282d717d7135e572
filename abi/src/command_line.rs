//! How arguments travel on the machine's command line, whose words are divided by spaces: `%` and two hexadecimal digits
//! stand for a byte that is `%`, white space or not ASCII; a lone `%` is an empty argument.
//!
//! The words after the first program's own: `debugger-nester [--paused | --restore] PROGRAM [ARGUMENT …]`.

/// Whether this byte stands for itself.
pub const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

/// The bytes that a word of the command line means. Digits that are missing or none are taken as they stand.
pub fn decode(word: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = if word == b"%" { &[][..] } else { word };
    core::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(*first)
    })
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

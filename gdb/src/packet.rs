//! Packets as bytes: framing, checksums and escapes, in both directions. What a packet means is no matter here.

/// Most bytes of a packet's body that are taken; told to the debugger as `PacketSize`. gdbstub looks through room for so many with each
/// packet, however short.
pub const PACKET_SIZE: usize = 0x4000;

/// What has come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole packet whose checksum fits; its body, still escaped.
    Packet(Vec<u8>),
    /// A packet whose checksum does not fit, or that is too long to be kept.
    Damaged,
    /// The other side has our last packet.
    Acknowledged,
    /// The other side wants our last packet again.
    Again,
    /// Ctrl-C.
    Interrupt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Body,
    FirstDigit,
    SecondDigit(u8),
}

/// Cuts a byte stream into packets; garbage between them is dropped.
#[derive(Debug)]
pub struct Framer {
    state: State,
    body: Vec<u8>,
    sum: u8,
    overlong: bool,
}

impl Default for Framer {
    fn default() -> Self {
        Self { state: State::Between, body: Vec::new(), sum: 0, overlong: false }
    }
}

impl Framer {
    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Option<Incoming> {
        match self.state {
            State::Between => self.between(byte),
            State::Body => {
                self.body(byte);
                None
            }
            State::FirstDigit => {
                self.state = State::SecondDigit(byte);
                None
            }
            State::SecondDigit(first) => Some(self.finish(first, byte)),
        }
    }

    fn between(&mut self, byte: u8) -> Option<Incoming> {
        match byte {
            b'$' => self.begin(),
            b'+' => return Some(Incoming::Acknowledged),
            b'-' => return Some(Incoming::Again),
            0x03 => return Some(Incoming::Interrupt),
            _ => {}
        }
        None
    }

    fn begin(&mut self) {
        *self = Self { state: State::Body, ..Self::default() };
    }

    /// `$` never stands in a body (it would be escaped): it means that the rest of the packet before it was lost.
    fn body(&mut self, byte: u8) {
        match byte {
            b'$' => self.begin(),
            b'#' => self.state = State::FirstDigit,
            _ if self.body.len() >= PACKET_SIZE => self.overlong = true,
            _ => {
                self.body.push(byte);
                self.sum = self.sum.wrapping_add(byte);
            }
        }
    }

    fn finish(&mut self, first: u8, second: u8) -> Incoming {
        let claimed = parse_hex(&[first, second]);
        let whole = claimed == Some(u64::from(self.sum)) && !self.overlong;
        let body = std::mem::take(self).body;
        if whole { Incoming::Packet(body) } else { Incoming::Damaged }
    }
}

/// A body as it travels.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let mut bytes = Vec::with_capacity(body.len() + 4);
    bytes.push(b'$');
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(format!("#{sum:02x}").as_bytes());
    bytes
}

/// Binary data as it stands in a body.
pub fn escape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for byte in data {
        if matches!(byte, b'#' | b'$' | b'}' | b'*') {
            out.extend_from_slice(&[b'}', byte ^ 0x20]);
        } else {
            out.push(*byte);
        }
    }
    out
}

/// Whether an answer says that something failed, by a number.
pub fn is_error(answer: &[u8]) -> bool {
    matches!(answer, [b'E', digits @ ..] if digits.len() == 2 && parse_hex(digits).is_some())
}

/// The same in words, which only gdb takes for an error. What means something else in a packet is left out.
pub fn error_in_words(why: &str) -> Vec<u8> {
    let plain = why.chars().filter(|letter| !matches!(letter, '#' | '$' | '}' | '*'));
    let line: String = plain.map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("E.{line}").into_bytes()
}

/// A number of 1 to 16 hexadecimal digits and nothing else.
pub fn parse_hex(digits: &[u8]) -> Option<u64> {
    let fits = !digits.is_empty() && digits.len() <= 16 && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| fits)?;
    u64::from_str_radix(text, 16).ok()
}

/// Bytes written as pairs of hexadecimal digits.
pub fn parse_hex_bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2).map(|pair| parse_hex(pair).filter(|_| pair.len() == 2));
    pairs.map(|byte| u8::try_from(byte?).ok()).collect()
}

/// Bytes as pairs of hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(bytes: &[u8]) -> Vec<Incoming> {
        let mut framer = Framer::default();
        bytes.iter().filter_map(|byte| framer.push(*byte)).collect()
    }

    #[test]
    fn a_packet_in_pieces_is_put_together() {
        let mut framer = Framer::default();
        let whole = frame(b"qC");
        let (head, tail) = whole.split_at(2);
        assert!(head.iter().all(|byte| framer.push(*byte).is_none()));
        let rest: Vec<Incoming> = tail.iter().filter_map(|byte| framer.push(*byte)).collect();
        assert_eq!(rest, [Incoming::Packet(b"qC".to_vec())]);
    }

    #[test]
    fn a_wrong_checksum_is_damage() {
        assert_eq!(feed(b"$qC#00"), [Incoming::Damaged]);
        assert_eq!(feed(b"$qC#zz"), [Incoming::Damaged]);
    }

    #[test]
    fn half_a_packet_is_dropped_when_the_next_begins() {
        assert_eq!(feed(b"$m1234,$g#67"), [Incoming::Packet(b"g".to_vec())]);
    }

    #[test]
    fn garbage_between_packets_is_dropped() {
        let mut bytes = b"hello\x00\xff}".to_vec();
        bytes.extend(frame(b"?"));
        bytes.extend(b"\x80\x81+");
        assert_eq!(feed(&bytes), [Incoming::Packet(b"?".to_vec()), Incoming::Acknowledged]);
    }

    #[test]
    fn ctrl_c_counts_between_packets_and_not_inside_them() {
        let mut bytes = vec![3];
        bytes.extend(frame(b"X0,1:\x03"));
        assert_eq!(feed(&bytes), [Incoming::Interrupt, Incoming::Packet(b"X0,1:\x03".to_vec())]);
    }

    #[test]
    fn a_packet_without_end_takes_no_more_than_its_limit() {
        let mut bytes = vec![b'$'];
        bytes.resize(4 * PACKET_SIZE, b'a');
        bytes.extend(b"#00");
        bytes.extend(frame(b"g"));
        assert_eq!(feed(&bytes), [Incoming::Damaged, Incoming::Packet(b"g".to_vec())]);
    }

    #[test]
    fn hexadecimal_numbers_are_strict() {
        assert_eq!(parse_hex(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(parse_hex(b"+1"), None);
        assert_eq!(parse_hex(b""), None);
        assert_eq!(parse_hex(b"10000000000000000"), None);
        assert_eq!(parse_hex_bytes(b"abc"), None);
        assert_eq!(parse_hex_bytes(b"abcd"), Some(vec![0xab, 0xcd]));
    }
}

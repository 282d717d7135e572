//! The packets that gdbstub may see: a table of the ones it serves here, with their exact form. gdbstub ends its state
//! machine at a packet that it cannot parse or did not expect; such a packet is answered before it gets there.

use crate::{
    arch::REGISTER_BYTES,
    packet::{PACKET_SIZE, parse_hex, parse_hex_bytes},
};

/// Most bytes of memory in one packet: as hexadecimal digits they fill half of it.
pub const MAX_MEMORY: u64 = PACKET_SIZE as u64 / 4;

/// What to do with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Pass,
    /// It is one of those served, but not as it should be.
    Malformed,
    /// Nobody serves it.
    Unknown,
}

/// A thread as packets name it; the process is always the one of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadName {
    /// Every thread.
    All,
    /// Whichever.
    Any,
    /// This one.
    One(u64),
}

type Check = fn(&[u8]) -> bool;

/// Longer names stand before shorter ones that they begin with.
const PASSED: &[(&[u8], Check)] = &[
    (b"qfThreadInfo", <[u8]>::is_empty),
    (b"qsThreadInfo", <[u8]>::is_empty),
    (b"qThreadExtraInfo,", one_thread),
    (b"qSupported:", is_not_empty),
    (b"qRcmd,", |rest| parse_hex_bytes(rest).is_some()),
    (b"vCont?", <[u8]>::is_empty),
    (b"vCont;", actions),
    (b"Hg", |rest| matches!(thread_name(rest), Some(ThreadName::Any | ThreadName::One(_)))),
    (b"Hc", |rest| thread_name(rest).is_some()),
    (b"T", one_thread),
    (b"g", <[u8]>::is_empty),
    (b"G", |rest| parse_hex_bytes(rest).is_some_and(|bytes| bytes.len() == REGISTER_BYTES)),
    (b"p", |rest| parse_hex(rest).is_some()),
    (b"P", register_value),
    (b"m", |rest| pair(rest).is_some_and(|(_, size)| size <= MAX_MEMORY)),
    (b"M", |rest| memory_value(rest, |data| parse_hex_bytes(data).map(|bytes| bytes.len()))),
    (b"X", |rest| memory_value(rest, unescaped_size)),
    (b"Z", breakpoint),
    (b"z", breakpoint),
];

/// Whether gdbstub may see this packet.
pub fn check(packet: &[u8]) -> Verdict {
    for (name, check) in PASSED {
        if let Some(rest) = packet.strip_prefix(*name) {
            return if check(rest) { Verdict::Pass } else { Verdict::Malformed };
        }
    }
    let known_letter = packet.first().is_some_and(|letter| b"HTgGpPmMXZz".contains(letter));
    if known_letter { Verdict::Malformed } else { Verdict::Unknown }
}

/// `ID`, `pPROCESS.ID` or `pPROCESS`, where 0 is any and -1 is all.
pub fn thread_name(text: &[u8]) -> Option<ThreadName> {
    let Some(rest) = text.strip_prefix(b"p") else { return number_name(text) };
    let mut parts = rest.splitn(2, |byte| *byte == b'.');
    number_name(parts.next()?)?;
    parts.next().map_or(Some(ThreadName::All), number_name)
}

fn number_name(text: &[u8]) -> Option<ThreadName> {
    match text {
        b"-1" => Some(ThreadName::All),
        b"0" => Some(ThreadName::Any),
        // gdbstub takes only "0" itself for any, and refuses other spellings of it.
        _ => parse_hex(text).filter(|number| *number != 0).map(ThreadName::One),
    }
}

/// `ADDRESS,SIZE`.
pub fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let mut parts = text.splitn(2, |byte| *byte == b',');
    Some((parse_hex(parts.next()?)?, parse_hex(parts.next()?)?))
}

fn is_not_empty(rest: &[u8]) -> bool {
    !rest.is_empty() && rest.split(|byte| *byte == b';').all(|feature| !feature.is_empty())
}

fn one_thread(rest: &[u8]) -> bool {
    // `p1` alone would mean all of its threads.
    matches!(thread_name(rest), Some(ThreadName::One(_))) && names_one_process(rest)
}

/// Neither `p-1` (all processes) nor `p0` (any). The names that gdbstub tells have leading zeros: `p01.0d`.
fn names_one_process(thread: &[u8]) -> bool {
    let process = thread.strip_prefix(b"p").and_then(|rest| rest.split(|byte| *byte == b'.').next());
    process.is_none_or(|process| matches!(number_name(process), Some(ThreadName::One(_))))
}

fn register_value(rest: &[u8]) -> bool {
    let mut parts = rest.splitn(2, |byte| *byte == b'=');
    let number = parts.next().and_then(parse_hex);
    number.is_some() && parts.next().and_then(parse_hex_bytes).is_some_and(|bytes| !bytes.is_empty())
}

fn memory_value(rest: &[u8], size_of: fn(&[u8]) -> Option<usize>) -> bool {
    let mut parts = rest.splitn(2, |byte| *byte == b':');
    let place = parts.next().and_then(pair);
    let size = parts.next().and_then(size_of);
    place.is_some_and(|(_, claimed)| size.is_some_and(|size| size as u64 == claimed))
}

fn unescaped_size(data: &[u8]) -> Option<usize> {
    let (mut size, mut rest) = (0, data);
    while let Some((byte, tail)) = rest.split_first() {
        rest = if *byte == b'}' { tail.split_first()?.1 } else { tail };
        size += 1;
    }
    Some(size)
}

/// `TYPE,ADDRESS,KIND`: software and hardware breakpoints, write, read and access watchpoints. Conditions were not offered, so
/// none may come.
fn breakpoint(rest: &[u8]) -> bool {
    match rest.split_first() {
        Some((b'0'..=b'4', rest)) => rest.strip_prefix(b",").and_then(pair).is_some(),
        _ => false,
    }
}

fn actions(rest: &[u8]) -> bool {
    !rest.is_empty() && rest.split(|byte| *byte == b';').all(action)
}

/// A step must name its thread; a stop (`t`) is for a mode that was not offered.
fn action(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b':');
    let verb = parts.next().unwrap_or_default();
    let thread = parts.next().map(|text| thread_name(text).filter(|_| names_one_process(text)));
    let single = matches!(thread, Some(Some(ThreadName::One(_))));
    match verb.split_first() {
        Some((b'c', [])) => !matches!(thread, Some(None)),
        Some((b'C', signal)) => is_signal(signal) && !matches!(thread, Some(None)),
        Some((b's', [])) => single,
        Some((b'S', signal)) => is_signal(signal) && single,
        Some((b'r', range)) => pair(range).is_some() && single,
        _ => false,
    }
}

fn is_signal(text: &[u8]) -> bool {
    parse_hex(text).is_some_and(|signal| signal <= 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gdb_sends_passes() {
        for packet in [
            "qSupported:multiprocess+;swbreak+;xmlRegisters=i386",
            "Hg0",
            "Hgp1.2",
            "Hgp0.0",
            "Hc-1",
            "Hcp1.-1",
            "g",
            "p10",
            "m400000,40",
            "M400000,2:abcd",
            "X400000,0:",
            "Tp1.1",
            "vCont?",
            "vCont;c",
            "vCont;s:p1.1;c:p1.-1",
            "vCont;s:p01.0d;c:p01.-1",
            "qThreadExtraInfo,p01.0d",
            "vCont;r400000,400010:p1.1;c:p1.-1",
            "vCont;C0b:p1.1;c",
            "Z0,400000,1",
            "z0,400000,1",
            "Z1,400000,1",
            "Z2,400000,8",
            "z4,400000,4",
            "qRcmd,68656c70",
            "qThreadExtraInfo,p1.1",
        ] {
            assert_eq!(check(packet.as_bytes()), Verdict::Pass, "{packet}");
        }
        assert_eq!(check(b"X400000,3:a}\x03b"), Verdict::Pass);
    }

    #[test]
    fn what_would_end_gdbstub_does_not_pass() {
        for packet in [
            "Hg-1",
            "Hgp1.-1",
            "Hgp1",
            "Hx1",
            "H",
            "T",
            "Tp1.-1",
            "m",
            "mzz,4",
            "m400000",
            "m400000,ffffffff",
            "m12345678123456781,1",
            "M0,1:a",
            "M0,2:ab",
            "G00",
            "p",
            "P1",
            "vCont;",
            "vCont;t",
            "vCont;t:p1.-1",
            "vCont;s",
            "vCont;s:-1",
            "vCont;x:1",
            "vCont;c:zz",
            "vCont;c:p0.0",
            "vCont;s:p-1.1",
            "qThreadExtraInfo,p0.1",
            "vCont;r1:1",
            "Z0",
            "Z0,1",
            "Z5,400000,1",
            "Z2",
            "qThreadExtraInfo,0",
            "qRcmd,1",
            "ggg",
        ] {
            assert_eq!(check(packet.as_bytes()), Verdict::Malformed, "{packet}");
        }
    }

    #[test]
    fn what_nobody_serves_is_unknown() {
        for packet in ["", "vMustReplyEmpty", "jThreadsInfo", "QNonStop:1", "qTStatus", "vCont", "bc", "!"] {
            assert_eq!(check(packet.as_bytes()), Verdict::Unknown, "{packet}");
        }
    }
}

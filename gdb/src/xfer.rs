//! Objects that are read in pieces by `qXfer`: target description, program file, threads, tables of `info os`.

use std::fmt::Write;

use flob_abi::FlobKind;
use flob_session::{names, place::Map};

use crate::{
    arch,
    files::Files,
    grammar::pair,
    guest::Guest,
    inferior::Inferior,
    names::{activity, threads_of},
    packet::{PACKET_SIZE, escape},
};

/// What `qSupported` says of them.
pub const OFFERED: &str =
    ";qXfer:features:read+;qXfer:exec-file:read+;qXfer:threads:read+;qXfer:osdata:read+;QStartNoAckMode+";

/// Answers a `qXfer:` packet (what follows the colon). Empty: there is no such object.
pub fn answer<G: Guest>(
    inferior: &mut Inferior<G>,
    files: &Files,
    process: Option<u64>,
    request: &[u8],
) -> Vec<u8> {
    let parts: Vec<&[u8]> = request.splitn(4, |byte| *byte == b':').collect();
    let [object, b"read", annex, window] = parts.as_slice() else { return Vec::new() };
    let text = match (*object, *annex) {
        (b"features", b"target.xml") => Some(arch::target_xml()),
        (b"features", _) => None,
        (b"exec-file", _) => files.elf().map(|path| path.display().to_string()),
        (b"threads", _) => Some(threads(inferior, process)),
        (b"osdata", b"") => Some(os_kinds()),
        (b"osdata", b"processes") => spaces(inferior),
        (b"osdata", b"threads") => os_threads(inferior),
        (b"osdata", _) => None,
        _ => return Vec::new(),
    };
    match (text, pair(window)) {
        (Some(text), Some((offset, size))) => slice(text.as_bytes(), offset, size),
        (None, _) => b"E00".to_vec(),
        (_, None) => b"E16".to_vec(),
    }
}

/// One piece: `m` and data if there is more behind it, `l` and data if not.
fn slice(object: &[u8], offset: u64, size: u64) -> Vec<u8> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(object.len());
    // Escapes may double it.
    let most = usize::try_from(size).unwrap_or(usize::MAX).min(PACKET_SIZE / 2 - 16);
    let end = start.saturating_add(most).min(object.len());
    let piece = escape(object.get(start..end).unwrap_or_default());
    let mark: &[u8] = if end < object.len() { b"m" } else { b"l" };
    [mark, &piece].concat()
}

/// A thread's name in packets, with its process where the debugger knows of these.
pub fn thread_id(number: usize, process: Option<u64>) -> String {
    match process {
        Some(process) => format!("p{process:x}.{number:x}"),
        None => format!("{number:x}"),
    }
}

fn threads<G: Guest>(inferior: &mut Inferior<G>, process: Option<u64>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<threads>\n");
    for thread in inferior.threads().unwrap_or_default() {
        let Some(number) = inferior.number(thread) else { continue };
        let activity = xml_text(&inferior.activity(thread));
        let name = inferior.why(false).map(|why| why.names.short(thread));
        let _ = writeln!(
            xml,
            "<thread id=\"{}\" name=\"{}\">{activity}</thread>",
            thread_id(number.get(), process),
            xml_text(&name.unwrap_or_default()),
        );
    }
    xml.push_str("</threads>\n");
    xml
}

fn os_kinds() -> String {
    let rows = [
        [("Type", "processes"), ("Description", "Spaces of the environment")],
        [("Type", "threads"), ("Description", "Threads of the environment")],
    ];
    osdata("types", rows.map(|row| row.map(|(name, value)| (name, value.to_string()))).into_iter())
}

fn spaces<G: Guest>(inferior: &mut Inferior<G>) -> Option<String> {
    let own = Some(inferior.space).filter(|_| inferior.is_attached());
    let Map { environment, names, .. } = inferior.why(false).ok()?;
    let rows = names::spaces(environment).map(|space| {
        let this = if Some(space) == own { " (this one)" } else { "" };
        [
            ("pid", names::process(environment, space).to_string()),
            ("command", format!("{}{this}", environment.program)),
            ("name", names.flob(space)),
            ("threads", threads_of(environment, space).count().to_string()),
        ]
    });
    Some(osdata("processes", rows))
}

fn os_threads<G: Guest>(inferior: &mut Inferior<G>) -> Option<String> {
    let why = inferior.why(false).ok()?;
    let threads = why.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread);
    let rows = threads.map(|thread| {
        let space = thread.links.first().map(|space| why.names.link(space)).unwrap_or_default();
        [("space", space), ("thread", why.names.flob(thread.place)), ("state", activity(&why, thread.place))]
    });
    Some(osdata("threads", rows))
}

fn osdata<const N: usize>(kind: &str, rows: impl Iterator<Item = [(&'static str, String); N]>) -> String {
    let mut xml = format!("<?xml version=\"1.0\"?>\n<osdata type=\"{kind}\">\n");
    for row in rows {
        xml.push_str("<item>");
        for (name, value) in row {
            let _ = write!(xml, "<column name=\"{name}\">{}</column>", xml_text(&value));
        }
        xml.push_str("</item>\n");
    }
    xml.push_str("</osdata>\n");
    xml
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_in_pieces() {
        assert_eq!(slice(b"abc", 0, 2), b"mab");
        assert_eq!(slice(b"abc", 2, 2), b"lc");
        assert_eq!(slice(b"abc", 9, 2), b"l");
        assert_eq!(slice(b"abc", u64::MAX, u64::MAX), b"l");
    }

    #[test]
    fn names_cannot_break_the_xml() {
        assert_eq!(xml_text("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}

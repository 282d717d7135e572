//! Calls of the trace in words: `stdin.read(position=0, max=4096)`, `mutex_lock(mutex=FORKS[1])`, and what came of them.

use std::fmt::Display;

use flob_abi::{Call as KernelCall, Status, call::arguments::Sort, call_name, ipc};
use flob_image::{Environment, Place};
use flob_link::trace::{Asked, MOST_OF_PAYLOAD, Message, Outcome, Payload, Value};

use super::Call;
use crate::translate::Translation;

/// Where the words of the short form are among the registers of a record, and the count of bytes that have come.
const SHORT_FIRST: usize = 1;
const SHORT_COUNT: usize = 9;

/// A call in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Who asked.
    pub thread: String,
    /// `stdin.read`, `mutex_lock`.
    pub name: String,
    /// Names and values.
    pub arguments: Vec<(String, String)>,
    /// What came of it; empty while it is under way.
    pub outcome: String,
}

impl Described {
    /// `stdin.read(position=0, max=4096)`.
    pub fn asked(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|(name, value)| pair(name, value)).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }

    /// Whether any of it contains this, in whatever case.
    pub fn contains(&self, lower: &str) -> bool {
        let asked = format!("{} {} {}", self.thread, self.asked(), self.outcome);
        asked.to_lowercase().contains(lower)
    }
}

fn pair(name: &str, value: &str) -> String {
    if name.is_empty() { value.to_owned() } else { format!("{name}={value}") }
}

/// Finds names for threads and for flobs that arguments lead to.
pub struct Describer<'a> {
    translation: Option<Translation>,
    short: &'a dyn Fn(Place) -> String,
}

impl<'a> Describer<'a> {
    /// By this environment, in which `short` names what is at a place.
    pub fn new(environment: Option<&Environment>, short: &'a dyn Fn(Place) -> String) -> Self {
        Self { translation: environment.map(Translation::new), short }
    }

    /// The call in words.
    pub fn describe(&self, call: &Call) -> Described {
        let (name, arguments) = match &call.asked {
            Asked::Service { service, message } => (format!("{service}.{}", verb(message)), fields(message)),
            Asked::Call { number, registers, sent } if number & ipc::IPC != 0 => {
                self.ipc(call.space, *number, registers, sent.as_ref())
            }
            Asked::Call { number, registers, .. } => {
                (call_name(*number).to_owned(), self.arguments(call.space, *number, registers))
            }
        };
        Described {
            thread: call.thread.map_or_else(|| "a thread that is gone".to_owned(), self.short),
            name,
            arguments,
            outcome: call.end.as_ref().map_or_else(String::new, |(_, outcome)| came(&call.asked, outcome)),
        }
    }

    fn arguments(&self, space: Option<Place>, number: u64, registers: &[u64]) -> Vec<(String, String)> {
        let Some(call) = KernelCall::from_number(number) else { return vec![number_named("number", number)] };
        let named = call.arguments().iter().zip(registers);
        let told = |((name, sort), value): (&(&str, Sort), &u64)| {
            let value = match sort {
                Sort::Flob => self.flob(space, *value),
                Sort::Address => format!("{value:#x}"),
                Sort::Number => value.to_string(),
                Sort::Protection => protection(*value),
            };
            ((*name).to_owned(), value)
        };
        named.map(told).collect()
    }

    fn flob(&self, space: Option<Place>, address: u64) -> String {
        let translation = self.translation.as_ref();
        let place = space.and_then(|space| translation?.place(space, address));
        match place.map(self.short) {
            // What has no name is better told by where the program sees it.
            Some(name) if !name.starts_with("0x") => name,
            _ => format!("{address:#x}"),
        }
    }

    fn ipc(
        &self,
        space: Option<Place>,
        call: u64,
        registers: &[u64],
        sent: Option<&Payload>,
    ) -> (String, Vec<(String, String)>) {
        let register = |index: usize| registers.get(index).copied().unwrap_or_default();
        let has = |steps: u64| call & steps != 0;
        let mut arguments = Vec::new();
        if has(ipc::CONNECT | ipc::ONE_WAY | ipc::CALL) {
            arguments.push(("port".to_owned(), self.flob(space, register(0))));
        }
        if has(ipc::WAIT) {
            arguments.push(("set".to_owned(), self.flob(space, register(0))));
        }
        if has(ipc::SHORT) {
            arguments.push((String::new(), "short".to_owned()));
            if has(ipc::SEND | ipc::ONE_WAY | ipc::CALL | ipc::REPLY) {
                arguments.push(("words".to_owned(), short_words(registers, ipc::SHORT_BYTES as u64)));
            }
        } else {
            if has(ipc::SEND | ipc::ONE_WAY | ipc::CALL | ipc::REPLY) {
                let length = sent.map_or_else(|| register(2).to_string(), length);
                arguments.push(("send".to_owned(), length));
                let start = sent.map(start).filter(|start| !start.is_empty());
                arguments.extend(start.map(|start| ("sent".to_owned(), start)));
                arguments.extend((register(4) > 0).then(|| number_named("references", register(4))));
            }
            if has(ipc::RECEIVE | ipc::CALL) {
                arguments.push(number_named("room", register(6)));
            }
        }
        (ipc_name(call), arguments)
    }
}

/// The words of a message in the short form, of so many bytes; without the zeros behind the last that is none.
fn short_words(registers: &[u64], bytes: u64) -> String {
    let count = usize::try_from(bytes.div_ceil(8)).unwrap_or(usize::MAX).min(ipc::SHORT_WORDS);
    let words = registers.get(SHORT_FIRST..).unwrap_or_default();
    let words = words.get(..count).unwrap_or(words);
    let end = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    let shown: Vec<String> = words.iter().take(end).map(|word| format!("{word:#x}")).collect();
    format!("[{}]", shown.join(" "))
}

/// How many bytes a message has.
fn length(payload: &Payload) -> String {
    if payload.is_all { payload.count.to_string() } else { format!("at least {}", payload.count) }
}

/// How a message begins: as text if most of it is, else as hexadecimal bytes; empty if there is nothing.
fn start(payload: &Payload) -> String {
    let bytes = &payload.start;
    let is_cut = payload.is_readable() && (payload.count > MOST_OF_PAYLOAD as u64 || !payload.is_all);
    let more = if is_cut { "…" } else { "" };
    let shown = if bytes.is_empty() {
        String::new()
    } else if is_text(bytes) {
        format!("\"{}\"{more}", bytes.escape_ascii())
    } else {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[{}]{more}", bytes.join(" "))
    };
    match (payload.is_readable(), shown.is_empty()) {
        (true, _) => shown,
        (false, true) => "(not readable)".into(),
        (false, false) => format!("{shown} (the rest is not readable)"),
    }
}

/// Whether at least half of these bytes can be printed: what is around texts in messages are a few counts.
fn is_text(bytes: &[u8]) -> bool {
    let printable = bytes.iter().filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()).count();
    2 * printable >= bytes.len()
}

fn number_named(name: &str, number: u64) -> (String, String) {
    (name.to_owned(), number.to_string())
}

/// The combination's name in the manual, or its steps.
fn ipc_name(call: u64) -> String {
    if let Some((name, _)) = ipc::NAMED.iter().find(|(_, steps)| *steps == call & !ipc::SHORT) {
        return (*name).to_owned();
    }
    let steps = ipc::STEP_NAMES.iter().filter(|(step, _)| call & step != 0).map(|(_, name)| *name);
    let side = if call & ipc::SERVER == 0 { "client" } else { "server" };
    format!("ipc_{side}[{}]", steps.collect::<Vec<_>>().join(" "))
}

fn protection(value: u64) -> String {
    [(1, 'r'), (2, 'w'), (4, 'x')]
        .iter()
        .map(|(bit, letter)| if value & bit == 0 { '-' } else { *letter })
        .collect()
}

fn verb(message: &Message) -> &str {
    if message.verb.is_empty() { "?" } else { &message.verb }
}

fn fields(message: &Message) -> Vec<(String, String)> {
    message.fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes { start, count } => {
            let more =
                if start.len() < *count as usize { format!("… {count} bytes") } else { String::new() };
            format!("\"{}\"{more}", start.escape_ascii())
        }
    }
}

/// What came of it.
fn came(asked: &Asked, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(message) => {
            let fields: Vec<String> = fields(message).iter().map(|(name, value)| pair(name, value)).collect();
            if fields.is_empty() {
                verb(message).to_owned()
            } else {
                format!("{} {}", verb(message), fields.join(" "))
            }
        }
        Outcome::Refused => "no answer: the connection has ended".into(),
        Outcome::Unseen => "not seen".into(),
        Outcome::Returned { status, registers, received } => {
            returned(asked, *status, registers, received.as_ref())
        }
    }
}

fn returned(asked: &Asked, status: u64, registers: &[u64], received: Option<&Payload>) -> String {
    let Asked::Call { number, registers: before, .. } = asked else { return String::new() };
    let mut text =
        Status::from_number(status).map_or_else(|| format!("{status:#x}"), |status| format!("{status:?}"));
    let register = |registers: &[u64], index: usize| registers.get(index).copied().unwrap_or_default();
    let mut add = |name: &str, value: &dyn Display| text = format!("{text} {name}={value}");
    if number & ipc::IPC == 0 {
        let values = KernelCall::from_number(*number).map_or(&[][..], KernelCall::values);
        values.iter().for_each(|(index, name)| add(name, &register(registers, *index)));
    } else if number & ipc::SHORT == 0 && number & (ipc::RECEIVE | ipc::CALL) != 0 {
        match received {
            Some(payload) => add("received", &format!("{} {}", length(payload), start(payload))),
            None => add("received", &register(before, 6).saturating_sub(register(registers, 6))),
        }
    }
    if number & ipc::WAIT != 0 && number & ipc::IPC != 0 {
        add("alias", &register(registers, 0));
    }
    let has_come = register(registers, SHORT_COUNT);
    if number & ipc::IPC != 0 && number & ipc::SHORT != 0 && has_come > 0 {
        text += &format!(" words={}", short_words(registers, has_come));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(asked: Asked, outcome: Option<Outcome>) -> Call {
        let end = outcome.map(|outcome| (7, outcome));
        Call { number: 1, at: 5, thread: Some(0x1000), space: Some(0x2000), asked, end }
    }

    fn words(call: &Call) -> String {
        let described = Describer::new(None, &|place| format!("t{place:x}")).describe(call);
        format!("{}: {} = {}", described.thread, described.asked(), described.outcome)
    }

    #[test]
    fn requests_and_replies_are_told_with_their_values() {
        let field = |name: &str, value| (name.to_owned(), value);
        let bytes = Value::Bytes { start: b"one\n".to_vec(), count: 90 };
        let fields = vec![field("position", Value::Number(3)), field("bytes", bytes)];
        let message = Message { verb: "write".into(), fields };
        let reply = Message { verb: "written".into(), fields: vec![field("count", Value::Number(90))] };
        let asked = Asked::Service { service: "stdout".into(), message };
        let told = words(&call(asked.clone(), Some(Outcome::Reply(reply))));
        assert_eq!(told, r#"t1000: stdout.write(position=3, bytes="one\n"… 90 bytes) = written count=90"#);
        assert_eq!(words(&call(asked, None)).rsplit(" = ").next(), Some(""));
    }

    #[test]
    fn kernel_calls_are_told_by_the_names_of_the_manual() {
        let mut registers = vec![0; 12];
        registers[0] = 0x1200;
        let asked =
            Asked::Call { number: KernelCall::MutexTryLock as u64, registers: registers.clone(), sent: None };
        let held = Outcome::Returned {
            status: Status::MutexHeld as u64,
            registers: registers.clone(),
            received: None,
        };
        assert_eq!(words(&call(asked, Some(held))), "t1000: mutex_trylock(mutex=0x1200) = MutexHeld");
        (registers[2], registers[6]) = (24, 100);
        let asked = Asked::Call { number: ipc::CLIENT_CALL, registers: registers.clone(), sent: None };
        registers[6] = 60;
        let done = Outcome::Returned { status: 0, registers, received: None };
        assert_eq!(
            words(&call(asked, Some(done))),
            "t1000: ipc_client_connect_send_over_receive(port=0x1200, send=24, room=100) = Success received=40"
        );
        let mut registers = vec![0x1200, 7, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
        let asked =
            Asked::Call { number: ipc::CLIENT_CALL | ipc::SHORT, registers: registers.clone(), sent: None };
        (registers[1], registers[3], registers[SHORT_COUNT]) = (5, 6, 16);
        let done = Outcome::Returned { status: 0, registers, received: None };
        assert!(
            words(&call(asked, Some(done)))
                .ends_with("(port=0x1200, short, words=[0x7 0x0 0x9]) = Success words=[0x5]")
        );
        let odd = Asked::Call {
            number: ipc::IPC | ipc::SERVER | ipc::DISCONNECT | ipc::WAIT,
            registers: vec![0; 12],
            sent: None,
        };
        assert!(words(&call(odd, None)).contains("ipc_server[disconnect wait](set=0x0)"));
    }

    fn payload(start: &[u8], count: u64) -> Payload {
        Payload { start: start.to_vec(), count, is_all: true }
    }

    #[test]
    fn messages_of_the_long_form_are_told_with_their_bytes() {
        let number = ipc::CLIENT_CALL;
        let mut registers = vec![0; 12];
        (registers[0], registers[2], registers[6]) = (0x1200, 7, 100);
        // More has come than the first buffer holds.
        let sent = Some(payload(b"\x02hello\n", 7));
        let asked = Asked::Call { number, registers: registers.clone(), sent };
        let received = Some(payload(&[b'y'; MOST_OF_PAYLOAD], 150));
        let done = Outcome::Returned { status: 0, registers, received };
        let told = words(&call(asked, Some(done)));
        assert!(told.contains(r#"(port=0x1200, send=7, sent="\x02hello\n", room=100)"#), "{told}");
        let cut = format!("Success received=150 \"{}\"…", "y".repeat(MOST_OF_PAYLOAD));
        assert!(told.ends_with(&cut), "{told}");
    }

    #[test]
    fn what_is_no_text_is_told_in_hexadecimal_and_what_was_not_there_as_such() {
        assert_eq!(start(&payload(&[1, 0xff, b'a'], 3)), "[01 ff 61]");
        assert_eq!(start(&payload(b"", 0)), "");
        assert_eq!(start(&payload(b"", 3)), "(not readable)");
        assert_eq!(start(&payload(b"ab", 3)), "\"ab\" (the rest is not readable)");
        let more = Payload { is_all: false, ..payload(b"ab", 2) };
        assert_eq!((length(&more), start(&more)), ("at least 2".into(), "\"ab\"…".into()));
    }
}

//! Which packets are answered here and which go to gdbstub: one table.

use flob_abi::Protection;

use crate::{
    extended,
    files::Files,
    grammar::{self, ThreadName, Verdict},
    guest::Guest,
    inferior::Inferior,
    names,
    packet::{hex, parse_hex},
    stop::{StopKind, exit_byte},
    xfer::{self, thread_id},
};

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// This is the answer.
    Answer(Vec<u8>),
    /// gdbstub answers.
    Stub,
    /// gdbstub answers this packet instead.
    Instead(Vec<u8>),
    /// gdbstub answers, and this is put behind its answer.
    StubAnd(&'static str),
    /// Acknowledgements end with this answer.
    Trust,
    /// The debugger goes, with this answer if any.
    Detach(Option<&'static [u8]>),
    /// There is no answer.
    Silence,
}

/// What packets are answered from.
pub struct Desk<'a, G> {
    /// The space.
    pub inferior: &'a mut Inferior<G>,
    /// What may be read.
    pub files: &'a mut Files,
    /// What was agreed upon.
    pub terms: &'a mut Terms,
}

/// What debugger and server have agreed upon so far.
#[derive(Debug, Default)]
pub struct Terms {
    /// Threads are called `pPROCESS.THREAD`.
    pub processes: bool,
    /// The thread that was chosen by `Hc` or `Hg`.
    pub chosen: Option<u64>,
    /// Extended mode: the connection outlives what is debugged by it.
    pub is_extended: bool,
    /// The debugger has begun the program itself, so it may end it.
    pub has_begun: bool,
}

impl<G: Guest> Desk<'_, G> {
    /// The number of the process, where threads are called by it.
    pub fn process(&self) -> Option<u64> {
        self.terms.processes.then_some(self.inferior.process)
    }
}

/// Answer to what makes no sense.
pub const MALFORMED: &[u8] = b"E16";
/// Answer to what cannot be done while the program runs.
const BUSY: &[u8] = b"E10";
/// Answer to what needs a process where there is none.
pub const NO_PROCESS: &[u8] = b"E03";

type Handler<G> = fn(&mut Desk<'_, G>, &[u8]) -> Route;

/// Longer names stand before shorter ones that they begin with.
fn table<G: Guest>() -> [(&'static [u8], Handler<G>); 26] {
    [
        (b"qSupported:", |desk, rest| {
            desk.terms.processes =
                rest.split(|byte| *byte == b';').any(|feature| feature == b"multiprocess+");
            Route::StubAnd(xfer::OFFERED)
        }),
        (b"QStartNoAckMode", |_, _| Route::Trust),
        (b"qXfer:", |desk, rest| {
            let process = desk.process();
            Route::Answer(xfer::answer(desk.inferior, desk.files, process, rest))
        }),
        (b"vFile:", |desk, rest| Route::Answer(desk.files.answer(rest))),
        (b"qThreadExtraInfo,", extra_info),
        (b"qThreadStopInfo", thread_stop),
        (b"qMemoryRegionInfo:", memory_region),
        (b"qWatchpointSupportInfo", |_, _| Route::Answer(b"num:4;".to_vec())),
        (b"qHostInfo", |_, _| Route::Answer(host_info())),
        (b"qProcessInfo", |_, _| Route::Answer([b"pid:1;".to_vec(), host_info()].concat())),
        (b"qAttached", |desk, _| Route::Answer(if desk.terms.has_begun { b"0" } else { b"1" }.to_vec())),
        (b"qC", |desk, rest| if rest.is_empty() { current_thread(desk) } else { Route::Answer(Vec::new()) }),
        (b"?", |desk, _| Route::Answer(last_stop(desk))),
        (b"!", extended::enter),
        (b"vAttach;", extended::attach),
        (b"vRun;", extended::run),
        (b"vKill", extended::kill_process),
        (b"k", extended::kill),
        (b"R", extended::restart),
        (b"D", extended::detach),
        (b"H", choose_thread),
        (b"c", |desk, _| old_resume(desk, false)),
        (b"C", |desk, _| old_resume(desk, false)),
        (b"s", |desk, _| old_resume(desk, true)),
        (b"S", |desk, _| old_resume(desk, true)),
        (b"", |_, _| Route::Stub),
    ]
}

/// Decides about a packet. Only what gdbstub can take goes there.
pub fn route<G: Guest>(desk: &mut Desk<'_, G>, packet: &[u8]) -> Route {
    let found =
        table::<G>().into_iter().find_map(|(name, handler)| Some((handler, packet.strip_prefix(name)?)));
    let route = found.map_or(Route::Stub, |(handler, rest)| handler(desk, rest));
    if desk.inferior.running && !matches!(route, Route::Detach(_)) {
        return Route::Answer(BUSY.to_vec());
    }
    if !desk.inferior.is_attached() && matches!(route, Route::Stub | Route::Instead(_)) {
        return extended::without_process(packet);
    }
    let passed = if let Route::Instead(other) = &route { other } else { packet };
    match (&route, grammar::check(passed)) {
        (Route::Stub | Route::StubAnd(_) | Route::Instead(_), Verdict::Malformed) => {
            Route::Answer(MALFORMED.to_vec())
        }
        (Route::Stub | Route::StubAnd(_) | Route::Instead(_), Verdict::Unknown) => Route::Answer(Vec::new()),
        _ => route,
    }
}

fn choose_thread<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    if let Some(ThreadName::One(number)) = rest.get(1..).and_then(grammar::thread_name) {
        desk.terms.chosen = Some(number);
    }
    Route::Stub
}

/// `c`, `C`, `s`, `S`: the same in the newer form. Addresses and signals are not served and ignored.
fn old_resume<G: Guest>(desk: &mut Desk<'_, G>, step: bool) -> Route {
    if !step {
        return Route::Instead(b"vCont;c".to_vec());
    }
    let last = desk.inferior.last.thread.and_then(|thread| desk.inferior.number(thread));
    match desk.terms.chosen.or(last.map(|number| number.get() as u64)) {
        Some(number) => Route::Instead(format!("vCont;s:{number:x};c").into_bytes()),
        None => Route::Answer(MALFORMED.to_vec()),
    }
}

/// Why the program stands: `W00` if there is none.
pub fn last_stop<G: Guest>(desk: &mut Desk<'_, G>) -> Vec<u8> {
    if !desk.inferior.is_attached() {
        return b"W00".to_vec();
    }
    let last = desk.inferior.last;
    let signal = match last.kind {
        StopKind::Exited(code) => return format!("W{:02x}", exit_byte(code)).into_bytes(),
        StopKind::Breakpoint | StopKind::HardwareBreakpoint | StopKind::Watch(..) | StopKind::Call(_) => {
            gdbstub::common::Signal::SIGTRAP
        }
        StopKind::Signal(signal) => signal,
    };
    match last.thread.and_then(|thread| desk.inferior.number(thread)) {
        Some(number) => format!("T{:02x}thread:{};", signal.0, thread_id(number.get(), desk.process())),
        None => format!("S{:02x}", signal.0),
    }
    .into_bytes()
}

fn current_thread<G: Guest>(desk: &mut Desk<'_, G>) -> Route {
    let number = desk.inferior.last.thread.and_then(|thread| desk.inferior.number(thread));
    let answer = number.map(|number| format!("QC{}", thread_id(number.get(), desk.process())));
    Route::Answer(answer.unwrap_or_default().into_bytes())
}

fn extra_info<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    let Some(ThreadName::One(number)) = grammar::thread_name(rest) else {
        return Route::Answer(MALFORMED.to_vec());
    };
    let number = usize::try_from(number).ok().and_then(gdbstub::common::Tid::new);
    match number.and_then(|number| desk.inferior.thread(number)) {
        Some(thread) => Route::Answer(hex(desk.inferior.activity(thread).as_bytes()).into_bytes()),
        None => Route::Answer(MALFORMED.to_vec()),
    }
}

/// lldb's way to the names of threads: what stopped each, which is something only for the thread of the last stop.
fn thread_stop<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    let number = match grammar::thread_name(rest) {
        Some(ThreadName::One(number)) => usize::try_from(number).ok().and_then(gdbstub::common::Tid::new),
        _ => None,
    };
    let Some((number, thread)) = number.and_then(|number| Some((number, desk.inferior.thread(number)?)))
    else {
        return Route::Answer(MALFORMED.to_vec());
    };
    let last = desk.inferior.last;
    let mut answer = if last.thread == Some(thread) {
        String::from_utf8_lossy(&last_stop(desk)).into_owned()
    } else {
        format!("T00thread:{};", thread_id(number.get(), desk.process()))
    };
    if let (StopKind::Watch(_, address), true) = (last.kind, last.thread == Some(thread)) {
        answer += &format!("watch:{address:x};");
    }
    if let Ok(why) = desk.inferior.why(false) {
        answer += &format!("hexname:{};", hex(why.names.short(thread).as_bytes()));
    }
    Route::Answer(answer.into_bytes())
}

fn host_info() -> Vec<u8> {
    let triple = hex(b"x86_64-unknown-unknown-elf");
    format!("triple:{triple};endian:little;ptrsize:8;").into_bytes()
}

/// The mapping that covers an address, or the gap around it.
fn memory_region<G: Guest>(desk: &mut Desk<'_, G>, rest: &[u8]) -> Route {
    let Some(address) = parse_hex(rest) else { return Route::Answer(MALFORMED.to_vec()) };
    let space = desk.inferior.space;
    let Ok(environment) = desk.inferior.environment(false) else { return Route::Answer(b"E05".to_vec()) };
    let (mut gap_start, mut gap_end) = (0, flob_abi::memory::USER_END.max(address));
    for (mapping, _) in names::mappings(environment, space) {
        let end = mapping.start.saturating_add(mapping.size);
        if (mapping.start..end).contains(&address) {
            return Route::Answer(region(
                mapping.start,
                mapping.size,
                Protection::from_bits(mapping.protection),
            ));
        }
        if end <= address {
            gap_start = gap_start.max(end);
        } else {
            gap_end = gap_end.min(mapping.start);
        }
    }
    Route::Answer(region(gap_start, gap_end.saturating_sub(gap_start).max(1), Protection::NONE))
}

fn region(start: u64, size: u64, protection: Protection) -> Vec<u8> {
    let letters = [(Protection::READ, 'r'), (Protection::WRITE, 'w'), (Protection::EXECUTE, 'x')];
    let allowed: String =
        letters.iter().filter(|(right, _)| protection.allows(*right)).map(|(_, letter)| letter).collect();
    let permissions = if allowed.is_empty() { String::new() } else { format!("permissions:{allowed};") };
    format!("start:{start:x};size:{size:x};{permissions}").into_bytes()
}

//! The manual in `docs/kernel/` keeps step with the interface: a page for each call, IPC step, combination and kind's state,
//! nothing else, with what can be checked of their contents.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flob_abi::flob::FlobKind;
use flob_abi::state::Field;
use flob_abi::{Call, ExceptionCode, Misuse, Status, ipc, state, state_size};

/// The headings of a call's page.
const CALL_HEADINGS: [&str; 7] = [
    "Purpose",
    "Path without errors",
    "Arguments",
    "Returns",
    "Faults and misuse",
    "Stages and restart points",
    "Notes",
];
/// The headings of a state's page.
const STATE_HEADINGS: [&str; 4] = ["Fields", "Links", "New", "Not in the state"];
/// Pages that are about more than one call.
const OTHER_PAGES: [&str; 7] =
    ["README", "conventions", "console", "exceptions", "ipc", "memory", "panic-record"];
/// Structs that are fields of another.
const INNER: [(&str, &[Field]); 6] = [
    ("ports[]", state::PortRange::FIELDS),
    ("registers", state::Registers::FIELDS),
    ("debug", state::DebugRegisters::FIELDS),
    ("handlers", state::Handlers::FIELDS),
    ("saved", state::SavedArea::FIELDS),
    ("exception", state::PendingException::FIELDS),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages by name.
fn pages() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(root().join("docs/kernel")).unwrap();
    let page = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(path.extension().unwrap(), "md", "{path:?} is no page");
        (name, std::fs::read_to_string(path).unwrap())
    };
    entries.map(|entry| page(entry.unwrap().path())).collect()
}

fn step_pages() -> impl Iterator<Item = String> {
    ipc::STEP_NAMES.iter().map(|(_, name)| format!("ipc_step_{name}"))
}

/// The names of all pages with a call's headings.
fn call_pages() -> BTreeSet<String> {
    let calls = Call::ALL.iter().map(|call| call.name().to_owned());
    let combinations = ipc::NAMED.iter().map(|(name, _)| (*name).to_owned());
    calls.chain(combinations).chain(step_pages()).collect()
}

fn state_page(kind: FlobKind) -> String {
    format!("{}_state", kind.name())
}

fn headings(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("## ")).collect()
}

/// What stands below a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let below = page.split_once(&format!("\n## {heading}\n")).unwrap_or_default().1;
    below.split_once("\n## ").map_or(below, |(section, _)| section).trim()
}

fn own_fields(kind: FlobKind) -> &'static [Field] {
    match kind {
        FlobKind::Space => state::SpaceState::FIELDS,
        FlobKind::Thread => state::ThreadState::FIELDS,
        FlobKind::Region => state::RegionState::FIELDS,
        FlobKind::Mapping => state::MappingState::FIELDS,
        FlobKind::Port => state::PortState::FIELDS,
        FlobKind::PortSet => state::PortSetState::FIELDS,
        FlobKind::Mutex => state::MutexState::FIELDS,
        FlobKind::Condition => state::ConditionState::FIELDS,
        FlobKind::Reference => state::ReferenceState::FIELDS,
    }
}

/// Where the fields of a kind's state lie, those of structs in it too; what is in an array counts from its entry's start.
fn fields(kind: FlobKind) -> BTreeMap<String, Range<usize>> {
    let mut fields = BTreeMap::new();
    for field in own_fields(kind) {
        fields.insert(field.name.to_owned(), field.offset..field.offset + field.size);
        for (outer, inner) in INNER.iter().filter(|(outer, _)| outer.trim_end_matches("[]") == field.name) {
            let base = if outer.ends_with("[]") { 0 } else { field.offset };
            let place = |inner: &Field| base + inner.offset..base + inner.offset + inner.size;
            fields.extend(inner.iter().map(|inner| (format!("{outer}.{}", inner.name), place(inner))));
        }
    }
    fields
}

/// A table's rows: the names in backquotes in the first column, and the second column.
fn rows(table: &str) -> Vec<(Vec<&str>, &str)> {
    table.lines().filter_map(row).skip(2).collect()
}

fn row(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut cells = line.strip_prefix('|')?.split('|');
    let names = cells.next()?.split('`').skip(1).step_by(2).collect();
    Some((names, cells.next()?.trim()))
}

#[test]
fn each_call_step_combination_and_state_has_a_page_and_no_page_is_left_over() {
    let expected: BTreeSet<String> = call_pages()
        .into_iter()
        .chain(FlobKind::ALL.into_iter().map(state_page))
        .chain(OTHER_PAGES.map(String::from))
        .collect();
    let found: BTreeSet<String> = pages().into_keys().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let left_over: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && left_over.is_empty(), "missing: {missing:?}; left over: {left_over:?}");
}

/// The registers that arguments are in, in their order.
const ARGUMENTS: [&str; 6] = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];

#[test]
fn the_page_of_a_call_names_the_registers_of_its_arguments_and_values() {
    let pages = pages();
    for call in Call::ALL {
        let page = &pages[call.name()];
        let named: BTreeSet<&str> = section(page, "Arguments").split('`').skip(1).step_by(2).collect();
        let registers: Vec<&str> =
            ARGUMENTS.into_iter().filter(|register| named.contains(register)).collect();
        assert_eq!(registers, ARGUMENTS[..call.arguments().len()], "{}", call.name());
        for (index, name) in call.values() {
            let told = section(page, "Returns").contains(&format!("`{}`", ARGUMENTS[*index]));
            assert!(told, "{}: {name} is not among what it returns", call.name());
        }
    }
}

#[test]
fn the_page_of_a_call_has_the_headings_and_something_below_each() {
    let pages = pages();
    for name in call_pages() {
        let page = &pages[&name];
        assert!(page.starts_with(&format!("# {name}\n")), "{name}: the title");
        assert_eq!(headings(page), CALL_HEADINGS, "{name}");
        let empty: Vec<_> =
            CALL_HEADINGS.iter().filter(|heading| section(page, heading).is_empty()).collect();
        assert!(empty.is_empty(), "{name}: nothing below {empty:?}");
    }
}

#[test]
fn the_page_of_a_call_names_its_number() {
    let pages = pages();
    let calls = Call::ALL.iter().map(|call| (call.name(), *call as u64));
    for (name, number) in calls.chain(ipc::NAMED.iter().copied()) {
        let arguments = section(&pages[name], "Arguments");
        let expected = format!("`rax` = {number:#04x}");
        let named = arguments
            .strip_prefix(&expected)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_hexdigit()));
        assert!(named, "{name}: its arguments do not begin with {expected}");
    }
    for ((bit, _), page) in ipc::STEP_NAMES.iter().zip(step_pages()) {
        let expected = format!("Bit {} of `rax`", bit.trailing_zeros());
        assert!(section(&pages[&page], "Arguments").starts_with(&expected), "{page}: no {expected:?}");
    }
}

#[test]
fn each_step_is_in_the_table_of_steps_and_each_combination_means_something() {
    let page = &pages()["ipc"];
    for (bit, name) in ipc::STEP_NAMES {
        let row = format!("| {bit:#x} | {} |", name.to_uppercase());
        assert!(page.contains(&row), "no {row:?}");
    }
    let steps = ipc::STEP_NAMES.iter().fold(ipc::SERVER, |all, (bit, _)| all | bit);
    assert_eq!(steps, ipc::STEPS, "a step has no name");
    for (name, call) in ipc::NAMED {
        assert!(ipc::is_valid(*call), "{name}");
    }
}

#[test]
fn the_bounds_of_requests_are_what_the_pages_say() {
    let pages = pages();
    let (bytes, references, buffers) =
        (ipc::MAX_REQUEST, ipc::MAX_REQUEST_REFERENCES, ipc::MAX_REQUEST_BUFFERS);
    let bounds = format!("{bytes} bytes, {references} references or {buffers} buffers of a table");
    for name in ["ipc", "ipc_step_one_way", "ipc_step_call"] {
        let words: Vec<&str> = pages[name].split_whitespace().collect();
        assert!(words.join(" ").contains(&bounds), "{name}: no {bounds:?}");
    }
}

#[test]
fn the_page_of_a_state_names_its_size_and_every_field_with_its_bytes_and_every_link() {
    let pages = pages();
    for kind in FlobKind::ALL {
        let name = state_page(kind);
        let page = &pages[&name];
        assert_eq!(headings(page), STATE_HEADINGS, "{name}");
        let size = format!("State`, {} bytes", state_size(kind));
        assert!(page.contains(&size), "{name}: no {size:?}");
        let expected = fields(kind);
        let table = rows(section(page, "Fields"));
        let found: BTreeSet<&str> = table.iter().flat_map(|(names, _)| names).copied().collect();
        assert_eq!(found, expected.keys().map(String::as_str).collect(), "{name}: fields");
        for (names, bytes) in table {
            let (first, last) = (&expected[names[0]], &expected[names[names.len() - 1]]);
            let sign = if names[0].contains("[]") { "+" } else { "" };
            assert_eq!(
                bytes,
                format!("{sign}{}–{}", first.start, last.end - 1),
                "{name}: bytes of {names:?}"
            );
        }
        let links: BTreeSet<&str> =
            rows(section(page, "Links")).into_iter().flat_map(|(names, _)| names).collect();
        assert_eq!(links, kind.links().iter().copied().collect(), "{name}: links");
    }
}

#[test]
fn every_status_exception_and_misuse_is_in_its_table_with_its_number() {
    let pages = pages();
    let row = |page: &str, number: u32, name: &str| {
        let row = format!("| {number} | `{name}` |");
        assert!(pages[page].contains(&row), "{page}: no {row:?}");
    };
    for status in Status::ALL {
        row("conventions", *status as u32, &format!("{status:?}"));
    }
    for code in ExceptionCode::ALL {
        row("exceptions", *code as u32, &format!("{code:?}"));
    }
    for misuse in Misuse::ALL {
        row("exceptions", *misuse as u32, &format!("{misuse:?}"));
    }
}

#[test]
fn the_index_leads_to_every_page_and_every_link_leads_somewhere() {
    let pages = pages();
    for name in pages.keys().filter(|name| *name != "README") {
        let link = format!("[{name}]({name}.md)");
        assert_eq!(pages["README"].matches(&link).count(), 1, "{link} in the index");
    }
    for (name, page) in &pages {
        for target in page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let path = root().join("docs/kernel").join(target);
            assert!(path.is_file(), "{name}: {target} leads nowhere");
        }
    }
}

/// Calls that no stub makes directly: stages that another call turns into.
const STAGES: [(Call, Call); 1] = [(Call::ConditionSleep, Call::ConditionWait)];

/// All of the runtime's source, without comments.
fn runtime_source() -> String {
    fn read(folder: &Path, source: &mut String) {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                read(&path, source);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                code.for_each(|line| source.extend([line, "\n"]));
            }
        }
    }
    let mut source = String::new();
    read(&root().join("runtime/src"), &mut source);
    source
}

/// The functions of the runtime, by name, with all bodies of that name.
fn functions(source: &str) -> BTreeMap<&str, String> {
    let mut functions: BTreeMap<&str, String> = BTreeMap::new();
    for function in source.split("fn ").skip(1) {
        let end =
            function.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(function.len());
        functions.entry(&function[..end]).or_default().push_str(&function[end..]);
    }
    functions
}

/// Which function the index names as the stub of a call.
fn stub_in_index<'a>(index: &'a str, name: &str) -> &'a str {
    let row = index.lines().find(|line| line.contains(&format!("]({name}.md)"))).unwrap_or_default();
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    let path = cell.trim().trim_matches('`');
    path.rsplit("::").next().unwrap_or_default()
}

#[test]
fn the_index_names_a_stub_of_the_runtime_for_each_call_and_that_stub_makes_the_call() {
    let source = runtime_source();
    let functions = functions(&source);
    let pages = pages();
    let contains_word = |body: &str, word: &str| {
        body.match_indices(word).any(|(at, _)| {
            !body[at + word.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    for call in Call::ALL {
        let made_by = STAGES.iter().find(|(stage, _)| stage == call).map_or(call, |(_, first)| first);
        let stub = stub_in_index(&pages["README"], call.name());
        let body = functions.get(stub).unwrap_or_else(|| panic!("{}: no stub {stub:?}", call.name()));
        let made =
            common_name(*call).map_or_else(|| format!("Call::{made_by:?}"), |name| format!("Common::{name}"));
        assert!(contains_word(body, &made), "{}: {stub} does not make {made}", call.name());
    }
}

#[test]
fn the_index_names_a_stub_of_the_runtime_for_each_named_set_of_steps() {
    let pages = pages();
    let stubs = std::fs::read_to_string(root().join("runtime/src/named.rs")).unwrap();
    for (name, _) in ipc::NAMED {
        let stub = stub_in_index(&pages["README"], name);
        assert_eq!(Some(stub), name.strip_prefix("ipc_"), "the stub of {name} in the index");
        let made = format!("`{name}`.\n    {stub}, {stub}_words = ");
        assert!(stubs.contains(&made), "{name}: no stub {stub:?}");
    }
}

/// The runtime's name of a call that several kinds share; it makes these calls for all kinds alike, by their numbers.
fn common_name(call: Call) -> Option<&'static str> {
    const COMMON: [(&str, &str); 6] = [
        ("create", "Create"),
        ("destroy", "Destroy"),
        ("move", "Move"),
        ("reference", "Reference"),
        ("get_state", "GetState"),
        ("set_state", "SetState"),
    ];
    let (kind, name) = call.name().split_once('_')?;
    let kind = FlobKind::from_name(kind)?;
    let index = COMMON.iter().position(|(common, _)| *common == name)?;
    assert_eq!(call as u32, kind as u32 * 16 + index as u32, "{}: its number", call.name());
    Some(COMMON[index].1)
}

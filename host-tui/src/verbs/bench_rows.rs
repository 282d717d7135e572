//! The rows of `flob bench kernel`: how each is measured, what it is to be at most, and what others need for the same.

/// How often each thing is done in one run: `programs/bench` says the same.
pub const TIMES: u32 = 33;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As the guest names it.
    pub name: &'static str,
    /// How it is measured.
    pub method: &'static str,
    /// What it is to be at most, in instructions.
    pub target: Option<u64>,
    /// It is to be at most 8% of that row.
    pub share_of: Option<&'static str>,
    /// It is the first of these rows less the second.
    pub difference: Option<(&'static str, &'static str)>,
    /// What others need, counted the same way in the same emulator.
    pub beside: &'static str,
}

const fn row(name: &'static str, method: &'static str) -> Row {
    Row { name, method, target: None, share_of: None, difference: None, beside: "" }
}

impl Row {
    const fn target(self, target: u64, beside: &'static str) -> Self {
        Self { target: Some(target), beside, ..self }
    }

    const fn less(self, more: &'static str, less: &'static str) -> Self {
        Self { difference: Some((more, less)), ..self }
    }
}

const RPC: &str = "connect-send-over-receive against acknowledge-send-wait-receive, two spaces, so many bytes there and back";
const GET: &str = "get_state, all fields, no links";
const SET: &str = "set_state, all fields, no links";
const WORK: &str = "a loop of 3,000 instructions in a space so deep";

/// All rows.
pub const ROWS: &[Row] = &[
    row("null", "one call, from `syscall` to the next instruction").target(89, "seL4 89, Linux 340"),
    row("mutex-lock", "uncontended").target(150, ""),
    row("mutex-unlock", "nobody waits").target(150, ""),
    row("switch-block", "mutex_lock of a held mutex, to the next thread's next instruction").target(279, ""),
    row("switch-wake", "mutex_unlock, to the next instruction of a higher thread that waited for it")
        .target(279, ""),
    row("rpc-words", "the same in the short form: eight words, 64 bytes, in registers")
        .target(700, "stretch 423; seL4 423 for 8 bytes by its fast path, 1,423 without, Linux pipe 10,349"),
    row("rpc-0", RPC),
    row("rpc-8", RPC).target(700, "as above"),
    row("rpc-64", RPC).target(800, "seL4 1,589 for 80 bytes"),
    row("rpc-512", RPC),
    row("rpc-4096", RPC),
    row("rpc-65536", RPC),
    row("soft-fault", "a write to a page mapped through one region").target(400, ""),
    row("soft-fault-2-levels", "the same through two"),
    row("soft-fault-8-levels", "the same through eight"),
    row("keeper-fault", "a write that a region denies, lifted by its keeper in another space, and done")
        .target(1241, "seL4 1,241"),
    row("get-thread-head", "get_state without vectors and links").target(613, "seL4 613"),
    row("set-thread-head", "set_state without vectors and links").target(757, "seL4 757"),
    row("get-thread-registers", "get_state, mask of the general registers only"),
    row("set-thread-registers", "set_state, mask of the general registers only"),
    row("get-thread-control", "get_state, mask of the flags only"),
    row("set-thread-control", "set_state, mask of the flags only"),
    row("get-thread-vectors", "get_state with vectors, without links"),
    row("set-thread-vectors", "set_state with vectors, without links"),
    row("get-thread-links", "get_state of all six links and nothing else"),
    row("set-thread-links", "set_state of all six links and nothing else"),
    row("get-space", GET),
    row("set-space", SET),
    row("get-region", GET),
    row("set-region", SET),
    row("get-mapping", GET),
    row("set-mapping", SET),
    row("get-port", GET),
    row("set-port", SET),
    row("get-portset", GET),
    row("set-portset", SET),
    row("get-mutex", GET),
    row("set-mutex", SET),
    row("get-condition", GET),
    row("set-condition", SET),
    row("set-same-link", "set_state of a waiting thread's waiting-for link to what it is"),
    row("restart", "the same to null: the thread, a higher one, runs its mutex_lock again and waits again"),
    row(
        "restarted-call",
        "`restart` less `set-same-link`: what the restart of a call costs, two switches included",
    )
    .target(250, "")
    .less("restart", "set-same-link"),
    row("transfer-calm", "round trips of 64 KB, as in rpc-65536"),
    row("transfer-stopped", "the same, the client stopped, read and let go once in it, less those calls"),
    Row {
        share_of: Some("transfer-calm"),
        beside: "8% of the transfer; Fluke 2-8%",
        ..row("transfer-restart", "the difference: what an interruption adds")
            .less("transfer-stopped", "transfer-calm")
    },
    row("work-1-level", WORK),
    row("work-2-levels", WORK),
    row("work-8-levels", WORK),
    row(
        "nesting-level",
        "work-8-levels less work-1-level: what nesting costs a program that makes no requests",
    )
    .target(0, "")
    .less("work-8-levels", "work-1-level"),
];

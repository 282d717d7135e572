//! IPC calls are *sets of steps*: the call number says which steps are left, and each step that is done takes its
//! bit out of `rax`. So every combination is one mechanism, and the registers of a blocked thread say exactly
//! what is left of its call (the *stage*). The combinations that have names are in [`named`].
//!
//! | register | in | while it runs and on return |
//! |---|---|---|
//! | rdi | client, CONNECT, ONE_WAY, CALL: address of a reference to the port; server, WAIT: address of the port set | after WAIT: alias of the port |
//! | rsi, rdx | send buffer and bytes | what is left |
//! | r10, r8 | array of addresses of reference flobs to send and how many | what is left |
//! | r9, rbx | receive buffer and bytes of room | what is left |
//! | r12, r13 | array of addresses of reference flobs to receive into and how many | what is left |
//! | r14, r15 | tables of further send and receive buffers ([`table`]), 0 for none | what is left |
//! | rbp | after WAIT: the [`Flavour`] | |
//!
//! Steps are done in this order: REPLY, CONNECT, ACKNOWLEDGE, SEND, OVER, DISCONNECT, WAIT, RECEIVE. ONE_WAY, CALL and
//! ALERT stand alone.
//!
//! **The short form** ([`SHORT`] in the call number): a message is the eight words in rsi, rdx, r10, r8, r9, rbx, r12
//! and r13, in this order, on both ways: what is received overwrites what was sent. `r14` is 0 before and says
//! afterwards how many bytes have come. No memory is touched, unless the other end uses the long form: that one
//! receives the words as 64 bytes, all or none, and of what it sends the first 64 bytes become words.
//!
//! **Requests without a connection** (one-way, idempotent, exceptions) are delivered whole, at once; what is beyond the
//! receiver's room, [`MAX_REQUEST`] bytes, [`MAX_REQUEST_REFERENCES`] references or [`MAX_REQUEST_BUFFERS`] buffers is
//! silently left out. Only a connection carries messages of any length.

mod named;

pub use named::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bit that makes a call number a set of IPC steps.
pub const IPC: u64 = 0x1000;
/// The caller uses the short form: words in registers.
pub const SHORT: u64 = 0x2000;
/// The caller acts as the server end of its connection (else as the client end).
pub const SERVER: u64 = 1 << 0;
/// Server: answer the idempotent request (for an exception: an [`crate::ExceptionReply`]).
pub const REPLY: u64 = 1 << 1;
/// Client: end the old connection and make one with whoever serves the port.
pub const CONNECT: u64 = 1 << 2;
/// The receiver becomes the sender, once the peer says over; what it still sends is dropped.
pub const ACKNOWLEDGE: u64 = 1 << 3;
/// Send bytes and references until the peer has taken all.
pub const SEND: u64 = 1 << 4;
/// The sender becomes the receiver, once the peer acknowledges.
pub const OVER: u64 = 1 << 5;
/// End the connection.
pub const DISCONNECT: u64 = 1 << 6;
/// Server: end the connection and the idempotent request at hand, and wait at a port set for the next.
pub const WAIT: u64 = 1 << 7;
/// Receive until the peer says over, the room is full or the connection ends.
pub const RECEIVE: u64 = 1 << 8;
/// Client: send a request at most once, without an answer; done when a server has it.
pub const ONE_WAY: u64 = 1 << 9;
/// Client: put an idempotent request and wait for its reply; put again whenever that may have been lost.
pub const CALL: u64 = 1 << 10;
/// Send an asynchronous exception to the peer of the connection.
pub const ALERT: u64 = 1 << 11;
/// All step bits.
pub const STEPS: u64 = 0xfff;

/// The steps with their names in the manual, in the order in which they are done.
pub const STEP_NAMES: &[(u64, &str)] = &[
    (REPLY, "reply"),
    (CONNECT, "connect"),
    (ACKNOWLEDGE, "acknowledge"),
    (SEND, "send"),
    (OVER, "over"),
    (DISCONNECT, "disconnect"),
    (WAIT, "wait"),
    (RECEIVE, "receive"),
    (ONE_WAY, "one_way"),
    (CALL, "call"),
    (ALERT, "alert"),
];

/// Most bytes of a request, or its reply, without a connection.
pub const MAX_REQUEST: usize = 1024;
/// Most references of such a request or reply.
pub const MAX_REQUEST_REFERENCES: usize = 4;
/// Most buffers of a table that such a request or reply is gathered from, or scattered to.
pub const MAX_REQUEST_BUFFERS: usize = 8;
/// Words of a message in the short form.
pub const SHORT_WORDS: usize = 8;
/// Bytes of a message in the short form.
pub const SHORT_BYTES: usize = 8 * SHORT_WORDS;

/// An entry of a table of buffers. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Buffer {
    /// Where it begins.
    pub address: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Bits of an address in `r14` and `r15`; the rest is the number of entries.
const TABLE_SHIFT: u32 = 48;

/// What goes into `r14` or `r15`: the address of an array of [`Buffer`]s, used one after the other once the first buffer
/// is used up, and how many there are (at most 65535).
pub const fn table(address: u64, entries: u16) -> u64 {
    address & ((1 << TABLE_SHIFT) - 1) | (entries as u64) << TABLE_SHIFT
}

/// The address of the next entry in `r14` or `r15`.
pub const fn table_address(table: u64) -> u64 {
    table & ((1 << TABLE_SHIFT) - 1)
}

/// How many entries are left in `r14` or `r15`.
#[inline]
pub const fn table_entries(table: u64) -> u64 {
    table >> TABLE_SHIFT
}

/// The same table without its first entries.
pub const fn table_behind(table: u64, entries: u64) -> u64 {
    let left = table_entries(table).saturating_sub(entries);
    let address = table_address(table).wrapping_add(entries.wrapping_mul(16));
    address & ((1 << TABLE_SHIFT) - 1) | left << TABLE_SHIFT
}

/// The first of the steps left of an IPC call.
#[inline]
pub const fn next_step(call: u64) -> Option<u64> {
    let steps = call & STEPS & !SERVER;
    if call & IPC == 0 || steps == 0 { None } else { Some(steps & steps.wrapping_neg()) }
}

/// How a request came to a server; in `rbp` after WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Flavour {
    /// At most once, no answer.
    OneWay = 1,
    /// May come again; answered by REPLY. Exceptions come this way.
    Idempotent = 2,
    /// A connection.
    Reliable = 3,
}

impl Flavour {
    /// The flavour with this number.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::OneWay),
            2 => Some(Self::Idempotent),
            3 => Some(Self::Reliable),
            _ => None,
        }
    }
}

/// Whether a set of steps means anything: at least one step, client steps for the client, server steps for the
/// server, no reply together with an acknowledge or send, nothing beside what stands alone.
#[inline]
pub fn is_valid(call: u64) -> bool {
    let steps = (call & STEPS) as usize;
    call & !(SHORT | STEPS) == IPC && VALID[steps / 64] >> (steps % 64) & 1 != 0
}

/// All sets of steps that mean something, a bit each.
static VALID: [u64; SETS / 64] = {
    let mut valid = [0; SETS / 64];
    let mut steps = 0;
    while steps < SETS {
        if means_something(steps as u64) {
            valid[steps / 64] |= 1 << (steps % 64);
        }
        steps += 1;
    }
    valid
};
const SETS: usize = STEPS as usize + 1;

const fn means_something(steps: u64) -> bool {
    let server = steps & SERVER != 0;
    let some_step = steps & !SERVER != 0;
    let right_side =
        if server { steps & (CONNECT | ONE_WAY | CALL) == 0 } else { steps & (REPLY | WAIT) == 0 };
    let reply_alone = steps & REPLY == 0 || steps & (ACKNOWLEDGE | SEND | OVER) == 0;
    let connects_as_sender = steps & CONNECT == 0 || steps & ACKNOWLEDGE == 0;
    let receives_from_somebody = steps & DISCONNECT == 0 || steps & RECEIVE == 0 || steps & WAIT != 0;
    let turned_before_receive =
        steps & RECEIVE == 0 || steps & (WAIT | OVER) != 0 || steps & (SEND | ACKNOWLEDGE | CONNECT) == 0;
    let alone = steps & (ONE_WAY | CALL | ALERT);
    let stands_alone = alone == 0 || steps & !SERVER == alone && alone & (alone - 1) == 0;
    stands_alone
        && some_step
        && right_side
        && reply_alone
        && connects_as_sender
        && receives_from_somebody
        && turned_before_receive
}

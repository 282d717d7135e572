//! IPC calls are *sets of steps*: the call number says which steps are left, and each step that is done takes its
//! bit out of `rax`. So every combination is one mechanism, and the registers of a blocked thread say exactly
//! what is left of its call (the *stage*).
//!
//! | register | in | while it runs and on return |
//! |---|---|---|
//! | rdi | client, CONNECT: address of a reference to the port; server, WAIT: address of the port set | after WAIT: alias of the port |
//! | rsi, rdx | send buffer and bytes | what is left |
//! | r10, r8 | array of addresses of reference flobs to send and how many | what is left |
//! | r9, rbx | receive buffer and bytes of room | what is left |
//! | r12, r13 | array of addresses of reference flobs to receive into and how many | what is left |
//! | r14, r15 | reserved for scatter tables: 0 | |
//! | rbp | after WAIT: the [`Flavour`] | |
//!
//! Steps are done in this order: REPLY, CONNECT, ACKNOWLEDGE, SEND, OVER, DISCONNECT, WAIT, RECEIVE.

/// The bit that makes a call number a set of IPC steps.
pub const IPC: u64 = 0x1000;
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
/// All step bits.
pub const STEPS: u64 = 0x1ff;

/// The standard client call: request and reply.
pub const CLIENT_CALL: u64 = IPC | CONNECT | SEND | OVER | RECEIVE;
/// The standard server loop: take the direction, send the reply, wait for and receive the next request.
pub const SERVER_ANSWER: u64 = IPC | SERVER | ACKNOWLEDGE | SEND | WAIT | RECEIVE;
/// The server's first wait.
pub const SERVER_WAIT: u64 = IPC | SERVER | WAIT | RECEIVE;
/// The keeper's loop: answer an exception and wait for the next request of any flavour.
pub const SERVER_REPLY: u64 = IPC | SERVER | REPLY | WAIT | RECEIVE;

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
/// server, no reply together with an acknowledge or send.
pub const fn is_valid(call: u64) -> bool {
    let steps = call & STEPS;
    let server = steps & SERVER != 0;
    let only_steps = call & !(IPC | STEPS) == 0 && call & IPC != 0;
    let some_step = steps & !SERVER != 0;
    let right_side = if server { steps & CONNECT == 0 } else { steps & (REPLY | WAIT) == 0 };
    let reply_alone = steps & REPLY == 0 || steps & (ACKNOWLEDGE | SEND | OVER) == 0;
    let connects_as_sender = steps & CONNECT == 0 || steps & ACKNOWLEDGE == 0;
    let receives_from_somebody = steps & DISCONNECT == 0 || steps & RECEIVE == 0 || steps & WAIT != 0;
    let turned_before_receive =
        steps & RECEIVE == 0 || steps & (WAIT | OVER) != 0 || steps & (SEND | ACKNOWLEDGE | CONNECT) == 0;
    only_steps
        && some_step
        && right_side
        && reply_alone
        && connects_as_sender
        && receives_from_somebody
        && turned_before_receive
}

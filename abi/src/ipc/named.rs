//! The combinations of steps that have a name: one constant for each of Fluke's IPC calls. Each can be had in the short
//! form too, by adding [`SHORT`](super::SHORT).

use super::{
    ACKNOWLEDGE, ALERT, CALL, CONNECT, DISCONNECT, IPC, ONE_WAY, OVER, RECEIVE, REPLY, SEND, SERVER, WAIT,
};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $steps:expr;)*) => {
        $($(#[$doc])* pub const $name: u64 = IPC | $steps;)*

        /// All of them, with their names in the manual.
        pub const NAMED: &[(&str, u64)] = &[$(($text, $name),)*];
    };
}

named! {
    /// A message at most once, unordered; `Success` is only a hint.
    ONE_WAY_SEND = "ipc_send", ONE_WAY;
    /// A request that may be delivered several times, and its reply.
    IDEMPOTENT_CALL = "ipc_call", CALL;
    /// Answers the request at hand; ignored if there is none (for an exception: an [`crate::ExceptionReply`]).
    IDEMPOTENT_REPLY = "ipc_reply", SERVER | REPLY;
    /// The keeper's loop: answer the request at hand and wait for the next one of any flavour.
    REPLY_WAIT_RECEIVE = "ipc_reply_wait_receive", SERVER | REPLY | WAIT | RECEIVE;
    /// Begins a connection and sends; the client stays the sender.
    CLIENT_CONNECT_SEND = "ipc_client_connect_send", CONNECT | SEND;
    /// The standard client call: request and reply.
    CLIENT_CONNECT_SEND_OVER_RECEIVE = "ipc_client_connect_send_over_receive", CONNECT | SEND | OVER | RECEIVE;
    /// The server's first wait. (Fluke's `setup_wait_receive` too: the port set is named each time.)
    SERVER_WAIT_RECEIVE = "ipc_wait_receive", SERVER | WAIT | RECEIVE;
    /// The standard server loop: take the direction, send the reply, wait for and receive the next request.
    SERVER_ACK_SEND_WAIT_RECEIVE = "ipc_server_ack_send_wait_receive", SERVER | ACKNOWLEDGE | SEND | WAIT | RECEIVE;
    /// The end of a reply of several sends, and the next request.
    SERVER_SEND_WAIT_RECEIVE = "ipc_server_send_wait_receive", SERVER | SEND | WAIT | RECEIVE;
    /// Takes the direction and sends.
    CLIENT_ACK_SEND = "ipc_client_ack_send", ACKNOWLEDGE | SEND;
    /// Takes the direction, sends, gives it back and receives.
    CLIENT_ACK_SEND_OVER_RECEIVE = "ipc_client_ack_send_over_receive", ACKNOWLEDGE | SEND | OVER | RECEIVE;
    /// An asynchronous exception for the peer.
    CLIENT_ALERT = "ipc_client_alert", ALERT;
    /// Ends the connection.
    CLIENT_DISCONNECT = "ipc_client_disconnect", DISCONNECT;
    /// Gives the direction to the peer and receives.
    CLIENT_OVER_RECEIVE = "ipc_client_over_receive", OVER | RECEIVE;
    /// Receives (more).
    CLIENT_RECEIVE = "ipc_client_receive", RECEIVE;
    /// Sends (more).
    CLIENT_SEND = "ipc_client_send", SEND;
    /// Sends, gives the direction to the peer and receives.
    CLIENT_SEND_OVER_RECEIVE = "ipc_client_send_over_receive", SEND | OVER | RECEIVE;
    /// Takes the direction and sends.
    SERVER_ACK_SEND = "ipc_server_ack_send", SERVER | ACKNOWLEDGE | SEND;
    /// Takes the direction, sends, gives it back and receives.
    SERVER_ACK_SEND_OVER_RECEIVE = "ipc_server_ack_send_over_receive", SERVER | ACKNOWLEDGE | SEND | OVER | RECEIVE;
    /// An asynchronous exception for the peer.
    SERVER_ALERT = "ipc_server_alert", SERVER | ALERT;
    /// Ends the connection.
    SERVER_DISCONNECT = "ipc_server_disconnect", SERVER | DISCONNECT;
    /// Gives the direction to the peer and receives.
    SERVER_OVER_RECEIVE = "ipc_server_over_receive", SERVER | OVER | RECEIVE;
    /// Receives (more).
    SERVER_RECEIVE = "ipc_server_receive", SERVER | RECEIVE;
    /// Sends (more).
    SERVER_SEND = "ipc_server_send", SERVER | SEND;
    /// Sends, gives the direction to the peer and receives.
    SERVER_SEND_OVER_RECEIVE = "ipc_server_send_over_receive", SERVER | SEND | OVER | RECEIVE;
}

/// The usual client call, by a short name.
pub const CLIENT_CALL: u64 = CLIENT_CONNECT_SEND_OVER_RECEIVE;
/// The usual server loop, by a short name.
pub const SERVER_ANSWER: u64 = SERVER_ACK_SEND_WAIT_RECEIVE;
/// The server's first wait, by a short name.
pub const SERVER_WAIT: u64 = SERVER_WAIT_RECEIVE;
/// The keeper's loop, by a short name.
pub const SERVER_REPLY: u64 = REPLY_WAIT_RECEIVE;

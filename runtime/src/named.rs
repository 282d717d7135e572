//! One function for each named IPC call ([`flob_abi::ipc::NAMED`]), as thin as can be. [`crate::ipc`] has what most
//! programs want.

use flob_abi::ipc as steps;

use crate::call::{self, IpcOutcome, ShortOutcome, Transfer, Words};
use crate::flob::{FlobAt, PortSet, Reference};

/// To a port: the first step names it.
macro_rules! to_port {
    ($($(#[$doc:meta])* $name:ident, $short:ident = $steps:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(port: FlobAt<Reference>, transfer: Transfer<'_>) -> IpcOutcome {
                call::ipc(steps::$steps, port.address(), transfer)
            }

            /// The same with words for a message.
            pub fn $short(port: FlobAt<Reference>, words: Words) -> ShortOutcome {
                call::ipc_short(steps::$steps, port.address(), words)
            }
        )*
    };
}

/// At a port set: the WAIT step names it.
macro_rules! at_set {
    ($($(#[$doc:meta])* $name:ident, $short:ident = $steps:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(set: FlobAt<PortSet>, transfer: Transfer<'_>) -> IpcOutcome {
                call::ipc(steps::$steps, set.address(), transfer)
            }

            /// The same with words for a message.
            pub fn $short(set: FlobAt<PortSet>, words: Words) -> ShortOutcome {
                call::ipc_short(steps::$steps, set.address(), words)
            }
        )*
    };
}

/// In a connection, or for the request at hand.
macro_rules! connected {
    ($($(#[$doc:meta])* $name:ident, $short:ident = $steps:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(transfer: Transfer<'_>) -> IpcOutcome {
                call::ipc(steps::$steps, 0, transfer)
            }

            /// The same with words for a message.
            pub fn $short(words: Words) -> ShortOutcome {
                call::ipc_short(steps::$steps, 0, words)
            }
        )*
    };
}

to_port! {
    /// A message at most once, unordered; `Success` is only a hint. `ipc_send`.
    send, send_words = ONE_WAY_SEND;
    /// A request that may be delivered several times, and its reply. `ipc_call`.
    call, call_words = IDEMPOTENT_CALL;
    /// Begins a connection and sends; the client stays the sender. `ipc_client_connect_send`.
    client_connect_send, client_connect_send_words = CLIENT_CONNECT_SEND;
    /// The standard client call: request and reply. `ipc_client_connect_send_over_receive`.
    client_connect_send_over_receive, client_connect_send_over_receive_words = CLIENT_CONNECT_SEND_OVER_RECEIVE;
}

at_set! {
    /// The keeper's loop: answer the request at hand and wait for the next one of any flavour. `ipc_reply_wait_receive`.
    reply_wait_receive, reply_wait_receive_words = REPLY_WAIT_RECEIVE;
    /// The server's first wait. (Fluke's `setup_wait_receive` too: the port set is named each time.) `ipc_wait_receive`.
    wait_receive, wait_receive_words = SERVER_WAIT_RECEIVE;
    /// The standard server loop: take the direction, send the reply, wait for and receive the next request. `ipc_server_ack_send_wait_receive`.
    server_ack_send_wait_receive, server_ack_send_wait_receive_words = SERVER_ACK_SEND_WAIT_RECEIVE;
    /// The end of a reply of several sends, and the next request. `ipc_server_send_wait_receive`.
    server_send_wait_receive, server_send_wait_receive_words = SERVER_SEND_WAIT_RECEIVE;
}

connected! {
    /// Answers the request at hand; ignored if there is none (for an exception: an [`crate::ExceptionReply`]). `ipc_reply`.
    reply, reply_words = IDEMPOTENT_REPLY;
    /// Takes the direction and sends. `ipc_client_ack_send`.
    client_ack_send, client_ack_send_words = CLIENT_ACK_SEND;
    /// Takes the direction, sends, gives it back and receives. `ipc_client_ack_send_over_receive`.
    client_ack_send_over_receive, client_ack_send_over_receive_words = CLIENT_ACK_SEND_OVER_RECEIVE;
    /// An asynchronous exception for the peer. `ipc_client_alert`.
    client_alert, client_alert_words = CLIENT_ALERT;
    /// Ends the connection. `ipc_client_disconnect`.
    client_disconnect, client_disconnect_words = CLIENT_DISCONNECT;
    /// Gives the direction to the peer and receives. `ipc_client_over_receive`.
    client_over_receive, client_over_receive_words = CLIENT_OVER_RECEIVE;
    /// Receives (more). `ipc_client_receive`.
    client_receive, client_receive_words = CLIENT_RECEIVE;
    /// Sends (more). `ipc_client_send`.
    client_send, client_send_words = CLIENT_SEND;
    /// Sends, gives the direction to the peer and receives. `ipc_client_send_over_receive`.
    client_send_over_receive, client_send_over_receive_words = CLIENT_SEND_OVER_RECEIVE;
    /// Takes the direction and sends. `ipc_server_ack_send`.
    server_ack_send, server_ack_send_words = SERVER_ACK_SEND;
    /// Takes the direction, sends, gives it back and receives. `ipc_server_ack_send_over_receive`.
    server_ack_send_over_receive, server_ack_send_over_receive_words = SERVER_ACK_SEND_OVER_RECEIVE;
    /// An asynchronous exception for the peer. `ipc_server_alert`.
    server_alert, server_alert_words = SERVER_ALERT;
    /// Ends the connection. `ipc_server_disconnect`.
    server_disconnect, server_disconnect_words = SERVER_DISCONNECT;
    /// Gives the direction to the peer and receives. `ipc_server_over_receive`.
    server_over_receive, server_over_receive_words = SERVER_OVER_RECEIVE;
    /// Receives (more). `ipc_server_receive`.
    server_receive, server_receive_words = SERVER_RECEIVE;
    /// Sends (more). `ipc_server_send`.
    server_send, server_send_words = SERVER_SEND;
    /// Sends, gives the direction to the peer and receives. `ipc_server_send_over_receive`.
    server_send_over_receive, server_send_over_receive_words = SERVER_SEND_OVER_RECEIVE;
}

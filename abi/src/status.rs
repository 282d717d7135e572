//! Ordinary outcomes of a call, returned in `rax`. Misuse is no status but an exception.

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The outcome of a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Status { $($(#[$doc])* $name = $number,)* }

        impl Status {
            /// All statuses.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it says, in a few words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

statuses! {
    /// Done.
    Success = 0, "success";
    /// The kernel's pool has no room for another flob.
    NoMemory = 1, "no memory";
    /// `set_state` was given contents that this kind of flob cannot have.
    InvalidState = 2, "invalid state";
    /// `set_state` or a grant asked for more than the caller has itself.
    NotPermitted = 3, "not permitted";
    /// `mutex_trylock`: somebody holds it.
    MutexHeld = 4, "mutex held";
    /// `reference_locate`: the target does not lie in the region.
    NotFound = 5, "not found";
    /// References compared lead to different flobs.
    Different = 6, "different";
    /// For handlers of `thread_interrupt` that end the interrupted call instead of letting it run again: they set it in
    /// the saved area. The kernel itself restarts every call.
    Interrupted = 7, "interrupted";
    /// `reference_check`: the reference names nothing, or a flob that was destroyed.
    NullReference = 8, "null reference";
    /// Connect, one-way send, idempotent call: the reference names no port that exists.
    ConnectInvalidDestination = 16, "invalid destination";
    /// Send: the connection ended before everything was taken.
    SendDisconnected = 17, "send: disconnected";
    /// Over: the connection ended.
    OverDisconnected = 18, "over: disconnected";
    /// Acknowledge: the connection ended, or there was none.
    AcknowledgeDisconnected = 19, "acknowledge: disconnected";
    /// Receive: the peer ended the connection; everything it had sent has arrived.
    ReceiveDisconnected = 20, "receive: disconnected";
    /// Receive: the buffer is full and there is more.
    ReceiveMoreData = 21, "receive: more data";
    /// Receive: the reference list is full and there are more.
    ReceiveMoreReferences = 22, "receive: more references";
    /// Alert: nobody is at the other end; the connection ended, or is parked there.
    AlertDisconnected = 23, "alert: disconnected";
}

impl Status {
    /// The status with this number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| *status as u64 == number)
    }
}

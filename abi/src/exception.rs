//! Exceptions: what interrupts a thread's own flow, how it is told to a keeper, and how a keeper answers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! codes {
    ($(#[$top:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)* }) => {
        $(#[$top])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $type { $($(#[$doc])* $name = $number,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The one with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| *code as u32 == number)
            }

            /// What it says, in a few words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Why a thread was interrupted. In `PendingException::code`; 0 there means none.
    ExceptionCode {
        /// A hard page fault: `address`, `access`; `offset` in the region whose keeper is asked.
        PageFault = 1, "page fault";
        /// A call was misused: `detail` is the [`Misuse`], `address` the offending argument.
        Misuse = 2, "misuse of a call";
        /// Division by zero or overflow of a quotient.
        Divide = 3, "divide error";
        /// Single step, watchpoint or hardware breakpoint: `detail` is DR6.
        Debug = 4, "debug";
        /// `int3`; RIP is at the instruction.
        Breakpoint = 5, "breakpoint";
        /// An instruction that does not exist.
        InvalidOpcode = 6, "invalid instruction";
        /// An instruction that is not allowed: `detail` is the hardware's error code.
        GeneralProtection = 7, "general protection";
        /// Unmasked x87 exception.
        Floating = 8, "floating point";
        /// Unmasked SSE exception: `detail` is MXCSR.
        Vector = 9, "vector arithmetic";
        /// Alignment check.
        Alignment = 10, "misaligned access";
        /// A `syscall` of a space that reflects foreign calls.
        ReflectedCall = 11, "reflected call";
        /// Any other trap of the hardware: `detail` is its vector.
        Other = 12, "trap";
        /// Somebody posted it with `thread_interrupt`.
        Interrupt = 13, "interrupt";
        /// The server end of its connection sent an alert.
        ClientAlert = 14, "alert from the server";
        /// The client end of its connection sent an alert.
        ServerAlert = 15, "alert from the client";
    }
}

impl ExceptionCode {
    /// Goes to the debug port, if there is one, before anybody else.
    pub const fn is_debug(self) -> bool {
        matches!(self, Self::Debug | Self::Breakpoint)
    }

    /// Posted by somebody else; deferred until the thread can take it. Nobody but its own handler is asked.
    pub const ASYNCHRONOUS: [Self; 3] = [Self::Interrupt, Self::ClientAlert, Self::ServerAlert];

    /// Its bit in `PendingException::deferred`.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

codes! {
    /// In what way a call was misused.
    Misuse {
        /// No flob at the address.
        NoFlob = 1, "no flob there";
        /// A flob of another kind than the call needs.
        WrongKind = 2, "wrong kind of flob";
        /// A reference to a flob of another kind than the call needs, or a null one.
        WrongReference = 3, "wrong kind of reference";
        /// `create` where a flob is already.
        FlobExists = 4, "a flob exists there";
        /// Not on a multiple of the kind's alignment.
        NotAligned = 5, "not aligned";
        /// Not allowed on the calling thread itself.
        CurrentThread = 6, "not on the current thread";
        /// No call has this number, or the combination of IPC steps means nothing.
        UnknownCall = 7, "unknown call";
        /// Send or over by the end that is not the sender.
        NotSender = 8, "not the sender";
        /// Receive or acknowledge by the end that is not the receiver.
        NotReceiver = 9, "not the receiver";
        /// The caller holds the mutex already.
        MutexLocked = 10, "mutex locked by the caller";
        /// The mutex is not locked.
        MutexNotLocked = 11, "mutex not locked";
        /// The mutex is held by somebody else.
        MutexNotOwner = 12, "mutex not owned by the caller";
        /// A buffer, table or range that user memory cannot have.
        InvalidAddress = 13, "invalid address";
        /// A device that the space was not granted.
        NotGranted = 14, "not granted";
        /// Protection bits that do not exist.
        InvalidProtection = 15, "invalid protection";
    }
}

/// What a keeper or debug port receives: the bytes of the idempotent request. One reference to the thread travels
/// beside it if the server has room for one. 40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExceptionMessage {
    /// Counts this thread's exceptions; the same for a repeat.
    pub number: u64,
    /// An [`ExceptionCode`].
    pub code: u32,
    /// See the code.
    pub detail: u32,
    /// Faulting address or argument, in the thread's space.
    pub address: u64,
    /// Where in the region of the keeper that is asked; 0 for other exceptions.
    pub offset: u64,
    /// The access that failed, as [`crate::Protection`] bits.
    pub access: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What a keeper answers with `REPLY`: the first bytes of its send buffer. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExceptionReply {
    /// The number of the exception that is answered; any other number answers nothing.
    pub number: u64,
    /// An [`reply_action`].
    pub action: u32,
    /// For `LIFT`: the access that is granted for this page in spite of the region, as protection bits.
    pub access: u32,
}

/// Values of [`ExceptionReply::action`].
pub mod reply_action {
    /// The exception is over: the thread runs its instruction or call again.
    pub const RETRY: u32 = 0;
    /// As `RETRY`, and the denied page of a hard fault is granted: a page-table entry and nothing more.
    pub const LIFT: u32 = 1;
}

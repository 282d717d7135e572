//! The exported state of each kind of flob, field by field. Links are listed in [`crate::FlobKind::links`].
//!
//! `get_state` and `set_state` take a mask of field groups; `set_state` ignores `hash`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A field of a state struct, for those who check what is written about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// From the start of the struct, in bytes.
    pub offset: usize,
    /// In bytes.
    pub size: usize,
}

macro_rules! state_struct {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $name {
            /// Its fields, in their order.
            pub const FIELDS: &'static [Field] = &[$(Field {
                name: stringify!($field),
                offset: core::mem::offset_of!(Self, $field),
                size: size_of::<$type>(),
            },)*];
        }

        impl Default for $name {
            fn default() -> Self {
                <Self as zerocopy::FromZeros>::new_zeroed()
            }
        }
    };
}

/// Groups of fields, for the `mask` argument of `get_state` and `set_state`.
pub mod group {
    /// Every field of a flob that is not a thread.
    pub const PLAIN: u64 = 1 << 0;
    /// Thread: [`ThreadState::flags`] (stopped, exceptions enabled) only.
    pub const CONTROL: u64 = 1 << 0;
    /// Thread: [`Registers`].
    pub const REGISTERS: u64 = 1 << 1;
    /// Thread: own address.
    pub const OWN_ADDRESS: u64 = 1 << 2;
    /// Thread: priority and rank.
    pub const SCHEDULING: u64 = 1 << 3;
    /// Thread: handlers.
    pub const HANDLERS: u64 = 1 << 4;
    /// Thread: saved area.
    pub const SAVED: u64 = 1 << 5;
    /// Thread: pending exception and deferred ones.
    pub const EXCEPTION: u64 = 1 << 6;
    /// Thread: debug registers.
    pub const DEBUG: u64 = 1 << 7;
    /// Thread: vector state. Without it the buffer need only reach up to [`ThreadState::vectors`].
    pub const VECTORS: u64 = 1 << 8;
    /// Thread: direction of its client connection, and how many ends it has parked.
    pub const DIRECTION: u64 = 1 << 9;
    /// Everything.
    pub const ALL: u64 = (1 << 10) - 1;
}

state_struct! {
    /// A range of I/O ports.
    PortRange {
        /// First port.
        first: u16,
        /// How many; 0 for an unused entry.
        count: u16,
    }
}

/// Entries in [`SpaceState::ports`].
pub const PORT_RANGES: usize = 4;

state_struct! {
    /// State of a space. 40 bytes.
    SpaceState {
        /// Hint for tables; written once.
        hash: u64,
        /// [`space_flag`] bits.
        flags: u32,
        /// No thread of the space runs above this priority (0–31).
        ceiling: u32,
        /// Interrupt lines it may wait for, a bit each.
        interrupts: u64,
        /// I/O ports its threads may use.
        ports: [PortRange; PORT_RANGES],
    }
}

/// Bits of [`SpaceState::flags`].
pub mod space_flag {
    /// `syscall` instructions become `ReflectedCall` exceptions.
    pub const REFLECT_CALLS: u32 = 1;
    /// `rdtsc` faults.
    pub const TRAP_TIME: u32 = 2;
    /// All defined bits.
    pub const ALL: u32 = 3;
}

state_struct! {
    /// State of a region. 32 bytes.
    RegionState {
        /// Hint for tables; written once.
        hash: u64,
        /// First address in its space; page-aligned.
        start: u64,
        /// In bytes; page-aligned.
        size: u64,
        /// What importers may do at most.
        protection: u32,
        /// Always 0.
        reserved: u32,
    }
}

state_struct! {
    /// State of a mapping. 40 bytes.
    MappingState {
        /// Hint for tables; written once.
        hash: u64,
        /// Where in the region it begins; page-aligned.
        offset: u64,
        /// First address in its space; page-aligned.
        start: u64,
        /// In bytes; page-aligned.
        size: u64,
        /// What is allowed through it.
        protection: u32,
        /// Always 0.
        reserved: u32,
    }
}

state_struct! {
    /// State of a port. 16 bytes.
    PortState {
        /// Hint for tables; written once.
        hash: u64,
        /// Handed to the server with each request.
        alias: u64,
    }
}

state_struct! {
    /// State of a port set. 16 bytes.
    PortSetState {
        /// Hint for tables; written once.
        hash: u64,
        /// None defined.
        flags: u64,
    }
}

state_struct! {
    /// State of a mutex. 16 bytes.
    MutexState {
        /// Hint for tables; written once.
        hash: u64,
        /// None defined.
        flags: u32,
        /// 1 if locked.
        locked: u32,
    }
}

state_struct! {
    /// State of a condition variable. 16 bytes.
    ConditionState {
        /// Hint for tables; written once.
        hash: u64,
        /// None defined.
        flags: u64,
    }
}

state_struct! {
    /// State of a reference: nothing but its hash; the one link is what it is. 8 bytes.
    ReferenceState {
        /// Hint for tables; written once.
        hash: u64,
    }
}

state_struct! {
    /// The registers of a thread. 160 bytes.
    Registers {
        /// Call number before a call, [`crate::Status`] after it.
        rax: u64,
        #[allow(missing_docs)]
        rbx: u64,
        #[allow(missing_docs)]
        rcx: u64,
        #[allow(missing_docs)]
        rdx: u64,
        #[allow(missing_docs)]
        rsi: u64,
        #[allow(missing_docs)]
        rdi: u64,
        #[allow(missing_docs)]
        rbp: u64,
        #[allow(missing_docs)]
        rsp: u64,
        #[allow(missing_docs)]
        r8: u64,
        #[allow(missing_docs)]
        r9: u64,
        #[allow(missing_docs)]
        r10: u64,
        #[allow(missing_docs)]
        r11: u64,
        #[allow(missing_docs)]
        r12: u64,
        #[allow(missing_docs)]
        r13: u64,
        #[allow(missing_docs)]
        r14: u64,
        #[allow(missing_docs)]
        r15: u64,
        /// A thread in a call stands at its `syscall` instruction (2 bytes).
        rip: u64,
        /// Arithmetic bits, DF, TF, RF and AC can be set; IF always reads 1.
        rflags: u64,
        /// Canonical.
        fs_base: u64,
        /// Canonical.
        gs_base: u64,
    }
}

state_struct! {
    /// The debug registers of a thread. 48 bytes.
    DebugRegisters {
        /// Breakpoint addresses; user addresses.
        address: [u64; 4],
        /// What happened last.
        dr6: u64,
        /// Which of them count, for what access and length; never GD.
        dr7: u64,
    }
}

state_struct! {
    /// Where a thread goes on its exceptions; 0 for nowhere. 32 bytes.
    Handlers {
        /// Synchronous exceptions.
        trap: u64,
        /// `thread_interrupt`.
        interrupt: u64,
        /// Alert from the server end.
        client_alert: u64,
        /// Alert from the client end.
        server_alert: u64,
    }
}

state_struct! {
    /// What entering a handler overwrites; `return_from_exception` puts it back. 64 bytes.
    SavedArea {
        #[allow(missing_docs)]
        rax: u64,
        #[allow(missing_docs)]
        rcx: u64,
        #[allow(missing_docs)]
        rdx: u64,
        #[allow(missing_docs)]
        rsi: u64,
        #[allow(missing_docs)]
        rdi: u64,
        #[allow(missing_docs)]
        r11: u64,
        /// Where to go on.
        rip: u64,
        #[allow(missing_docs)]
        rflags: u64,
    }
}

state_struct! {
    /// The exception that keeps a thread from running, if any. 40 bytes.
    PendingException {
        /// Counts this thread's exceptions, this one included; kept when it is over.
        number: u64,
        /// A [`crate::ExceptionCode`]; 0 for none.
        code: u32,
        /// See the code.
        detail: u32,
        /// See the code.
        address: u64,
        /// In the region whose keeper is asked.
        offset: u64,
        /// Protection bits.
        access: u32,
        /// Asynchronous exceptions that wait until exceptions are enabled and there is a handler: bit *n* for code *n*.
        deferred: u32,
    }
}

/// Bytes of vector state (FXSAVE's format).
pub const VECTORS_SIZE: usize = 512;

/// A state and its beginning, of the same fields: all but the last.
macro_rules! state_and_head {
    (
        $(#[$doc:meta])* $name:ident, $(#[$head_doc:meta])* $head:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
        $(#[$last_doc:meta])* $last:ident: $last_type:ty
    ) => {
        state_struct! {
            $(#[$doc])* $name {
                $($(#[$field_doc])* $field: $type,)*
                $(#[$last_doc])* $last: $last_type,
            }
        }
        state_struct! { $(#[$head_doc])* $head { $($(#[$field_doc])* $field: $type,)* } }
    };
}

state_and_head! {
    /// State of a thread. 896 bytes; without vectors 384.
    ThreadState,
    /// The beginning of [`ThreadState`]: all but the vectors. 384 bytes.
    ThreadHead {
        /// Hint for tables; written once.
        hash: u64,
        /// [`thread_flag`] bits.
        flags: u32,
        /// 0 (lowest) to 31; clamped by the space's ceiling when used.
        priority: u32,
        /// Where the program itself sees the thread: what `thread_self` returns.
        own_address: u64,
        /// Its place among those who wait for the same thing: lower goes first.
        rank: u64,
        /// General registers and bases.
        registers: Registers,
        /// Debug registers.
        debug: DebugRegisters,
        /// Exception handlers.
        handlers: Handlers,
        /// Saved area.
        saved: SavedArea,
        /// Pending and deferred exceptions.
        exception: PendingException,
        /// Client ends of connections that it has parked: while there are any, a server that names it is not told that
        /// it has left. (Group DIRECTION.)
        parked_client_ends: u32,
        /// Server ends that it has parked: whoever takes its client end up finds out by that whether the server still
        /// has the other one. (Group DIRECTION.)
        parked_server_ends: u32,
    }
    /// FXSAVE image.
    vectors: [u8; VECTORS_SIZE]
}

/// Bits of [`ThreadState::flags`].
pub mod thread_flag {
    /// Does not run until `set_state` clears it. (Group CONTROL.)
    pub const STOPPED: u32 = 1;
    /// Its own handlers are asked before the space's keeper. (Group CONTROL.)
    pub const EXCEPTIONS_ENABLED: u32 = 2;
    /// It is the sender of its client connection. (Group DIRECTION.)
    pub const CLIENT_SENDS: u32 = 4;
    /// All defined bits.
    pub const ALL: u32 = 7;
}

/// Priorities are 0 to this.
pub const MAX_PRIORITY: u32 = 31;

/// Bytes of [`ThreadState`] before the vectors.
pub const THREAD_STATE_HEAD: usize = size_of::<ThreadState>() - VECTORS_SIZE;

const _: () = assert!(THREAD_STATE_HEAD == 384 && size_of::<ThreadState>() == 896);
const _: () = assert!(THREAD_STATE_HEAD == size_of::<ThreadHead>());

/// Bytes of the state struct of a kind.
pub const fn state_size(kind: crate::FlobKind) -> usize {
    match kind {
        crate::FlobKind::Space => size_of::<SpaceState>(),
        crate::FlobKind::Thread => size_of::<ThreadState>(),
        crate::FlobKind::Region => size_of::<RegionState>(),
        crate::FlobKind::Mapping => size_of::<MappingState>(),
        crate::FlobKind::Port => size_of::<PortState>(),
        crate::FlobKind::PortSet => size_of::<PortSetState>(),
        crate::FlobKind::Mutex => size_of::<MutexState>(),
        crate::FlobKind::Condition => size_of::<ConditionState>(),
        crate::FlobKind::Reference => size_of::<ReferenceState>(),
    }
}

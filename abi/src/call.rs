//! The calls: number in `rax`, arguments in `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`; status back in `rax`, values
//! in the argument registers named below. `rcx` and `r11` carry nothing.
//!
//! A flob is named by its address in the caller's space. IPC calls are sets of steps: see [`crate::ipc`].

pub mod arguments;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A call that is not a set of IPC steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Call { $($(#[$doc])* $name = $number,)* }

        impl Call {
            /// All calls.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the manual: `mutex_lock`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The call with this number.
            #[inline]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

/// What a call number is called: `mutex_lock`, or `ipc` for a set of IPC steps.
pub const fn call_name(number: u64) -> &'static str {
    match Call::from_number(number) {
        Some(call) => call.name(),
        None if number & crate::ipc::IPC != 0 => "ipc",
        None => "a call that does not exist",
    }
}

// The common calls have the same place in each kind's block of sixteen numbers:
//   create(rdi flob, rsi hash or 0)            destroy(rdi flob)
//   reference(rdi flob, rsi reference)         move(rdi from, rsi to)
//   get_state / set_state(rdi flob, rsi state or 0, rdx links or 0, r10 mask)
//     where `links` is an array with the address of a reference flob, or 0, for each link of the kind.
//     set_state: a null reference clears the link, 0 leaves it.
calls! {
    /// Does nothing.
    Null = 0x00, "null";
    /// `timer_wait(rdi deadline in nanoseconds since boot)` → rdi now. First space only.
    TimerWait = 0x01, "timer_wait";
    /// `interrupt_wait(rdi line)`: unmasks it and waits for it.
    InterruptWait = 0x02, "interrupt_wait";
    /// `kernel_log(rdi text, rsi bytes)`: to the early console, for debugging; needs a grant of the console's port.
    KernelLog = 0x03, "kernel_log";
    /// `machine_exit(rdi status)`: ends the machine (emulator only); needs all port grants of the exit device.
    MachineExit = 0x04, "machine_exit";
    /// → rdi number of an epoch: every write from now on is at least of this epoch.
    EpochBegin = 0x05, "epoch_begin";

    #[allow(missing_docs)] SpaceCreate = 0x10, "space_create";
    #[allow(missing_docs)] SpaceDestroy = 0x11, "space_destroy";
    #[allow(missing_docs)] SpaceMove = 0x12, "space_move";
    #[allow(missing_docs)] SpaceReference = 0x13, "space_reference";
    #[allow(missing_docs)] SpaceGetState = 0x14, "space_get_state";
    #[allow(missing_docs)] SpaceSetState = 0x15, "space_set_state";

    #[allow(missing_docs)] ThreadCreate = 0x20, "thread_create";
    #[allow(missing_docs)] ThreadDestroy = 0x21, "thread_destroy";
    #[allow(missing_docs)] ThreadMove = 0x22, "thread_move";
    #[allow(missing_docs)] ThreadReference = 0x23, "thread_reference";
    #[allow(missing_docs)] ThreadGetState = 0x24, "thread_get_state";
    #[allow(missing_docs)] ThreadSetState = 0x25, "thread_set_state";
    /// → rdi own address.
    ThreadSelf = 0x26, "thread_self";
    /// Goes on where the saved area says; enables exceptions.
    ReturnFromException = 0x27, "thread_return_from_exception";
    /// `thread_get_server(rdi reference)`: parks the server end of the connection in a reference: the own link
    /// becomes null, the client goes on waiting.
    ThreadGetServer = 0x28, "thread_get_server";
    /// `thread_set_server(rdi reference)`: takes a parked connection up; one at hand is broken.
    ThreadSetServer = 0x29, "thread_set_server";
    /// `thread_get_client(rdi reference)` → rsi 1 if the caller is the sender: parks the client end of the connection
    /// in a reference; the server waits.
    ThreadGetClient = 0x2a, "thread_get_client";
    /// `thread_set_client(rdi reference, rsi 1 for the sender)`: takes a parked client end up; one at hand is broken.
    ThreadSetClient = 0x2b, "thread_set_client";
    /// `thread_interrupt(rdi thread)`: posts an `Interrupt` exception; never on oneself.
    ThreadInterrupt = 0x2c, "thread_interrupt";
    /// Exceptions go to the caller's own handlers first; asynchronous ones that were deferred come now.
    ThreadEnableExceptions = 0x2d, "thread_enable_exceptions";
    /// Asynchronous exceptions are deferred, synchronous ones go to the keeper.
    ThreadDisableExceptions = 0x2e, "thread_disable_exceptions";

    #[allow(missing_docs)] RegionCreate = 0x30, "region_create";
    #[allow(missing_docs)] RegionDestroy = 0x31, "region_destroy";
    #[allow(missing_docs)] RegionMove = 0x32, "region_move";
    #[allow(missing_docs)] RegionReference = 0x33, "region_reference";
    #[allow(missing_docs)] RegionGetState = 0x34, "region_get_state";
    #[allow(missing_docs)] RegionSetState = 0x35, "region_set_state";
    /// `region_search(rdi region, rsi offset, rdx size, r10 array, r8 entries, r9 kind)`: the flobs of this kind, 0 for all → rsi,
    /// rdx, r10, r8 what is left.
    RegionSearch = 0x36, "region_search";
    /// `region_protect(rdi region, rsi protection)`: what importers may do at most, from now on.
    RegionProtect = 0x37, "region_protect";
    /// `region_dirty(rdi region, rsi offset, rdx size, r10 array, r8 entries, r9 since)`: the pages written since that
    /// epoch → rsi, rdx, r10, r8 what is left.
    RegionDirty = 0x38, "region_dirty";
    /// `region_export(rdi region, rsi offset, rdx size, r10 buffer, r8 bytes, r9 kind)`: state and links of the flobs of this kind,
    /// 0 for all, which stops threads → rsi, rdx, r10, r8 what is left.
    RegionExport = 0x39, "region_export";

    #[allow(missing_docs)] MappingCreate = 0x40, "mapping_create";
    #[allow(missing_docs)] MappingDestroy = 0x41, "mapping_destroy";
    #[allow(missing_docs)] MappingMove = 0x42, "mapping_move";
    #[allow(missing_docs)] MappingGetState = 0x44, "mapping_get_state";
    #[allow(missing_docs)] MappingSetState = 0x45, "mapping_set_state";
    /// `mapping_protect(rdi mapping, rsi protection)`: what is allowed through it, from now on.
    MappingProtect = 0x46, "mapping_protect";

    #[allow(missing_docs)] PortCreate = 0x50, "port_create";
    #[allow(missing_docs)] PortDestroy = 0x51, "port_destroy";
    #[allow(missing_docs)] PortMove = 0x52, "port_move";
    #[allow(missing_docs)] PortReference = 0x53, "port_reference";
    #[allow(missing_docs)] PortGetState = 0x54, "port_get_state";
    #[allow(missing_docs)] PortSetState = 0x55, "port_set_state";

    #[allow(missing_docs)] PortSetCreate = 0x60, "portset_create";
    #[allow(missing_docs)] PortSetDestroy = 0x61, "portset_destroy";
    #[allow(missing_docs)] PortSetMove = 0x62, "portset_move";
    #[allow(missing_docs)] PortSetReference = 0x63, "portset_reference";
    #[allow(missing_docs)] PortSetGetState = 0x64, "portset_get_state";
    #[allow(missing_docs)] PortSetSetState = 0x65, "portset_set_state";

    #[allow(missing_docs)] MutexCreate = 0x70, "mutex_create";
    #[allow(missing_docs)] MutexDestroy = 0x71, "mutex_destroy";
    #[allow(missing_docs)] MutexMove = 0x72, "mutex_move";
    #[allow(missing_docs)] MutexReference = 0x73, "mutex_reference";
    #[allow(missing_docs)] MutexGetState = 0x74, "mutex_get_state";
    #[allow(missing_docs)] MutexSetState = 0x75, "mutex_set_state";
    /// `mutex_lock(rdi mutex)`.
    MutexLock = 0x76, "mutex_lock";
    /// `mutex_trylock(rdi mutex)` → `MutexHeld` if somebody holds it.
    MutexTryLock = 0x77, "mutex_trylock";
    /// `mutex_unlock(rdi mutex)`: hands it to the first waiter.
    MutexUnlock = 0x78, "mutex_unlock";

    #[allow(missing_docs)] ConditionCreate = 0x80, "condition_create";
    #[allow(missing_docs)] ConditionDestroy = 0x81, "condition_destroy";
    #[allow(missing_docs)] ConditionMove = 0x82, "condition_move";
    #[allow(missing_docs)] ConditionReference = 0x83, "condition_reference";
    #[allow(missing_docs)] ConditionGetState = 0x84, "condition_get_state";
    #[allow(missing_docs)] ConditionSetState = 0x85, "condition_set_state";
    /// `condition_wait(rdi condition, rsi mutex)`: stages `condition_wait`, `condition_sleep`, `mutex_lock`.
    ConditionWait = 0x86, "condition_wait";
    /// Second stage of `condition_wait`: sleep until signalled, then lock (rsi mutex).
    ConditionSleep = 0x87, "condition_sleep";
    /// `condition_signal(rdi condition)`: the first waiter goes on.
    ConditionSignal = 0x88, "condition_signal";
    /// `condition_broadcast(rdi condition)`: all waiters go on.
    ConditionBroadcast = 0x89, "condition_broadcast";

    #[allow(missing_docs)] ReferenceCreate = 0x90, "reference_create";
    #[allow(missing_docs)] ReferenceDestroy = 0x91, "reference_destroy";
    #[allow(missing_docs)] ReferenceMove = 0x92, "reference_move";
    /// `reference_copy(rdi from, rsi to)`: `from` may be null: so references are cleared.
    ReferenceCopy = 0x93, "reference_copy";
    /// `reference_compare(rdi a, rsi b)` → `Success` or `Different`.
    ReferenceCompare = 0x94, "reference_compare";
    /// `reference_type(rdi reference)` → rdi kind of the target, 0 for null.
    ReferenceType = 0x95, "reference_type";
    /// `reference_hash(rdi reference)` → rdi hash of the target, 0 for null.
    ReferenceHash = 0x96, "reference_hash";
    /// `reference_locate(rdi reference, rsi region)` → rdi offset of the target in the region, or `NotFound`.
    ReferenceLocate = 0x97, "reference_locate";
    /// `reference_check(rdi reference)` → `NullReference` if it names nothing, or something that is gone.
    ReferenceCheck = 0x98, "reference_check";

    /// `thread_get_handlers(rdi buffer)`: the caller's own [`crate::Handlers`].
    ThreadGetHandlers = 0xa0, "thread_get_handlers";
    /// `thread_set_handlers(rdi buffer)`.
    ThreadSetHandlers = 0xa1, "thread_set_handlers";
    /// `thread_get_saved_state(rdi buffer)`: the caller's own [`crate::SavedArea`].
    ThreadGetSavedState = 0xa2, "thread_get_saved_state";
    /// `thread_set_saved_state(rdi buffer)`.
    ThreadSetSavedState = 0xa3, "thread_set_saved_state";
}

use crate::{FlobKind, flob::MAX_LINKS, state_size};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What `region_dirty` reports: pages in a row. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Dirty {
    /// Offset of the first page in the region.
    pub offset: u64,
    /// Bytes; whole pages.
    pub size: u64,
}

/// What `region_export` reports of a flob: 72 bytes, and behind them all of its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exported {
    /// Offset of the flob in the region.
    pub offset: u64,
    /// Its [`crate::FlobKind`] as a number.
    pub kind: u32,
    /// Bytes of this and of the state behind it.
    pub size: u32,
    /// Bit N: link N leads to a flob at an offset of the region that is known to be the only one.
    pub inside: u64,
    /// Of each link that offset, or [`Exported::ITSELF`] if it leads to the region; or the hash of what it leads to; 0 if it leads
    /// nowhere.
    pub links: [u64; MAX_LINKS],
}

impl Exported {
    /// In place of an offset: the link leads to the region that is exported.
    pub const ITSELF: u64 = u64::MAX;

    /// Of a flob of this kind.
    pub const fn size_of(kind: FlobKind) -> usize {
        size_of::<Self>() + state_size(kind)
    }
}

/// What `region_search` reports: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Found {
    /// Offset of the flob in the region.
    pub offset: u64,
    /// Its [`crate::FlobKind`] as a number.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
}

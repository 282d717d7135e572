//! What the arguments and values of each call are called, for whoever shows a call to people.

use super::Call;

/// What a register means in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The address of a flob.
    Flob,
    /// The address of something else; 0 often means none.
    Address,
    #[allow(missing_docs)]
    Number,
    /// What is allowed: 1 read, 2 write, 4 execute.
    Protection,
}

/// An argument or a value: its name and what it is.
pub type Argument = (&'static str, Sort);

const CREATE: &[Argument] = &[("flob", Sort::Flob), ("hash", Sort::Number)];
const ONE: &[Argument] = &[("flob", Sort::Flob)];
const REFER: &[Argument] = &[("flob", Sort::Flob), ("reference", Sort::Flob)];
const MOVE: &[Argument] = &[("from", Sort::Flob), ("to", Sort::Address)];
const STATE: &[Argument] = &[("flob", Sort::Flob), ("state", Sort::Address), ("links", Sort::Address)];
const THREAD_STATE: &[Argument] =
    &[("flob", Sort::Flob), ("state", Sort::Address), ("links", Sort::Address), ("groups", Sort::Number)];
const PROTECT: &[Argument] = &[("flob", Sort::Flob), ("protection", Sort::Protection)];
const WITH_MUTEX: &[Argument] = &[("condition", Sort::Flob), ("mutex", Sort::Flob)];
const BUFFER: &[Argument] = &[("buffer", Sort::Address)];
const REFERENCE: &[Argument] = &[("reference", Sort::Flob)];
const SEARCH: &[Argument] = &[
    ("region", Sort::Flob),
    ("offset", Sort::Number),
    ("size", Sort::Number),
    ("array", Sort::Address),
    ("entries", Sort::Number),
    ("kind", Sort::Number),
];
const EXPORT: &[Argument] = &[
    ("region", Sort::Flob),
    ("offset", Sort::Number),
    ("size", Sort::Number),
    ("buffer", Sort::Address),
    ("bytes", Sort::Number),
    ("kind", Sort::Number),
];
const DIRTY: &[Argument] = &[
    ("region", Sort::Flob),
    ("offset", Sort::Number),
    ("size", Sort::Number),
    ("array", Sort::Address),
    ("entries", Sort::Number),
    ("since", Sort::Number),
];

impl Call {
    /// Its arguments, in the order `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`.
    pub const fn arguments(self) -> &'static [Argument] {
        use Call as C;
        match self {
            C::Null | C::EpochBegin | C::ThreadSelf | C::ReturnFromException => &[],
            C::ThreadEnableExceptions | C::ThreadDisableExceptions => &[],
            C::TimerWait => &[("deadline", Sort::Number)],
            C::InterruptWait => &[("line", Sort::Number)],
            C::KernelLog => &[("text", Sort::Address), ("bytes", Sort::Number)],
            C::MachineExit => &[("status", Sort::Number)],
            C::SpaceCreate | C::ThreadCreate | C::RegionCreate | C::MappingCreate | C::PortCreate => CREATE,
            C::PortSetCreate | C::MutexCreate | C::ConditionCreate | C::ReferenceCreate => CREATE,
            C::SpaceDestroy | C::ThreadDestroy | C::RegionDestroy | C::MappingDestroy | C::PortDestroy => ONE,
            C::PortSetDestroy | C::MutexDestroy | C::ConditionDestroy | C::ReferenceDestroy => ONE,
            C::SpaceMove | C::ThreadMove | C::RegionMove | C::MappingMove | C::PortMove => MOVE,
            C::PortSetMove | C::MutexMove | C::ConditionMove | C::ReferenceMove => MOVE,
            C::SpaceReference | C::ThreadReference | C::RegionReference | C::PortReference => REFER,
            C::PortSetReference | C::MutexReference | C::ConditionReference => REFER,
            C::ThreadGetState | C::ThreadSetState => THREAD_STATE,
            C::SpaceGetState | C::RegionGetState | C::MappingGetState | C::PortGetState => STATE,
            C::PortSetGetState | C::MutexGetState | C::ConditionGetState => STATE,
            C::SpaceSetState | C::RegionSetState | C::MappingSetState | C::PortSetState => STATE,
            C::PortSetSetState | C::MutexSetState | C::ConditionSetState => STATE,
            C::ThreadGetServer | C::ThreadSetServer | C::ThreadGetClient => REFERENCE,
            C::ThreadSetClient => &[("reference", Sort::Flob), ("sends", Sort::Number)],
            C::ThreadInterrupt => &[("thread", Sort::Flob)],
            C::RegionSearch => SEARCH,
            C::RegionDirty => DIRTY,
            C::RegionExport => EXPORT,
            C::RegionProtect | C::MappingProtect => PROTECT,
            C::MutexLock | C::MutexTryLock | C::MutexUnlock => &[("mutex", Sort::Flob)],
            C::ConditionWait | C::ConditionSleep => WITH_MUTEX,
            C::ConditionSignal | C::ConditionBroadcast => &[("condition", Sort::Flob)],
            C::ReferenceCopy => &[("from", Sort::Flob), ("to", Sort::Flob)],
            C::ReferenceCompare => &[("first", Sort::Flob), ("second", Sort::Flob)],
            C::ReferenceType | C::ReferenceHash | C::ReferenceCheck => REFERENCE,
            C::ReferenceLocate => &[("reference", Sort::Flob), ("region", Sort::Flob)],
            C::ThreadGetHandlers | C::ThreadSetHandlers => BUFFER,
            C::ThreadGetSavedState | C::ThreadSetSavedState => BUFFER,
        }
    }

    /// What it returns beside its status: the index of the register, in the order of the arguments, and its name.
    pub const fn values(self) -> &'static [(usize, &'static str)] {
        match self {
            Self::TimerWait => &[(0, "now")],
            Self::EpochBegin => &[(0, "epoch")],
            Self::ThreadSelf => &[(0, "address"), (1, "exceptions")],
            Self::ThreadGetClient => &[(1, "sends")],
            Self::RegionSearch | Self::RegionDirty => &[(1, "offset"), (2, "size"), (4, "entries")],
            Self::RegionExport => &[(1, "offset"), (2, "size"), (4, "bytes")],
            Self::ReferenceType => &[(0, "kind")],
            Self::ReferenceHash => &[(0, "hash")],
            Self::ReferenceLocate => &[(0, "offset")],
            _ => &[],
        }
    }
}

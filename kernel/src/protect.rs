//! `region_protect` and `mapping_protect`: `get_state`, one field changed, `set_state`.

use flob_abi::{FlobKind, MappingState, Misuse, Protection, RegionState};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, Trap};
use crate::record::{FlobId, ThreadId};
use crate::state::NewLinks;

/// All links stay as they are.
const NO_LINKS: NewLinks = [None; flob_abi::flob::MAX_LINKS];

impl<M: Machine> Kernel<M> {
    /// `region_protect`.
    pub(crate) fn region_protect(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let (id, protection) = self.protected(thread, args, FlobKind::Region)?;
        let state = self.region(id).map(|region| RegionState { protection, ..region.state(0) });
        Ok(Done::Status(self.set_region(id, state, NO_LINKS)))
    }

    /// `mapping_protect`.
    pub(crate) fn mapping_protect(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let (id, protection) = self.protected(thread, args, FlobKind::Mapping)?;
        let state = self.mapping(id).map(|mapping| MappingState { protection, ..mapping.state(0) });
        Ok(Done::Status(self.set_mapping(id, state, NO_LINKS)))
    }

    /// The flob and the protection bits that the arguments name.
    fn protected(&mut self, thread: ThreadId, args: Args, kind: FlobKind) -> Result<(FlobId, u32), Trap> {
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, kind, Protection::WRITE)?;
        match u32::try_from(args.rsi) {
            Ok(bits) if Protection::from_bits(bits).0 == bits => Ok((id, bits)),
            _ => Trap::misuse(Misuse::InvalidProtection, args.rsi),
        }
    }
}

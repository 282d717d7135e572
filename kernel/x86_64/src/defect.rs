//! A defect on demand, to test what one leaves behind. Asked for on the command line; see [`crate::options`].

/// Where nothing is mapped: the last page of the address space.
const NOWHERE: usize = 0xffff_ffff_ffff_f000;

/// Which defect the kernel shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// None.
    None,
    /// Its own code finds something wrong.
    Panic,
    /// It reads where nothing is.
    Fault,
}

impl Defect {
    /// The one with this name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"panic" => Some(Self::Panic),
            b"fault" => Some(Self::Fault),
            _ => None,
        }
    }

    /// Happens.
    #[cold]
    pub fn strike(self) {
        match self {
            Self::None => {}
            Self::Panic => panic!("a defect that was asked for"),
            Self::Fault => {
                // SAFETY: it never returns: the page is not mapped, and the kernel stops at the fault.
                unsafe { core::ptr::with_exposed_provenance::<u8>(NOWHERE).read_volatile() };
            }
        }
    }
}

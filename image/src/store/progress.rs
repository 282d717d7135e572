//! How far long work in the store is, for who waits for it.

/// What is told: a step, how much of it is done, and of how much. First of each that nothing is.
pub type Progress<'a> = &'a mut dyn FnMut(Step, u64, u64);

/// A step of long work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pages go into a file.
    Exporting,
    /// Pages of a file are read and checked.
    Reading,
    /// Pages of a file go into the store.
    Importing,
    /// Pages are checked.
    Verifying,
    /// Manifests are read: what is needed?
    Finding,
    /// Files are removed.
    Removing,
}

impl Step {
    /// As people are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exporting => "exporting",
            Self::Reading => "reading",
            Self::Importing => "importing",
            Self::Verifying => "verifying",
            Self::Finding => "reading checkpoints",
            Self::Removing => "removing files",
        }
    }

    /// Whether it counts pages, not files.
    pub const fn is_in_pages(self) -> bool {
        !matches!(self, Self::Finding | Self::Removing)
    }
}

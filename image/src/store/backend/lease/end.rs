//! How a lease has ended, as it is written.

const TAKEN_AWAY: &str = "taken away";

/// How a lease has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its holder is about to write this manifest, or has.
    Committed {
        /// Its holder, as [`super::super::owner::Owner::to_line`] has it; empty if it does not know.
        owner: String,
        /// The manifest's path.
        manifest: String,
        /// Files that it needs.
        needed: Vec<String>,
    },
    /// It was void, and another process has ended it.
    TakenAway,
}

impl End {
    /// Lines: owner, manifest, then what that needs.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Committed { owner, manifest, needed } => {
                let lines: Vec<&str> =
                    [owner, manifest].into_iter().chain(needed).map(String::as_str).collect();
                lines.join("\n").into_bytes()
            }
            Self::TakenAway => TAKEN_AWAY.into(),
        }
    }

    /// What [`End::to_bytes`] made.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(str::to_owned);
        match (lines.next(), lines.next()) {
            (Some(owner), Some(manifest)) => Self::Committed { owner, manifest, needed: lines.collect() },
            _ => Self::TakenAway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_read_as_it_was_written() {
        let needed = vec!["packs/1.pack".to_owned(), "input/2.chunk".to_owned()];
        for needed in [needed, Vec::new()] {
            let end = End::Committed { owner: String::new(), manifest: "checkpoints/3.flob".into(), needed };
            assert_eq!(End::parse(&end.to_bytes()), end);
        }
        assert_eq!(End::parse(&End::TakenAway.to_bytes()), End::TakenAway);
    }
}

//! How a flob gets its name: from the symbol that covers it, or its address, and from the space that it lies in.

use std::collections::HashMap;

use flob_abi::FlobKind;
use flob_image::{Environment, Flob, Link, Place};

use super::{Name, id};
use crate::{symbols::Symbols, translate::Translation};

/// Names the flobs of an environment.
pub(super) struct Labeler<'a> {
    pub(super) environment: &'a Environment,
    pub(super) symbols: &'a Symbols,
    pub(super) translation: &'a Translation,
}

impl Labeler<'_> {
    /// Names of the spaces: the first is the program's.
    pub(super) fn spaces(&self) -> HashMap<Place, String> {
        let mut names: HashMap<Place, String> = HashMap::new();
        for flob in self.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Space) {
            let own = if names.is_empty() {
                self.environment.program.clone()
            } else {
                let (label, path) = self.label(flob.place, FlobKind::Space);
                if path.is_some() {
                    label
                } else {
                    format!("space-{}", id(flob.place).trim_start_matches('#'))
                }
            };
            let taken = names.values().any(|name| *name == own);
            let name = if taken { format!("{own}-{}", id(flob.place).trim_start_matches('#')) } else { own };
            names.insert(flob.place, name);
        }
        names
    }

    pub(super) fn name(&self, flob: &Flob, spaces: &HashMap<Place, String>) -> Name {
        let kind = flob.state.kind();
        let (label, path) = self.label(flob.place, kind);
        let home = match kind {
            FlobKind::Space => Some(flob.place),
            _ => self.home(flob),
        };
        let space = home.and_then(|home| spaces.get(&home)).unwrap_or(&self.environment.program);
        let nick = (kind == FlobKind::Thread).then(|| match &path {
            Some(_) => nick(&label),
            None => format!("thread-{}", id(flob.place).trim_start_matches('#')),
        });
        Name { path, nick, ..Name::new(kind, space, label) }
    }

    /// The space that sees it; for what no space sees, the one that it belongs to.
    fn home(&self, flob: &Flob) -> Option<Place> {
        let seen = self.translation.addresses(flob.place).next().map(|(space, _)| space);
        seen.or_else(|| {
            let at = flob.state.kind().links().iter().position(|name| *name == "space")?;
            match flob.links.get(at)? {
                Link::Flob(space) => Some(*space),
                _ => None,
            }
        })
    }

    /// Its label, and the whole path of the symbol that covers it.
    fn label(&self, place: Place, kind: FlobKind) -> (String, Option<String>) {
        let Some((_, address)) = self.translation.addresses(place).next() else {
            return (format!("+{place:#x}"), None);
        };
        let Some((symbol, offset)) = self.symbols.symbol(address).filter(|(symbol, _)| symbol.is_data) else {
            return (format!("{address:#x}"), None);
        };
        let suffix = match self.symbols.element_size(symbol.address) {
            Some(element) if offset % element == 0 => format!("[{}]", offset / element),
            Some(element) => format!("[{}]+{:#x}", offset / element, offset % element),
            None if offset == 0 => String::new(),
            None if offset % kind.size() == 0 && symbol.size == 0 => format!("[{}]", offset / kind.size()),
            None => format!("+{offset:#x}"),
        };
        (format!("{}{suffix}", symbol.short_name()), Some(format!("{}{suffix}", symbol.name)))
    }
}

/// What people call a thread that lies in `WORKERS[2]`: `worker-2`.
fn nick(label: &str) -> String {
    let (name, index) = match label.split_once('[') {
        Some((name, rest)) => (name.strip_suffix(['s', 'S']).unwrap_or(name), rest.trim_end_matches(']')),
        None => (label, ""),
    };
    let name = name.to_lowercase().replace('_', "-");
    if index.is_empty() { name } else { format!("{name}-{index}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_called_as_people_say() {
        assert_eq!(nick("PHILOSOPHERS[2]"), "philosopher-2");
        assert_eq!(nick("TALLY_SERVER"), "tally-server");
    }
}

//! Which kinds of flob a link may lead to.

use flob_abi::{FlobKind, flob::thread_link};

/// Whether link number `index` of a flob of kind `from` may lead to one of kind `to`.
pub fn may_lead(from: FlobKind, index: usize, to: FlobKind) -> bool {
    match (from, index) {
        (FlobKind::Space, _) | (FlobKind::Region, 1) => to == FlobKind::Port,
        (FlobKind::Thread, thread_link::SPACE) | (FlobKind::Region, 0) | (FlobKind::Mapping, 1) => {
            to == FlobKind::Space
        }
        (FlobKind::Thread, thread_link::WAITING_FOR) | (FlobKind::Reference, _) => is_referable(to),
        (FlobKind::Thread, _) | (FlobKind::Mutex, _) => to == FlobKind::Thread,
        (FlobKind::Mapping, _) => to == FlobKind::Region,
        (FlobKind::Port, _) => to == FlobKind::PortSet,
        _ => false,
    }
}

/// Whether references can name flobs of this kind.
pub fn is_referable(kind: FlobKind) -> bool {
    !matches!(kind, FlobKind::Mapping | FlobKind::Reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_every_kind_leads_somewhere() {
        for from in FlobKind::ALL {
            for index in 0..from.links().len() {
                assert!(
                    FlobKind::ALL.into_iter().any(|to| may_lead(from, index, to)),
                    "{from:?} link {index}"
                );
            }
        }
    }

    #[test]
    fn no_link_leads_to_a_mapping_or_a_reference() {
        for from in FlobKind::ALL {
            for index in 0..from.links().len() {
                assert!(
                    !may_lead(from, index, FlobKind::Mapping) && !may_lead(from, index, FlobKind::Reference)
                );
            }
        }
    }
}

//! Pages on their way: as many a message as the line carries.

use flob_abi::PAGE_SIZE;
use flob_link::{Failure, FailureKind, MAX_BULK_PAGES, Run};

/// Runs of these pages (ascending), at most so many pages a batch.
pub(super) fn batches(pages: &[u64], most: u32) -> Vec<Vec<Run>> {
    let most = most.clamp(1, MAX_BULK_PAGES) as usize;
    pages.chunks(most).map(runs).collect()
}

/// The same of messages that only name pages.
pub(super) fn named(pages: &[u64], most: u32) -> Vec<Vec<Run>> {
    pages.chunks(most.max(1) as usize).map(runs).collect()
}

fn runs(pages: &[u64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some(run) if run.first + u64::from(run.count) == *page => run.count += 1,
            _ => runs.push(Run { first: *page, count: 1 }),
        }
    }
    runs
}

/// The numbers of all pages of these runs.
pub(super) fn numbers(runs: &[Run]) -> impl Iterator<Item = u64> {
    runs.iter().flat_map(|run| (run.first..).take(run.count as usize))
}

/// Each page of these runs with its bytes.
pub(super) fn split<'a>(
    runs: &'a [Run],
    bulk: &'a [u8],
) -> Result<impl Iterator<Item = (u64, &'a [u8])>, Failure> {
    let size = PAGE_SIZE as usize;
    if numbers(runs).count() * size != bulk.len() {
        return Err(Failure {
            kind: FailureKind::Guest,
            text: format!("the guest gave {} bytes for {} pages", bulk.len(), numbers(runs).count()),
        });
    }
    Ok(numbers(runs).zip(bulk.chunks(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_follow_each_other_make_a_run_and_no_batch_is_too_large() {
        let pages: Vec<u64> = (0..5).chain(7..8).chain(100..109).collect();
        let batches = batches(&pages, 6);
        assert_eq!(batches[0], [Run { first: 0, count: 5 }, Run { first: 7, count: 1 }]);
        assert_eq!(batches[1], [Run { first: 100, count: 6 }]);
        assert_eq!(batches[2], [Run { first: 106, count: 3 }]);
        assert_eq!(batches.iter().flat_map(|runs| numbers(runs)).collect::<Vec<_>>(), pages);
        assert!(super::batches(&[], 6).is_empty());
        assert_eq!(
            super::batches(&pages, 0).len(),
            pages.len(),
            "a guest that says nothing takes one at a time"
        );
    }

    #[test]
    fn an_answer_of_another_size_is_refused() {
        let runs = [Run { first: 3, count: 2 }];
        let bulk = [[1; PAGE_SIZE as usize], [2; PAGE_SIZE as usize]].concat();
        let pages: Vec<_> =
            split(&runs, &bulk).expect("two pages").map(|(page, bytes)| (page, bytes[0])).collect();
        assert_eq!(pages, [(3, 1), (4, 2)]);
        assert!(split(&runs, &bulk[1..]).is_err());
    }
}

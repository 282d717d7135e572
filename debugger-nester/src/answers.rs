//! Long answers: kept under a number until the host has fetched them in chunks.

use alloc::{collections::VecDeque, vec::Vec};

use flob_link::CHUNK;

/// How many are kept; the oldest goes first (a host that was restarted will not fetch its own).
const KEPT: usize = 4;

/// The long answers at hand.
#[derive(Debug, Default)]
pub struct Answers {
    next: u32,
    kept: VecDeque<(u32, Vec<u8>)>,
}

impl Answers {
    /// Keeps an answer and returns its number.
    pub fn keep(&mut self, bytes: Vec<u8>) -> u32 {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.kept.push_back((number, bytes));
        number
    }

    /// One chunk; `None` if there is no such answer or it is not that long.
    pub fn chunk(&self, answer: u32, index: u32) -> Option<&[u8]> {
        let (_, bytes) = self.kept.iter().find(|(kept, _)| *kept == answer)?;
        let start = usize::try_from(index).ok()?.checked_mul(CHUNK)?;
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty() || index == 0)?;
        Some(rest.get(..CHUNK).unwrap_or(rest))
    }

    /// The host has it, or does not want it.
    pub fn forget(&mut self, answer: u32) {
        self.kept.retain(|(kept, _)| *kept != answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_put_together_are_the_answer() {
        let whole: Vec<u8> = (0..CHUNK * 2 + 5).map(|index| index as u8).collect();
        let mut answers = Answers::default();
        let answer = answers.keep(whole.clone());
        let parts: Vec<u8> =
            (0..).map_while(|index| answers.chunk(answer, index)).flatten().copied().collect();
        assert_eq!(parts, whole);
        assert_eq!(answers.chunk(answer, u32::MAX), None);
        answers.forget(answer);
        assert_eq!(answers.chunk(answer, 0), None);
    }

    #[test]
    fn answers_that_nobody_fetches_do_not_pile_up() {
        let mut answers = Answers::default();
        let first = answers.keep(vec![1]);
        for _ in 0..KEPT {
            answers.keep(vec![2]);
        }
        assert_eq!(answers.chunk(first, 0), None);
    }
}

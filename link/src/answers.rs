//! The guest's memory of the answers it has given, so that nothing is done twice: the receiving half of "repeating a
//! request is harmless".

use alloc::collections::BTreeMap;

/// Between the oldest number that the host still waits for and the newest it has used there are fewer than this many. So
/// the guest keeps the answers to this many numbers; a request with an older one was delayed on the way, and is dropped.
pub const NUMBER_SPAN: u32 = 16;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a, T> {
    /// Carry it out, then [`Answers::keep`] its answer.
    New,
    /// It was carried out: send this answer again.
    Repeat(&'a T),
    /// Nobody waits for it any more: drop it.
    Stale,
}

/// The answers given lately.
#[derive(Debug)]
pub struct Answers<T> {
    epoch: Option<u32>,
    last_epoch: Option<u32>,
    newest: u32,
    kept: BTreeMap<u32, T>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { epoch: None, last_epoch: None, newest: 0, kept: BTreeMap::new() }
    }
}

impl<T> Answers<T> {
    /// What to do with the request of this epoch and number.
    pub fn judge(&mut self, epoch: u32, number: u32) -> Verdict<'_, T> {
        if self.epoch != Some(epoch) {
            if self.last_epoch == Some(epoch) {
                return Verdict::Stale;
            }
            self.last_epoch = self.epoch.replace(epoch);
            self.newest = number;
            self.kept.clear();
        }
        self.newest = self.newest.max(number);
        let oldest = self.newest.saturating_sub(NUMBER_SPAN - 1);
        self.kept = self.kept.split_off(&oldest);
        match self.kept.get(&number) {
            Some(answer) => Verdict::Repeat(answer),
            None if number < oldest => Verdict::Stale,
            None => Verdict::New,
        }
    }

    /// Keeps the answer to a request of this epoch and number that was judged new. One that has taken so long that nobody waits
    /// for it any more is dropped.
    pub fn keep(&mut self, (epoch, number): (u32, u32), answer: T) {
        if self.epoch == Some(epoch) && self.newest.saturating_sub(number) < NUMBER_SPAN {
            self.kept.insert(number, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_gets_the_same_answer_and_a_late_one_none() {
        let mut answers = Answers::default();
        for number in 0..40 {
            assert_eq!(answers.judge(7, number), Verdict::New);
            answers.keep((7, number), number * 2);
        }
        assert_eq!(answers.judge(7, 24), Verdict::Repeat(&48));
        assert_eq!(answers.judge(7, 23), Verdict::Stale);
    }

    #[test]
    fn a_new_epoch_begins_anew_and_the_old_one_is_over() {
        let mut answers = Answers::default();
        answers.judge(7, 30);
        answers.keep((7, 30), ());
        assert_eq!(answers.judge(8, 0), Verdict::New);
        answers.keep((7, 1), ());
        assert_eq!(answers.judge(8, 1), Verdict::New, "the answer comes from before");
        answers.keep((8, 0), ());
        assert_eq!(answers.judge(7, 31), Verdict::Stale);
        assert_eq!(answers.judge(8, 0), Verdict::Repeat(&()));
    }
}

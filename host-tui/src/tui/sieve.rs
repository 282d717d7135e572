//! What a list shows of its rows, and in which order: a filter, and a column to sort by.

use std::cmp::Ordering;

use flob_session::names::contains;

use super::list::List;

/// A filter and an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sieve {
    /// Only rows that contain this are shown; in lower case.
    pub filter: String,
    /// The column to sort by; `None`: as the rows come.
    pub column: Option<usize>,
    /// The greatest first.
    pub descending: bool,
}

impl Sieve {
    /// Another filter.
    pub fn set_filter(&mut self, filter: &str) {
        self.filter = filter.trim().to_lowercase();
    }

    /// Whether any of these texts contains the filter.
    pub fn lets<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.filter.is_empty() || texts.into_iter().any(|text| contains(text, &self.filter))
    }

    /// Sorts by the next of so many columns; behind the last, as the rows come.
    pub fn next_column(&mut self, columns: usize) {
        let next = self.column.map_or(0, |column| column + 1);
        self.column = (next < columns).then_some(next);
        self.descending = false;
    }

    /// The order that two rows stand in.
    pub fn directed(&self, ascending: Ordering) -> Ordering {
        if self.descending { ascending.reverse() } else { ascending }
    }
}

/// A list that shows some of its rows, in an order of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Selection among what is shown.
    pub list: List,
    /// What is shown, by its number among all rows.
    pub rows: Vec<u32>,
    /// How it is chosen.
    pub sieve: Sieve,
}

impl Sifted {
    /// The number, among all, of a row that is shown.
    pub fn row(&self, index: usize) -> Option<usize> {
        self.rows.get(index).map(|row| *row as usize)
    }

    /// The number, among all, of the selected row.
    pub fn chosen(&self) -> Option<usize> {
        self.row(self.list.selected)
    }

    /// Selects the row of this number; false if it is not shown.
    pub fn select(&mut self, number: usize) -> bool {
        let index = self.rows.iter().position(|row| *row as usize == number);
        index.map(|index| self.list.selected = index).is_some()
    }

    /// Chooses among so many rows anew.
    pub fn sift(
        &mut self,
        count: usize,
        fits: impl Fn(&Sieve, usize) -> bool,
        compare: impl Fn(usize, usize, usize) -> Ordering,
    ) {
        let Self { rows, sieve, .. } = self;
        rows.clear();
        rows.extend((0..count).filter(|row| fits(sieve, *row)).map(|row| row as u32));
        if let Some(column) = sieve.column {
            rows.sort_by(|one, other| sieve.directed(compare(column, *one as usize, *other as usize)));
        }
    }
}

/// Compares names as people do: numbers in them by their value, the rest letter by letter.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        match (number(one), number(other)) {
            (Some((a, rest_one)), Some((b, rest_other))) => {
                let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
                if order != Ordering::Equal {
                    return order;
                }
                (one, other) = (rest_one, rest_other);
            }
            _ => {
                let (mut letters, mut others) = (one.chars(), other.chars());
                let (letter, its) = (letters.next(), others.next());
                if letter != its || letter.is_none() {
                    return letter.cmp(&its);
                }
                (one, other) = (letters.as_str(), others.as_str());
            }
        }
    }
}

/// The number that a text begins with, without leading zeros, and what follows it.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    Some((digits.trim_start_matches('0'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let mut names = ["FORKS[10]", "FORKS[2]", "FORKS[02]x", "A", "FORKS[2", "fork"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["A", "FORKS[2", "FORKS[2]", "FORKS[02]x", "FORKS[10]", "fork"]);
    }

    #[test]
    fn columns_are_gone_through_and_then_there_is_none() {
        let mut sieve = Sieve { descending: true, ..Sieve::default() };
        let mut seen = Vec::new();
        for _ in 0..4 {
            sieve.next_column(2);
            seen.push((sieve.column, sieve.descending));
        }
        assert_eq!(seen, [(Some(0), false), (Some(1), false), (None, false), (Some(0), false)]);
    }

    proptest! {
        #[test]
        fn natural_is_an_order(names in prop::collection::vec("[a-b0-2\\[]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(natural(a, b), natural(b, a).reverse());
            if natural(a, b).is_le() && natural(b, c).is_le() {
                prop_assert!(natural(a, c).is_le());
            }
        }

        #[test]
        fn a_filter_finds_what_lower_case_contains(text in "\\PC{0,12}", part in "\\PC{0,3}") {
            let lower = part.to_lowercase();
            prop_assert_eq!(contains(&text, &lower), text.to_lowercase().contains(&lower));
        }
    }
}

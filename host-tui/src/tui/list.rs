//! A list of which only the visible rows are ever drawn: selection and scroll position, nothing of the contents.

/// Selection and first visible row of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The selected row.
    pub selected: usize,
    /// The first row on screen.
    pub offset: usize,
}

/// A movement of the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl List {
    /// Moves the selection in a list of `count` rows, `height` of which are visible.
    pub fn go(&mut self, movement: Move, count: usize, height: usize) {
        let last = count.saturating_sub(1);
        let page = height.saturating_sub(1).max(1);
        self.selected = match movement {
            Move::Up => self.selected.saturating_sub(1),
            Move::Down => self.selected.saturating_add(1),
            Move::PageUp => self.selected.saturating_sub(page),
            Move::PageDown => self.selected.saturating_add(page),
            Move::First => 0,
            Move::Last => last,
        };
        self.settle(count, height);
    }

    /// Like [`Self::go`], but rests only on the rows that can be selected: those between are passed over, in the direction of
    /// the movement. Where the first such row is selected, what stands above it is shown too.
    pub fn go_among(&mut self, movement: Move, rows: &[bool], height: usize) {
        self.go(movement, rows.len(), height);
        let forward = matches!(movement, Move::Down | Move::PageDown | Move::First);
        self.settle_among(rows, height, forward);
    }

    /// Brings the selection to a row that can be selected: the next one forward or back, else the next the other way.
    pub fn settle_among(&mut self, rows: &[bool], height: usize, forward: bool) {
        self.settle(rows.len(), height);
        let ahead = rows.iter().skip(self.selected).position(|good| *good).map(|by| self.selected + by);
        let behind = rows.iter().take(self.selected + 1).rposition(|good| *good);
        let (first, second) = if forward { (ahead, behind) } else { (behind, ahead) };
        self.selected = first.or(second).unwrap_or(self.selected);
        if !rows.iter().take(self.selected).any(|good| *good) {
            self.offset = 0;
        }
        self.settle(rows.len(), height);
    }

    /// Brings selection and offset back into a list that may have changed, so that the selection is visible.
    pub fn settle(&mut self, count: usize, height: usize) {
        let height = height.max(1);
        self.selected = self.selected.min(count.saturating_sub(1));
        let lowest = (self.selected + 1).saturating_sub(height);
        self.offset = self.offset.clamp(lowest, self.selected).min(count.saturating_sub(height).max(lowest));
    }

    /// The visible rows of a list of `count`.
    pub fn window(&self, count: usize, height: usize) -> std::ops::Range<usize> {
        let start = self.offset.min(count);
        start..start.saturating_add(height).min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOVES: [Move; 6] = [Move::Up, Move::Down, Move::PageUp, Move::PageDown, Move::First, Move::Last];

    proptest! {
        #[test]
        fn the_selection_is_always_visible(
            steps in prop::collection::vec((0usize..6, 0usize..300, 1usize..60), 1..60)
        ) {
            let mut list = List::default();
            for (step, count, height) in steps {
                list.go(MOVES[step], count, height);
                let window = list.window(count, height);
                prop_assert!(window.len() <= height);
                prop_assert!(count == 0 || window.contains(&list.selected), "{list:?} of {count}, {height} high");
            }
        }
    }

    #[test]
    fn rows_that_cannot_be_selected_are_passed_over() {
        let rows = [false, true, false, false, true, false];
        let mut list = List::default();
        list.settle_among(&rows, 2, true);
        assert_eq!(list, List { selected: 1, offset: 0 });
        list.go_among(Move::Down, &rows, 2);
        assert_eq!(list.selected, 4);
        list.go_among(Move::Down, &rows, 2);
        assert_eq!(list.selected, 4, "nothing behind it");
        list.go_among(Move::Up, &rows, 2);
        assert_eq!(list, List { selected: 1, offset: 0 }, "the heading above is shown");
        list.settle_among(&[false, false], 2, true);
        assert!(list.selected < 2);
    }

    #[test]
    fn a_shrunken_list_is_scrolled_back_to_fill_the_screen() {
        let mut list = List { selected: 90, offset: 80 };
        list.settle(12, 10);
        assert_eq!(list, List { selected: 11, offset: 2 });
    }
}

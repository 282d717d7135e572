//! Where the boxes of a graph stand, in layers from left to right (after Sugiyama, Tagawa and Toda): circles are opened, each
//! box stands right of all that lead to it, and within a layer near what it is tied to.

/// Room between layers, for arrows and their names.
const BETWEEN_LAYERS: f64 = 110.0;
/// Room between boxes of a layer.
const BETWEEN_ROWS: f64 = 12.0;
/// Height of a box.
pub const HEIGHT: f64 = 26.0;
/// How often the order within layers is improved, there and back.
const SWEEPS: usize = 6;

/// Where everything stands.
pub struct Layout {
    /// Left upper corner of each box.
    pub corners: Vec<(f64, f64)>,
    pub width: f64,
    pub height: f64,
}

/// Lays boxes of these widths out, tied by arrows from one to another.
pub fn layered(widths: &[f64], arrows: &[(usize, usize)]) -> Layout {
    let forward = without_circles(widths.len(), arrows);
    let ranks = ranks(widths.len(), &forward);
    let layers = ordered(&ranks, &forward);
    place(widths, &layers)
}

/// Ties of each box, one way.
fn ties(count: usize, arrows: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut ties = vec![Vec::new(); count];
    for (from, to) in arrows {
        if let Some(ties) = ties.get_mut(from) {
            ties.push(to);
        }
    }
    ties
}

/// The arrows, those turned round that lead back to a box from which a walk came; none from a box to itself.
fn without_circles(count: usize, arrows: &[(usize, usize)]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Above,
        Done,
    }
    let next = ties(count, arrows.iter().copied());
    let mut seen = vec![Seen::Not; count];
    let mut forward = Vec::with_capacity(arrows.len());
    for start in 0..count {
        // Boxes on the way here, each with how many of its arrows have been followed.
        let mut way = if seen[start] == Seen::Not { vec![(start, 0)] } else { Vec::new() };
        while let Some((from, done)) = way.last_mut() {
            let from = *from;
            seen[from] = Seen::Above;
            let Some(to) = next[from].get(*done).copied() else {
                seen[from] = Seen::Done;
                way.pop();
                continue;
            };
            *done += 1;
            match seen[to] {
                _ if to == from => {}
                Seen::Above => forward.push((to, from)),
                Seen::Done => forward.push((from, to)),
                Seen::Not => {
                    forward.push((from, to));
                    way.push((to, 0));
                }
            }
        }
    }
    forward
}

/// The layer of each box: one more than the highest of those that lead to it.
fn ranks(count: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let next = ties(count, forward.iter().copied());
    let mut waiting = vec![0_usize; count];
    forward.iter().for_each(|(_, to)| waiting[*to] += 1);
    let mut ready: Vec<usize> = (0..count).filter(|node| waiting[*node] == 0).collect();
    let mut ranks = vec![0; count];
    while let Some(from) = ready.pop() {
        for to in &next[from] {
            ranks[*to] = ranks[*to].max(ranks[from] + 1);
            waiting[*to] -= 1;
            if waiting[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    ranks
}

/// The boxes of each layer, in an order that keeps arrows short.
fn ordered(ranks: &[usize], forward: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let count = ranks.len();
    let mut layers = vec![Vec::new(); ranks.iter().max().map_or(0, |rank| rank + 1)];
    ranks.iter().enumerate().for_each(|(node, rank)| layers[*rank].push(node));
    let after = ties(count, forward.iter().copied());
    let before = ties(count, forward.iter().map(|(from, to)| (*to, *from)));
    // Places within a layer count from its middle, so that long and short layers can be compared.
    let mut places = vec![0.0; count];
    let settle = |layer: &[usize], places: &mut Vec<f64>| {
        for (at, node) in layer.iter().enumerate() {
            places[*node] = at as f64 - layer.len() as f64 / 2.0;
        }
    };
    layers.iter().for_each(|layer| settle(layer, &mut places));
    for sweep in 0..SWEEPS {
        let ties = if sweep % 2 == 0 { &before } else { &after };
        let mut improve = |layer: &mut Vec<usize>| {
            let mean = |node: usize| match ties[node].len() {
                0 => places[node],
                tied => ties[node].iter().map(|other| places[*other]).sum::<f64>() / tied as f64,
            };
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|node| (mean(*node), *node)).collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            *layer = keyed.into_iter().map(|(_, node)| node).collect();
            settle(layer, &mut places);
        };
        if sweep % 2 == 0 {
            layers.iter_mut().for_each(&mut improve);
        } else {
            layers.iter_mut().rev().for_each(&mut improve);
        }
    }
    layers
}

fn place(widths: &[f64], layers: &[Vec<usize>]) -> Layout {
    let row = HEIGHT + BETWEEN_ROWS;
    let height = layers.iter().map(|layer| layer.len() as f64 * row).fold(row, f64::max);
    let mut corners = vec![(0.0, 0.0); widths.len()];
    let mut left = 0.0;
    for layer in layers {
        let widest = layer.iter().map(|node| widths[*node]).fold(0.0, f64::max);
        let mut top = (height - layer.len() as f64 * row) / 2.0;
        for node in layer {
            corners[*node] = (left + (widest - widths[*node]) / 2.0, top);
            top += row;
        }
        left += widest + BETWEEN_LAYERS;
    }
    Layout { corners, width: (left - BETWEEN_LAYERS).max(0.0), height }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chain_goes_from_left_to_right_and_a_circle_is_opened_once() {
        let layout = layered(&[50.0, 60.0, 70.0], &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        let lefts: Vec<f64> = layout.corners.iter().map(|corner| corner.0).collect();
        assert_eq!(lefts, [0.0, 160.0, 330.0]);
        assert_eq!(layout.width, 400.0);
    }

    #[test]
    fn nothing_is_laid_out_too() {
        let layout = layered(&[], &[]);
        assert_eq!((layout.corners.len(), layout.width), (0, 0.0));
    }

    proptest! {
        #[test]
        fn boxes_of_any_graph_stand_apart_and_within(
            widths in prop::collection::vec(10.0..300.0_f64, 1..40),
            arrows in prop::collection::vec((0_usize..40, 0_usize..40), 0..120),
        ) {
            let count = widths.len();
            let arrows: Vec<_> = arrows.into_iter().map(|(from, to)| (from % count, to % count)).collect();
            let layout = layered(&widths, &arrows);
            let boxes: Vec<_> = layout.corners.iter().zip(&widths).collect();
            for (index, ((left, top), width)) in boxes.iter().enumerate() {
                prop_assert!(*left >= 0.0 && *top >= 0.0);
                prop_assert!(left + *width <= layout.width + 0.001 && top + HEIGHT <= layout.height + 0.001);
                for ((other_left, other_top), other_width) in boxes.iter().skip(index + 1) {
                    let apart = left + *width <= *other_left || other_left + *other_width <= *left
                        || top + HEIGHT <= *other_top || other_top + HEIGHT <= *top;
                    prop_assert!(apart);
                }
            }
        }
    }
}

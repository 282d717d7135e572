//! What checkpoints are to reach, and by how much they do.

use super::Figures;

/// A target: what, how it was met, and by how much.
pub struct Target {
    /// What is measured.
    pub what: String,
    /// What came of it.
    pub is: f64,
    /// What it is to be at most.
    pub limit: f64,
}

impl Target {
    fn new(what: impl Into<String>, is: f64, limit: f64) -> Self {
        Self { what: what.into(), is, limit }
    }

    /// Whether it is met.
    pub fn is_met(&self) -> bool {
        self.is <= self.limit
    }

    /// Its cells of the table.
    pub fn cells(&self) -> Vec<String> {
        let word = if self.is_met() { "met" } else { "missed" };
        let by = (self.limit - self.is).abs() / self.limit * 100.0;
        let number = |value: f64| if value < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") };
        vec![self.what.clone(), number(self.is), number(self.limit), format!("{word} by {by:.0} %")]
    }
}

/// The largest of all against the smallest.
fn spread_of(figures: &[Figures], what: impl Fn(&Figures) -> u64) -> f64 {
    let all = || figures.iter().map(|one| what(one) as f64);
    all().fold(0.0, f64::max) / all().fold(f64::INFINITY, f64::min)
}

/// All of them, of these figures.
pub fn targets(figures: &[Figures]) -> Vec<Target> {
    let spread = spread_of(figures, |one| one.stop);
    let mut targets = vec![
        Target::new("stop, largest program against smallest", spread, 1.1),
        Target::new(
            "first instruction lazily, largest against smallest",
            spread_of(figures, |one| one.first_instruction),
            1.1,
        ),
        Target::new(
            "bytes before it, largest against smallest",
            spread_of(figures, |one| one.lazy.bytes),
            1.1,
        ),
    ];
    for figures in figures {
        let of = |what: &str| format!("{} MiB: {what}", figures.size);
        let memory = figures.first.memory as f64;
        targets.push(Target::new(
            of("stop, instructions"),
            figures.stop as f64,
            20_000.0 + 2_000.0 * figures.flobs as f64,
        ));
        for (share, save) in figures.changes.iter().filter(|(share, _)| *share == 1) {
            let part = save.bytes as f64 / figures.full.bytes as f64;
            targets.push(Target::new(of(&format!("bytes of a save with {share} % dirty")), part, 0.02));
        }
        targets.push(Target::new(
            of("the line's rate against a full save's"),
            figures.line / figures.full.rate(),
            2.0,
        ));
        targets.push(Target::new(of("seconds against savevm's"), figures.full.seconds, figures.savevm));
        targets.push(Target::new(
            of("bytes in the store, of memory"),
            figures.first.stored as f64 / memory,
            1.02,
        ));
        targets.push(Target::new(
            of("bytes in an exported file, of memory"),
            figures.exported as f64 / memory,
            1.003,
        ));
    }
    targets
}

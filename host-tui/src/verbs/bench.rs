//! `flob bench`: what things cost, measured in real runs. One table; each row names its method.

use clap::{Args, Subcommand};
use flob_session::Error;
use serde_json::{Value as Json, json};

use super::{bench_checkpoint, bench_host, bench_kernel, bench_profile};
use crate::cli::{Context, print};

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Saving and restoring over the virtio port, per size of the program and share of its pages that were written; and the
    /// targets
    Checkpoint {
        /// Sizes of the program in MiB
        #[arg(long, value_delimiter = ',', default_value = "1,4,16,64,256")]
        sizes: Vec<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The terminal interface and what it stands on: wall times of this machine
    Host {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The kernel: guest instructions, exact and repeatable
    Kernel {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print what the instructions of this row are spent on, by file and function
        #[arg(long, value_name = "ROW", conflicts_with = "json")]
        profile: Option<String>,
    },
}

/// A measured figure.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// Milliseconds of each time it was done.
    pub milliseconds: Vec<f64>,
    /// How.
    pub method: &'static str,
    /// What it is to be at most at the 99th percentile, in milliseconds.
    pub target: Option<f64>,
}

/// How often something can be done a second, beside what another can do.
#[derive(Debug)]
pub struct Rate {
    /// What.
    pub name: &'static str,
    /// By flob: to be at least as often …
    pub ours: f64,
    /// … as by this one.
    pub theirs: f64,
    /// How.
    pub method: &'static str,
}

impl Bench {
    /// Measures.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let json = match self.what {
            What::Host { json } => json,
            What::Checkpoint { sizes, json } => return bench_checkpoint::run(&sizes, json),
            What::Kernel { profile: Some(row), .. } => return bench_profile::run(&row),
            What::Kernel { json, .. } => return bench_kernel::run(json),
        };
        let (rows, rates) = bench_host::measure()?;
        if json {
            let all = rows.iter().map(Row::to_json).chain(rates.iter().map(Rate::to_json));
            print::json(&Json::Array(all.collect()))?;
            return Ok(0);
        }
        let heading = ["FIGURE", "MEDIAN", "99 %", "WORST", "TIMES", "TARGET", "METHOD"];
        table(&heading, rows.iter().map(Row::cells))?;
        print::line("")?;
        let heading = ["FIGURE", "FLOB", "QEMU", "TARGET", "METHOD"];
        table(&heading, rates.iter().map(Rate::cells))?;
        Ok(0)
    }
}

fn table(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), Error> {
    let heading = heading.iter().map(|&word| word.to_owned()).collect();
    print::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

impl Rate {
    fn is_met(&self) -> bool {
        self.ours >= self.theirs
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.into(),
            format!("{:.0}/s", self.ours),
            format!("{:.0}/s", self.theirs),
            format!("at least QEMU's: {}", verdict(self.is_met())),
            self.method.into(),
        ]
    }

    fn to_json(&self) -> Json {
        json!({
            "name": self.name,
            "per_second": self.ours,
            "qemu_per_second": self.theirs,
            "met": self.is_met(),
            "method": self.method,
        })
    }
}

impl Row {
    /// Median, 99th percentile, worst.
    fn figures(&self) -> (f64, f64, f64) {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        (at(sorted.len() / 2), at((sorted.len() * 99 / 100).min(last)), at(last))
    }

    fn cells(&self) -> Vec<String> {
        let (median, high, worst) = self.figures();
        let target = self.target.map(|target| format!("{target:.0} ms: {}", verdict(high <= target)));
        vec![
            self.name.into(),
            format!("{median:.1} ms"),
            format!("{high:.1} ms"),
            format!("{worst:.1} ms"),
            self.milliseconds.len().to_string(),
            target.unwrap_or_default(),
            self.method.into(),
        ]
    }

    fn to_json(&self) -> Json {
        let (median, high, worst) = self.figures();
        json!({
            "name": self.name,
            "median_ms": median,
            "percentile_99_ms": high,
            "worst_ms": worst,
            "target_ms": self.target,
            "met": self.target.map(|target| high <= target),
            "times": self.milliseconds.len(),
            "method": self.method,
        })
    }
}

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
        let rows = bench_host::measure()?;
        if json {
            print::json(&Json::Array(rows.iter().map(Row::to_json).collect()))?;
        } else {
            let heading = ["FIGURE", "MEDIAN", "WORST", "TIMES", "METHOD"].map(str::to_owned).to_vec();
            print::table(&std::iter::once(heading).chain(rows.iter().map(Row::cells)).collect::<Vec<_>>())?;
        }
        Ok(0)
    }
}

impl Row {
    fn median_and_worst(&self) -> (f64, f64) {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        (at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
    }

    fn cells(&self) -> Vec<String> {
        let (median, worst) = self.median_and_worst();
        vec![
            self.name.into(),
            format!("{median:.1} ms"),
            format!("{worst:.1} ms"),
            self.milliseconds.len().to_string(),
            self.method.into(),
        ]
    }

    fn to_json(&self) -> Json {
        let (median, worst) = self.median_and_worst();
        json!({
            "name": self.name,
            "median_ms": median,
            "worst_ms": worst,
            "times": self.milliseconds.len(),
            "method": self.method,
        })
    }
}

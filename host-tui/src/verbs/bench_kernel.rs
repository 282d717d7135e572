//! `flob bench kernel`: what kernel paths cost, in guest instructions. The machine is started three times: twice with the
//! ordinary kernel, whose figures must be the same to the instruction, and twice with the kernel that counts what instructions
//! do not weigh. The guest's side is `programs/bench`.

use std::collections::BTreeMap;

use flob_session::Error;
use serde_json::{Value as Json, json};

use super::{
    bench_machine, bench_profile,
    bench_rows::{ROWS, Row, TIMES},
};
use crate::{cli::print, guest};

/// Main memory of the machine, in MiB.
const MEMORY: u32 = 128;
/// No kernel entry may take more instructions.
const BOUND: u64 = 20_000;

/// What was measured of one row: its median, least and most; and what was counted per thousand times.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    instructions: [u64; 3],
    counts: [u64; 6],
}

/// Names of what is counted, in order.
const COUNTS: [&str; 6] =
    ["entries", "cr3_loads", "wrmsr", "fxsave_fxrstor", "pages_flushed", "bytes_copied"];

/// Everything that was measured.
struct Figures {
    rows: BTreeMap<String, Measured>,
    /// Of each scenario, the longest kernel entry: instructions, and what it was for.
    longest: Vec<(String, u64, String)>,
}

/// The heading of the table of rows.
const HEADING: [&str; 11] =
    ["PATH", "INSTR", "TARGET", "MISSED BY", "ENTRIES", "CR3", "WRMSR", "FX", "PAGES", "BYTES", "METHOD"];

/// Measures and prints.
pub fn run(json: bool) -> Result<u8, Error> {
    let figures = measure()?;
    if json {
        figures.print_json()?
    } else {
        figures.print_tables()?
    }
    Ok(0)
}

fn measure() -> Result<Figures, Error> {
    let plain = guest::bench(false);
    let said = bench_machine::run(&plain, MEMORY, "")?;
    let again = bench_machine::run(&plain, MEMORY, "")?;
    if let Some((one, other)) = said.lines().zip(again.lines()).find(|(one, other)| one != other) {
        return Err(Error::Guest(format!("two runs differ: '{one}' and '{other}'")));
    }
    let counted = bench_machine::run(&guest::bench(true), MEMORY, "counting")?;
    let mut figures = Figures { rows: BTreeMap::new(), longest: Vec::new() };
    figures.read(&said, "row", |row, numbers| row.instructions = first(numbers));
    figures.read(&counted, "counts", |row, numbers| row.counts = first(numbers));
    let attacked = bench_machine::run(&guest::bench(true), MEMORY, "counting hostile")?;
    figures.longest = counted.lines().chain(attacked.lines()).filter_map(longest).collect();
    figures.derive();
    match ROWS.iter().find(|row| !figures.rows.contains_key(row.name)) {
        Some(row) => Err(Error::Guest(format!("no figure came for '{}'", row.name))),
        None => Ok(figures),
    }
}

fn first<const N: usize>(numbers: &[u64]) -> [u64; N] {
    std::array::from_fn(|index| numbers.get(index).copied().unwrap_or(0))
}

/// The line `longest SCENARIO INSTRUCTIONS CALL`.
fn longest(line: &str) -> Option<(String, u64, String)> {
    let mut words = line.strip_prefix("longest ")?.split(' ');
    let scenario = words.next()?.to_owned();
    let instructions = words.next()?.parse().ok()?;
    let number = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((scenario, instructions, what(number)))
}

/// What an entry was for: a trap has bit 63, an IPC call its own.
fn what(number: u64) -> String {
    let call = flob_abi::Call::from_number(number).map(|call| call.name().to_owned());
    match number >> 63 {
        1 => format!("vector {}", number & 0xff),
        _ => call.unwrap_or_else(|| format!("call {number:#x}")),
    }
}

impl Figures {
    fn print_json(&self) -> Result<(), Error> {
        let rows: Vec<Json> = ROWS.iter().filter_map(|row| self.to_json(row)).collect();
        let entry = |(scenario, instructions, call): &(String, u64, String)| json!({"scenario": scenario, "instructions": instructions, "in": call});
        let longest: Vec<Json> = self.longest.iter().map(entry).collect();
        print::json(&json!({"rows": rows, "longest_entries": longest, "bound": BOUND}))
    }

    fn print_tables(&self) -> Result<(), Error> {
        let heading = HEADING.map(str::to_owned).to_vec();
        let rows = ROWS.iter().filter_map(|row| self.cells(row));
        print::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
        print::line(&format!(
            "every row was measured in two runs of the machine, equal to the instruction; each is the median of {TIMES} times\n"
        ))?;
        let heading = ["LONGEST KERNEL ENTRY", "INSTR", "IN"].map(str::to_owned).to_vec();
        let row = |(scenario, instructions, call): &(String, u64, String)| {
            vec![scenario.clone(), instructions.to_string(), call.clone()]
        };
        let rows = self.longest.iter().map(row);
        print::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
        let most = self.longest.iter().map(|(_, instructions, _)| *instructions).max().unwrap_or(0);
        print::line(&format!("the longest of all: {most} instructions (bound {BOUND})\n"))?;
        self.print_missed()
    }

    /// What the rows that miss their targets are spent on: measured too, one run of the machine for each.
    fn print_missed(&self) -> Result<(), Error> {
        print::line("what missed targets are spent on, by source (`--profile ROW`: by function)")?;
        for row in ROWS.iter().filter(|row| row.difference.is_none()) {
            let Some(measured) = self.rows.get(row.name) else { continue };
            let missed = self.target(row).map_or(0, |target| measured.instructions[0].saturating_sub(target));
            if missed > 0 {
                print::line(&format!(
                    "{}: missed by {missed}; {}",
                    row.name,
                    bench_profile::summary(row.name)?
                ))?;
            }
        }
        Ok(())
    }

    fn read(&mut self, said: &str, kind: &str, into: impl Fn(&mut Measured, &[u64])) {
        for line in said.lines() {
            let mut words = line.split(' ');
            let Some((name, numbers)) = words
                .next()
                .filter(|word| *word == kind)
                .and_then(|_| words.next())
                .map(|name| (name, words.filter_map(|word| word.parse().ok()).collect::<Vec<u64>>()))
            else {
                continue;
            };
            into(self.rows.entry(name.to_owned()).or_default(), &numbers);
        }
    }

    /// Rows that are differences of others.
    fn derive(&mut self) {
        for row in ROWS {
            let Some((more, less)) = row.difference else { continue };
            let median = |name: &str| self.rows.get(name).map_or(0, |row| row.instructions[0]);
            let difference = median(more).saturating_sub(median(less));
            let measured = Measured { instructions: [difference; 3], counts: [0; 6] };
            self.rows.insert(row.name.to_owned(), measured);
        }
    }

    /// The target of a row, in instructions.
    fn target(&self, row: &Row) -> Option<u64> {
        let part =
            row.share_of.and_then(|name| self.rows.get(name)).map(|whole| whole.instructions[0] * 8 / 100);
        row.target.or(part)
    }

    fn cells(&self, row: &Row) -> Option<Vec<String>> {
        let measured = self.rows.get(row.name)?;
        let median = measured.instructions[0];
        let target = self.target(row);
        let missed = target.map_or(String::new(), |target| match median.saturating_sub(target) {
            0 => "met".into(),
            by => by.to_string(),
        });
        let mut cells = vec![row.name.to_owned(), median.to_string()];
        cells.push(target.map_or(String::new(), |target| target.to_string()));
        cells.push(missed);
        let derived = row.difference.is_some();
        cells.extend(measured.counts.map(|count| if derived { String::new() } else { thousandths(count) }));
        cells.push(if row.beside.is_empty() {
            row.method.into()
        } else {
            format!("{} ({})", row.method, row.beside)
        });
        Some(cells)
    }

    fn to_json(&self, row: &Row) -> Option<Json> {
        let measured = self.rows.get(row.name)?;
        let [median, least, most] = measured.instructions;
        let target = self.target(row);
        let mut json = json!({
            "name": row.name, "instructions": median, "least": least, "most": most, "target": target,
            "missed_by": target.map(|target| median.saturating_sub(target)), "method": row.method, "beside": row.beside,
        });
        if row.difference.is_none() {
            for (name, count) in COUNTS.iter().zip(measured.counts) {
                json[*name] = json!(count as f64 / 1000.0);
            }
        }
        Some(json)
    }
}

fn thousandths(count: u64) -> String {
    if count.is_multiple_of(1000) {
        (count / 1000).to_string()
    } else {
        format!("{:.2}", count as f64 / 1000.0)
    }
}

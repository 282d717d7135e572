//! Numbers as people read them: times, sizes, rates.

use std::time::Duration;

/// What looking costs the program: looks a second, and the share of its time in thousandths.
pub fn cost(looks: f64, share: f64) -> String {
    format!("  {looks:.1} looks/s cost {:.1} %", share * 100.0)
}

/// A moment of the program's time, in seconds.
pub fn moment(nanoseconds: u64) -> String {
    format!("{:>4}.{:06}", nanoseconds / 1_000_000_000, nanoseconds / 1_000 % 1_000_000)
}

/// How long something took.
pub fn took(nanoseconds: u64) -> String {
    format!("{}.{:03} ms", nanoseconds / 1_000_000, nanoseconds / 1_000 % 1_000)
}

/// How old something is.
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => "now".into(),
        seconds @ 1..=99 => format!("{seconds}s old"),
        seconds => format!("{}min old", seconds / 60),
    }
}

/// How fast something goes and how long it will take.
pub fn pace(rate: u64, left: u64) -> String {
    let left = if left < 100 { format!("{left}s") } else { format!("{}min", left / 60) };
    format!("{}/s, {left} left", amount(rate))
}

/// A number with at most four digits and a unit.
pub fn amount(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=9_999_999 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// A number of bytes.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (count.max(1).ilog2() / 10).min(4);
    let whole = count >> (10 * unit);
    let tenth = if unit == 0 { 0 } else { (count >> (10 * (unit - 1)) & 1023) * 10 / 1024 };
    let name = UNITS.get(unit as usize).copied().unwrap_or_default();
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth} {name}") } else { format!("{whole} {name}") }
}

/// A moment in seconds since 1970, in universal time.
pub fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of the proleptic Gregorian calendar, counted in eras of 400 years from 1 March 0000.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let moments = [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_767_225_599, "2025-12-31 23:59:59"),
        ];
        moments.iter().for_each(|(seconds, text)| assert_eq!(date(*seconds), *text));
    }

    #[test]
    fn sizes_have_a_unit_and_a_tenth_where_it_matters() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (10 << 20, "10 MiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        sizes.iter().for_each(|(size, text)| assert_eq!(bytes(*size), *text));
    }
}

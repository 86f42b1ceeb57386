//! What `flow journal` takes on the command line.

use std::time::Duration;

use clap::{Args, Subcommand};

/// While a run is driven, `verify` asks the driver; everything else is refused with 7.
#[derive(Debug, Subcommand)]
pub(crate) enum Journal {
    /// Reads every record of every run, sealed ones too, and verifies its chain
    Verify(Json),
    /// Rebuilds what is damaged from its other copy, and says what it did; damaged files are kept aside
    Repair(Repair),
    /// Puts finished runs away into verified archive files; they stay listed and readable
    Seal(Seal),
    /// Brings a sealed run back, so that it can be rolled back
    Unseal {
        /// The run: its id, an unambiguous beginning of it, or `latest`
        run: String,
        /// Print JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Removes the records of old sealed runs for good, and stored objects that no run needs; their lines in the list stay
    Prune(Prune),
    /// Writes the live store anew without what is sealed or left over
    Compact(Json),
    /// Counts and sizes
    Stats(Json),
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Only say what would be rebuilt from what. It is tried on a copy in the folder for temporary files; the journal is
    /// not changed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// Only runs that have been over for so long, such as 30d, 12h or 90m. The run of an environment that can still be
    /// rolled back always stays
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = age)]
    pub(crate) older_than: Duration,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Only runs that have been over for so long, such as 365d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Duration,
    /// Keep at least so many of the newest runs of each environment
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) keep: usize,
    /// Remove them; without it they are only named
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// A number and a unit: `s`, `m`, `h`, `d` or `w`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and one of s, m, h, d, w, such as 30d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let seconds = count.checked_mul(unit).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        assert_eq!(age("30d"), Ok(Duration::from_hours(30 * 24)));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        for bad in ["", "30", "d", "-1d", "3 d", "3x", "99999999999999999999w"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}

//! The table that every benchmark prints: what, ours, the limit beside it, the ratio, and the target if there is one.
//! Not here: measuring.

use std::fmt::Write as _;
use std::io::Write as _;

/// What was measured, one value a round, in one unit.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The value in the middle; of an even number the higher of the two.
    #[must_use]
    pub fn median(&self) -> f64 {
        percentile(&mut self.0.clone(), 0.5)
    }

    /// Adds what one round gave.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn shown(&self, unit: &str) -> String {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut text = format!("{} {unit}", short(self.median()));
        if self.0.len() > 1 {
            let _ = write!(text, " ({} to {})", short(low), short(high));
        }
        text
    }
}

/// The value below which a `share` (0 to 1) of `values` lies; sorts them. Not a number when there are none.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// What this project wants to see.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Nothing in particular.
    None,
    /// The ratio to the limit is at most this.
    RatioAtMost(f64),
    /// The ratio to the limit is at least this.
    RatioAtLeast(f64),
    /// The value itself is at most this.
    AtMost(f64),
    /// The value itself is at least this.
    AtLeast(f64),
}

impl Target {
    fn shown(self, ours: f64, ratio: Option<f64>, unit: &str) -> (String, &'static str) {
        let ratio = ratio.unwrap_or(f64::NAN);
        let (text, met) = match self {
            Self::None => return ("-".to_owned(), "-"),
            Self::RatioAtMost(most) => (format!("at most {most} x"), ratio <= most),
            Self::RatioAtLeast(least) => (format!("at least {least} x"), ratio >= least),
            Self::AtMost(most) => (format!("at most {} {unit}", short(most)), ours <= most),
            Self::AtLeast(least) => (format!("at least {} {unit}", short(least)), ours >= least),
        };
        (text, if met { "yes" } else { "NO" })
    }
}

/// Three significant digits, thousands apart.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100_000.0 => format!("{:.0} k", value / 1000.0),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints a line of standard output; a closed output is nobody's concern here.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints the head of the table.
pub fn head() {
    say("| what | ours | limit | ratio | target | met |");
    say("| --- | --- | --- | --- | --- | --- |");
}

/// Prints one line of the table. `limit` says what it is and what it gave, round by round, in the same unit.
pub fn row(what: &str, unit: &str, ours: &Samples, limit: Option<(&str, &Samples)>, target: Target) {
    let ratios = limit.map(|(_, limit)| {
        let pairs = ours.0.iter().zip(&limit.0);
        let mut ratios: Vec<f64> = pairs.map(|(ours, limit)| ours / limit).collect();
        percentile(&mut ratios, 0.5)
    });
    let beside = limit.map_or("-".to_owned(), |(name, limit)| format!("{name}: {}", limit.shown(unit)));
    let ratio = ratios.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let (wanted, met) = target.shown(ours.median(), ratios, unit);
    say(&format!("| {what} | {} | {beside} | {ratio} | {wanted} | {met} |", ours.shown(unit)));
}

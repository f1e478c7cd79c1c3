//! Which way a message takes: one pure, ordered rule. The directory's way always works, evidence promotes the direct
//! one, only a sign of death demotes it. Also when to dial again.

use crate::limits::{DIRECT_DISTRUST_MS, DIRECT_TIMEOUT_MS, REDIAL_MAX_MS, REDIAL_MIN_MS};

/// What is known of the way to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// A greeted link stands.
    pub link: bool,
    /// The directory says that they are not logged in. False when it says nothing.
    pub not_logged_in: bool,
    /// Some address is known.
    pub has_address: bool,
    /// A direct attempt failed so recently, milliseconds ago.
    pub failed_ago_ms: Option<u64>,
}

/// When to deposit at the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositWhen {
    /// At once, beside any direct attempt.
    Now,
    /// If nothing is acknowledged after so many milliseconds.
    After(u64),
}

/// The rule.
#[must_use]
pub fn deposit_when(evidence: Evidence) -> DepositWhen {
    let Evidence { link, not_logged_in, has_address, failed_ago_ms } = evidence;
    let distrusted = failed_ago_ms.is_some_and(|ago_ms| ago_ms < DIRECT_DISTRUST_MS);
    let unreachable = !link && !has_address;
    if not_logged_in || distrusted || unreachable { DepositWhen::Now } else { DepositWhen::After(DIRECT_TIMEOUT_MS) }
}

/// Back-off between dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redial {
    failures: u32,
    not_before_ms: u64,
}

impl Redial {
    /// A dial failed at `now_ms`; `jitter` is random.
    pub fn failed(&mut self, now_ms: u64, jitter: u32) {
        let delay_ms = (REDIAL_MIN_MS << self.failures.min(10)).min(REDIAL_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms + delay_ms / 2 + u64::from(jitter) % (delay_ms / 2 + 1);
    }

    /// How many failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Something changed for the better: dial at once.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The earliest time of the next dial.
    #[must_use]
    pub fn not_before_ms(&self) -> u64 {
        self.not_before_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Evidence = Evidence { link: true, not_logged_in: false, has_address: true, failed_ago_ms: None };

    #[test]
    fn a_good_way_gets_its_time_and_a_sign_of_death_none() {
        assert_eq!(deposit_when(GOOD), DepositWhen::After(DIRECT_TIMEOUT_MS));
        assert_eq!(deposit_when(Evidence { link: false, ..GOOD }), DepositWhen::After(DIRECT_TIMEOUT_MS));
        assert_eq!(deposit_when(Evidence { not_logged_in: true, ..GOOD }), DepositWhen::Now);
        assert_eq!(deposit_when(Evidence { link: false, has_address: false, ..GOOD }), DepositWhen::Now);
        assert_eq!(deposit_when(Evidence { failed_ago_ms: Some(0), ..GOOD }), DepositWhen::Now);
        let forgiven = Evidence { failed_ago_ms: Some(DIRECT_DISTRUST_MS), ..GOOD };
        assert_eq!(deposit_when(forgiven), DepositWhen::After(DIRECT_TIMEOUT_MS));
    }

    #[test]
    fn redials_back_off_to_a_bound_and_start_anew() {
        let mut redial = Redial::default();
        for _ in 0..20 {
            redial.failed(0, u32::MAX);
        }
        assert!(redial.not_before_ms() <= REDIAL_MAX_MS && redial.not_before_ms() >= REDIAL_MAX_MS / 2);
        redial.reset();
        assert_eq!(redial.not_before_ms(), 0);
    }

    #[test]
    fn each_redial_waits_twice_as_long_half_of_it_by_chance() {
        let mut redial = Redial::default();
        for delay_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let (mut earliest, mut latest) = (redial, redial);
            earliest.failed(700, 0);
            latest.failed(700, u32::try_from(delay_ms / 2).unwrap());
            assert_eq!((earliest.not_before_ms(), latest.not_before_ms()), (700 + delay_ms / 2, 700 + delay_ms));
            redial.failed(700, u32::try_from(delay_ms / 2 + 1).unwrap());
            assert_eq!(redial.not_before_ms(), earliest.not_before_ms(), "chance stays within its half");
        }
    }

    #[test]
    fn a_link_is_a_way_without_an_address_and_an_address_without_a_link() {
        let link_only = Evidence { has_address: false, ..GOOD };
        assert_eq!(deposit_when(link_only), DepositWhen::After(DIRECT_TIMEOUT_MS));
        let nearly = Evidence { failed_ago_ms: Some(DIRECT_DISTRUST_MS - 1), ..GOOD };
        assert_eq!(deposit_when(nearly), DepositWhen::Now);
    }
}

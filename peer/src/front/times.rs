//! Times as people and scripts read them, from milliseconds since 1970. It never asks a clock.

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// RFC 3339, UTC, milliseconds: `2026-11-21T14:02:07.123Z`.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    format!("{:.3}", timestamp(ms))
}

/// Local `HH:MM:SS`, behind the date where that is not the date of `now_ms`.
#[must_use]
pub fn local(ms: i64, now_ms: i64, zone: &TimeZone) -> String {
    let (then, now) = (timestamp(ms).to_zoned(zone.clone()), timestamp(now_ms).to_zoned(zone.clone()));
    let form = if then.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    then.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 1_700_049_600_123;

    #[test]
    fn scripts_get_utc_with_milliseconds() {
        assert_eq!(rfc3339(NOON_MS), "2023-11-15T12:00:00.123Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn people_get_local_time_and_the_date_of_another_day() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(local(NOON_MS, NOON_MS + 1, &zone), "14:00:00");
        assert_eq!(local(NOON_MS, NOON_MS + 86_400_000, &zone), "2023-11-15 14:00:00");
        assert_eq!(local(NOON_MS, NOON_MS + 9 * 3_600_000, &zone), "14:00:00");
        assert_eq!(local(NOON_MS, NOON_MS + 10 * 3_600_000, &zone), "2023-11-15 14:00:00");
    }
}

//! When a schedule fires (T59).
//!
//! A schedule speaks of local time, and each local time fires at most once: a time that the clock skips in spring does
//! not fire that day, and a time that it shows twice in autumn fires the first time only. EventBridge Scheduler does the
//! same, so a pipeline behaves alike in every place it runs.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// The most local times that are tried: more than the minutes of the longest gap (a whole day, at the date line).
const MOST_TRIES: usize = 2000;

/// A schedule or time zone that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(pub(crate) String);

/// The first time after `after` at which a schedule of five fields fires in a time zone; none if it never does again.
///
/// The time zones are those compiled in: the machine's own are not asked.
///
/// # Errors
/// The schedule or the time zone cannot be read.
pub fn next_fire(
    schedule: &str,
    timezone: &str,
    after: Timestamp,
) -> Result<Option<Timestamp>, ScheduleError> {
    let zone = zone(timezone)?;
    let cron = parse(schedule)?;
    let mut local = zone.to_datetime(after);
    for _ in 0..MOST_TRIES {
        // croner reads the time zone's rules itself when it is given a zoned time; a civil time keeps them ours.
        let Ok(next) = cron.find_next_occurrence(&local, false) else { return Ok(None) };
        match instant(&zone, next) {
            Some(time) if time > after => return Ok(Some(time)),
            _ => local = next,
        }
    }
    Ok(None)
}

/// Checks a schedule and a time zone when a pipeline is saved.
///
/// # Errors
/// One of them cannot be read, or the schedule can never fire.
pub(crate) fn check_schedule(schedule: &str) -> Result<(), ScheduleError> {
    let start = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
    let last = start.saturating_add(9.years());
    // Nine years hold a leap day even around a century that has none.
    match parse(schedule)?.find_next_occurrence(&start, true) {
        Ok(first) if first <= last => Ok(()),
        _ => Err(ScheduleError(format!("`{schedule}` never fires"))),
    }
}

/// Checks the name of a time zone.
///
/// # Errors
/// There is no such time zone.
pub(crate) fn check_timezone(timezone: &str) -> Result<(), ScheduleError> {
    zone(timezone).map(drop)
}

/// The name of the time zone that `given` was most likely meant to be.
pub(crate) fn nearest_timezone(given: &str) -> Option<String> {
    let names: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    crate::problem::nearest(given, names.iter().map(String::as_str)).map(ToOwned::to_owned)
}

/// The time zone of that name, of those compiled in.
///
/// # Errors
/// There is none.
pub(crate) fn zone(timezone: &str) -> Result<TimeZone, ScheduleError> {
    let error = |_| {
        ScheduleError(format!("there is no time zone `{timezone}`; write one like `Europe/Berlin` or `UTC`"))
    };
    TimeZoneDatabase::bundled().get(timezone).map_err(error)
}

fn parse(schedule: &str) -> Result<croner::Cron, ScheduleError> {
    let fields = schedule.split_whitespace().count();
    if fields != 5 || schedule.len() > 200 {
        return Err(ScheduleError(format!(
            "a schedule has five fields (minute, hour, day of month, month, day of week), this one has {fields}"
        )));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(schedule).map_err(|error| ScheduleError(format!("`{schedule}` is not a schedule: {error}")))
}

/// The instant of a local time; none in a gap, the first of two in an overlap.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn fires(schedule: &str, timezone: &str, after: &str, count: usize) -> Vec<String> {
        let mut after: Timestamp = after.parse().unwrap();
        let mut times = Vec::new();
        while times.len() < count {
            after = next_fire(schedule, timezone, after).unwrap().unwrap();
            times.push(after.to_string());
        }
        times
    }

    #[rstest]
    #[case("0 3 * * 1-5", "UTC", "2026-11-20T12:00:00Z", "2026-11-23T03:00:00Z")]
    #[case("0 3 * * 1-5", "Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-23T02:00:00Z")]
    #[case("0 3 * * *", "Asia/Shanghai", "2026-11-20T19:00:00Z", "2026-11-21T19:00:00Z")]
    #[case("*/15 * * * *", "UTC", "2026-11-20T12:00:00.5Z", "2026-11-20T12:15:00Z")]
    #[case("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    fn a_schedule_fires_in_its_time_zone(
        #[case] schedule: &str,
        #[case] timezone: &str,
        #[case] after: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(fires(schedule, timezone, after, 1), [expected]);
    }

    #[test]
    fn a_time_that_the_clock_skips_does_not_fire_that_day() {
        // 2026-03-29 in Berlin: 02:00 becomes 03:00.
        assert_eq!(
            fires("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 2),
            ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            fires("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
        );
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_fires_once() {
        // 2026-10-25 in Berlin: 03:00 becomes 02:00.
        assert_eq!(
            fires("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            fires("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3),
            ["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"]
        );
        // Asked from within the repeated hour, it does not fire in it.
        assert_eq!(fires("15 * * * *", "Europe/Berlin", "2026-10-25T01:05:00Z", 1), ["2026-10-25T02:15:00Z"]);
    }

    #[test]
    fn a_day_that_a_zone_leaves_out_is_passed_over() {
        assert_eq!(fires("* * 30 12 *", "Pacific/Apia", "2011-12-29T12:00:00Z", 1), ["2012-12-29T10:00:00Z"]);
    }

    #[rstest]
    #[case("0 0 3 * * *")]
    #[case("* * * *")]
    #[case("@daily")]
    #[case("60 * * * *")]
    #[case("a b c d e")]
    #[case("")]
    #[case("0 0 30 2 *")]
    fn what_is_no_schedule_of_five_fields_is_refused(#[case] schedule: &str) {
        assert!(check_schedule(schedule).is_err(), "{schedule}");
    }

    #[test]
    fn time_zones_are_known_by_their_names() {
        assert!(check_timezone("UTC").is_ok() && check_timezone("Asia/Shanghai").is_ok());
        assert!(check_timezone("Europe/Berln").is_err() && check_timezone("").is_err());
        assert_eq!(nearest_timezone("Europe/Berln").as_deref(), Some("Europe/Berlin"));
    }

    proptest! {
        #[test]
        fn every_fire_is_later_and_at_its_minute(seconds in 1_500_000_000i64..1_900_000_000, minute in 0u8..60) {
            let mut after = Timestamp::from_second(seconds).unwrap();
            let zone = zone("Europe/Berlin").unwrap();
            for _ in 0..30 {
                let next = next_fire(&format!("{minute} * * * *"), "Europe/Berlin", after).unwrap().unwrap();
                prop_assert!(next > after);
                prop_assert_eq!(i16::from(zone.to_datetime(next).minute()), i16::from(minute));
                after = next;
            }
        }
    }
}

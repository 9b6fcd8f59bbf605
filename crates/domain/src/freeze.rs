//! Freeze windows: when nothing may be deployed (X14), in local time.
//!
//! A window is a part of each week, or one range. A local time that the clock skips in spring is the first instant after
//! the gap; of one that it shows twice in autumn, a freeze begins at the first and ends at the second. The time zones are
//! those compiled in: the machine's own are not asked.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::schedule::{Days, TimeOfDay};
use crate::trigger::{nearest_timezone, zone};

/// A freeze as it is written: `{days: [fri], from: "16:00", to: "08:00", timezone: Europe/Berlin}` or
/// `{start: 2026-12-20T00:00:00Z, end: 2027-01-03T06:00:00Z}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeSpec {
    /// Each week: the days on which it begins; every day when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Days>,
    /// Each week: the local time at which it begins, `16:00`; `00:00` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TimeOfDay>,
    /// Each week: the local time at which it ends, on the next day unless that is later; `24:00` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TimeOfDay>,
    /// Once: when it begins, `2026-12-20T00:00:00Z` or a local time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Once: when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The time zone of local times; `UTC` when absent.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What people are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A freeze that was read.
#[derive(Debug, Clone)]
pub struct Freeze {
    period: Period,
    reason: Option<String>,
}

#[derive(Debug, Clone)]
enum Period {
    /// `to` is absent for the midnight at the end of the day.
    Weekly {
        days: Days,
        from: Time,
        to: Option<Time>,
        zone: TimeZone,
    },
    Once {
        start: Timestamp,
        end: Timestamp,
    },
}

/// What holds while a freeze does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// When that freeze ends.
    pub until: Timestamp,
    /// What people are told.
    pub reason: Option<String>,
}

impl FreezeSpec {
    /// The freeze that is meant.
    ///
    /// # Errors
    /// What is wrong, at the path of its key.
    pub fn read(&self) -> Result<Freeze, Problem> {
        let zone = zone(&self.timezone).map_err(|error| {
            let hint = nearest_timezone(&self.timezone).map(|name| format!("did you mean `{name}`?"));
            Problem::new("timezone", error.to_string()).with_optional_hint(hint)
        })?;
        let weekly = self.days.is_some() || self.from.is_some() || self.to.is_some();
        let period = match (weekly, self.start.is_some() || self.end.is_some()) {
            (true, false) => self.weekly(zone)?,
            (false, true) => self.once(&zone)?,
            _ => {
                let message = "a freeze is either weekly or once";
                let hint = "write `days`, `from` and `to`, or `start` and `end`";
                return Err(Problem::new("", message).with_hint(hint));
            }
        };
        Ok(Freeze { period, reason: self.reason.clone() })
    }

    fn weekly(&self, zone: TimeZone) -> Result<Period, Problem> {
        let from = self.from.map_or(Some(Time::midnight()), TimeOfDay::on_the_clock);
        let Some(from) = from else {
            return Err(Problem::new("from", "a day begins at 00:00").with_hint("write \"00:00\""));
        };
        let to = self.to.and_then(TimeOfDay::on_the_clock);
        Ok(Period::Weekly { days: self.days.clone().unwrap_or_default(), from, to, zone })
    }

    fn once(&self, zone: &TimeZone) -> Result<Period, Problem> {
        let instant = |key: &str, text: &Option<String>, begins: bool| {
            let missing = || Problem::new("", format!("the key `{key}` is missing"));
            let text = text.as_ref().ok_or_else(missing)?;
            let local = || text.parse::<DateTime>().ok().and_then(|local| instant(zone, local, begins));
            text.parse::<Timestamp>().ok().or_else(local).ok_or_else(|| {
                let hint = "write `2026-12-20T06:00:00Z`, or a local time without the `Z`";
                Problem::new(key, format!("`{text}` is no time")).with_hint(hint)
            })
        };
        let (start, end) = (instant("start", &self.start, true)?, instant("end", &self.end, false)?);
        if end <= start {
            return Err(Problem::new("end", "the freeze ends before it begins"));
        }
        Ok(Period::Once { start, end })
    }
}

impl Freeze {
    /// Whether the freeze holds at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<Frozen> {
        let until = match &self.period {
            Period::Once { start, end } => (*start <= now && now < *end).then_some(*end),
            Period::Weekly { days, from, to, zone } => {
                let today = zone.to_datetime(now).date();
                // One that began yesterday may last until today; the clock may even be a day apart at the date line.
                let begins = [today.checked_sub(2.days()), today.yesterday(), Ok(today)];
                let begins = begins.into_iter().flatten().filter(|date| days.contains(date.weekday()));
                let spans = begins.filter_map(|date| {
                    let start = instant(zone, date.to_datetime(*from), true)?;
                    let end = instant(zone, closes(date, *from, *to)?, false)?;
                    (start <= now && now < end).then_some(end)
                });
                spans.max()
            }
        };
        until.map(|until| Frozen { until, reason: self.reason.clone() })
    }
}

/// So many freezes one after the other are followed to their end.
const MOST_IN_A_ROW: usize = 60;

/// The freeze among these that holds at `now`; of several the one that ends last. Where others follow it without a gap it
/// ends when the last of them does.
#[must_use]
pub fn frozen(freezes: &[Freeze], now: Timestamp) -> Option<Frozen> {
    let at = |time| freezes.iter().filter_map(|freeze| freeze.at(time)).max_by_key(|frozen| frozen.until);
    let mut found = at(now)?;
    for _ in 0..MOST_IN_A_ROW {
        let Some(next) = at(found.until) else { break };
        found.until = next.until;
    }
    Some(found)
}

/// When a freeze ends that begins on a date: at the end of the day, or on the next day unless `to` is later than `from`.
fn closes(date: Date, from: Time, to: Option<Time>) -> Option<DateTime> {
    match to {
        Some(to) if to > from => Some(date.to_datetime(to)),
        other => Some(date.tomorrow().ok()?.to_datetime(other.unwrap_or(Time::midnight()))),
    }
}

/// The instant of a local time: the first after a gap; of two, the first for what begins, the second for what ends.
fn instant(zone: &TimeZone, local: DateTime, begins: bool) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            // The later reading lies after the gap, and the last change of the clock before it is the gap's.
            let after = ambiguous.later().ok()?.checked_add(1.nanosecond()).ok()?;
            zone.preceding(after).next().map(|change| change.timestamp())
        }
        _ if begins => ambiguous.earlier().ok(),
        _ => ambiguous.later().ok(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value) -> Result<Freeze, Problem> {
        serde_json::from_value::<FreezeSpec>(spec).unwrap().read()
    }

    fn until(spec: Value, now: &str) -> Option<String> {
        let frozen = read(spec).unwrap().at(now.parse().unwrap());
        frozen.map(|frozen| frozen.until.to_string())
    }

    fn weekend() -> Value {
        json!({"days": ["fri", "sat", "sun"], "from": "16:00", "to": "08:00", "timezone": "Europe/Berlin"})
    }

    #[rstest]
    // 2026-11-20 is a Friday; Berlin is an hour ahead.
    #[case("2026-11-20T14:59:59Z", None)]
    #[case("2026-11-20T15:00:00Z", Some("2026-11-21T07:00:00Z"))]
    #[case("2026-11-21T06:59:59Z", Some("2026-11-21T07:00:00Z"))]
    #[case("2026-11-21T07:00:00Z", None)]
    #[case("2026-11-23T06:59:00Z", Some("2026-11-23T07:00:00Z"))]
    #[case("2026-11-23T15:30:00Z", None)]
    fn a_weekly_freeze_begins_on_its_days_and_may_end_on_the_next(
        #[case] now: &str,
        #[case] end: Option<&str>,
    ) {
        assert_eq!(until(weekend(), now).as_deref(), end);
    }

    #[rstest]
    // 2026-03-29 in Berlin: 02:00 becomes 03:00, which is 01:00 in UTC.
    #[case(json!({"from": "02:30", "to": "05:00"}), "2026-03-29T00:59:59Z", None)]
    #[case(json!({"from": "02:30", "to": "05:00"}), "2026-03-29T01:00:00Z", Some("2026-03-29T03:00:00Z"))]
    #[case(json!({"from": "00:00", "to": "02:30"}), "2026-03-29T00:59:59Z", Some("2026-03-29T01:00:00Z"))]
    #[case(json!({"from": "00:00", "to": "02:30"}), "2026-03-29T01:00:00Z", None)]
    // 2026-10-25 in Berlin: 03:00 becomes 02:00; 02:30 is 00:30 in UTC and again 01:30.
    #[case(json!({"from": "02:30", "to": "04:00"}), "2026-10-25T00:30:00Z", Some("2026-10-25T03:00:00Z"))]
    #[case(json!({"from": "00:00", "to": "02:30"}), "2026-10-25T01:29:59Z", Some("2026-10-25T01:30:00Z"))]
    #[case(json!({"from": "00:00", "to": "02:30"}), "2026-10-25T01:30:00Z", None)]
    fn a_local_time_in_a_change_of_the_clock_is_defined(
        #[case] mut spec: Value,
        #[case] now: &str,
        #[case] end: Option<&str>,
    ) {
        spec["timezone"] = json!("Europe/Berlin");
        assert_eq!(until(spec, now).as_deref(), end);
    }

    #[test]
    fn a_range_is_frozen_from_its_start_until_its_end() {
        let holidays =
            json!({"start": "2026-12-20T00:00", "end": "2027-01-03T06:00:00Z", "timezone": "Asia/Tokyo"});
        assert_eq!(until(holidays.clone(), "2026-12-19T14:59:59Z"), None);
        assert_eq!(until(holidays.clone(), "2026-12-19T15:00:00Z").as_deref(), Some("2027-01-03T06:00:00Z"));
        assert_eq!(until(holidays, "2027-01-03T06:00:00Z"), None);
    }

    #[test]
    fn days_alone_are_frozen_whole() {
        let sundays = json!({"days": ["sun"]});
        assert_eq!(until(sundays.clone(), "2026-11-22T00:00:00Z").as_deref(), Some("2026-11-23T00:00:00Z"));
        assert_eq!(until(sundays, "2026-11-23T00:00:00Z"), None);
    }

    #[test]
    fn of_several_freezes_the_one_that_ends_last_is_told() {
        let short = json!({"days": ["sat"], "reason": "weekend"});
        let long = json!({"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z", "reason": "audit"});
        let freezes = [read(short).unwrap(), read(long).unwrap()];
        let found = frozen(&freezes, "2026-11-21T10:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(found.reason.as_deref(), Some("audit"));
        assert_eq!(frozen(&freezes, "2026-12-01T00:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn freezes_without_a_gap_end_with_the_last_of_them() {
        let freezes = [read(json!({"days": ["sat"]})).unwrap(), read(json!({"days": ["sun"]})).unwrap()];
        let found = frozen(&freezes, "2026-11-21T10:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(found.until.to_string(), "2026-11-23T00:00:00Z");
    }

    #[rstest]
    #[case(json!({}), "a freeze is either weekly or once; write `days`, `from` and `to`, or `start` and `end`")]
    #[case(json!({"days": "weekdays", "start": "2026-12-20T00:00:00Z"}), "a freeze is either weekly or once")]
    #[case(json!({"from": "24:00"}), "from: a day begins at 00:00")]
    #[case(json!({"start": "soon", "end": "later"}), "start: `soon` is no time")]
    #[case(json!({"start": "2026-12-20T00:00:00Z"}), "the key `end` is missing")]
    #[case(json!({"start": "2026-12-20T00:00:00Z", "end": "2026-12-19T00:00:00Z"}), "end: the freeze ends before")]
    #[case(json!({"days": ["fri"], "timezone": "Europe/Berln"}), "timezone: there is no time zone `Europe/Berln`")]
    fn what_is_wrong_is_said_at_its_key(#[case] spec: Value, #[case] message: &str) {
        let problem = read(spec).unwrap_err().to_string();
        assert!(problem.starts_with(message), "{problem}");
    }
}

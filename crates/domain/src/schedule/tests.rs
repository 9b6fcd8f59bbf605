use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn schedule(value: serde_json::Value) -> Schedule {
    serde_json::from_value(value).unwrap()
}

fn at(time: &str) -> Schedule {
    schedule(json!({ "at": time, "timezone": "Europe/Berlin" }))
}

fn window(from: &str, to: &str) -> Schedule {
    schedule(json!({ "windows": [{ "from": from, "to": to }], "timezone": "Europe/Berlin" }))
}

fn next(schedule: &Schedule, now: &str) -> String {
    schedule.next_start(now.parse().unwrap()).unwrap().to_string()
}

#[rstest]
// 2026-11-21 is a Saturday; Berlin is an hour ahead of UTC.
#[case(json!({ "at": "22:00" }), "2026-11-21T10:00:00Z", "2026-11-21T22:00:00Z")]
#[case(json!({ "at": "22:00", "timezone": "Europe/Berlin" }), "2026-11-21T10:00:00Z", "2026-11-21T21:00:00Z")]
#[case(json!({ "at": "22:00", "days": "weekdays" }), "2026-11-21T10:00:00Z", "2026-11-23T22:00:00Z")]
#[case(json!({ "at": "22:00", "days": ["fri"] }), "2026-11-21T10:00:00Z", "2026-11-27T22:00:00Z")]
#[case(json!({ "at": "22:00", "days": ["sat"] }), "2026-11-21T22:00:00Z", "2026-11-21T22:00:00Z")]
#[case(json!({ "at": "22:00", "days": ["sat"] }), "2026-11-21T22:00:00.001Z", "2026-11-28T22:00:00Z")]
#[case(json!({ "at": "00:00", "timezone": "Asia/Shanghai" }), "2026-11-21T10:00:00Z", "2026-11-21T16:00:00Z")]
fn a_time_of_the_day_is_the_next_one_there_is(
    #[case] given: serde_json::Value,
    #[case] now: &str,
    #[case] expected: &str,
) {
    assert_eq!(next(&schedule(given), now), expected);
}

#[rstest]
#[case("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", "Friday, open: at once")]
#[case("2026-11-20T07:00:00Z", "2026-11-20T07:00:00Z", "the instant at which it opens")]
#[case("2026-11-20T15:59:59.999Z", "2026-11-20T15:59:59.999Z", "the last moment")]
#[case("2026-11-20T16:00:00Z", "2026-11-23T07:00:00Z", "closed: on Monday")]
#[case("2026-11-21T10:00:00Z", "2026-11-23T07:00:00Z", "Saturday: on Monday")]
#[case("2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z", "an hour before noon in Moscow")]
fn a_window_that_is_open_starts_at_once_and_otherwise_when_it_opens(
    #[case] now: &str,
    #[case] expected: &str,
    #[case] why: &str,
) {
    let working_hours = schedule(json!({
        "windows": [{ "days": "weekdays", "from": "08:00", "to": "17:00" }], "timezone": "Europe/Berlin",
    }));
    assert_eq!(next(&working_hours, now), expected, "{why}");
}

#[test]
fn of_several_windows_the_first_that_is_open_counts() {
    let both = schedule(json!({ "windows": [
        { "days": ["sun"], "from": "10:00", "to": "24:00" },
        { "days": ["mon"], "from": "08:00", "to": "09:00" },
    ] }));
    assert_eq!(next(&both, "2026-11-21T10:00:00Z"), "2026-11-22T10:00:00Z");
    assert_eq!(next(&both, "2026-11-22T23:59:59Z"), "2026-11-22T23:59:59Z", "24:00 is the end of the day");
    assert_eq!(next(&both, "2026-11-23T00:00:00Z"), "2026-11-23T08:00:00Z");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let friday_night = schedule(json!({ "windows": [{ "days": ["fri"], "from": "22:00", "to": "04:00" }] }));
    assert_eq!(next(&friday_night, "2026-11-21T03:59:00Z"), "2026-11-21T03:59:00Z", "Saturday early");
    assert_eq!(next(&friday_night, "2026-11-21T04:00:00Z"), "2026-11-27T22:00:00Z");
    assert_eq!(
        next(&friday_night, "2026-11-20T03:00:00Z"),
        "2026-11-20T22:00:00Z",
        "Friday early is Thursday's"
    );
    let whole = schedule(json!({ "windows": [{ "days": ["fri"], "from": "00:00", "to": "24:00" }] }));
    assert_eq!(next(&whole, "2026-11-20T23:59:59Z"), "2026-11-20T23:59:59Z");
    assert_eq!(next(&whole, "2026-11-21T00:00:00Z"), "2026-11-27T00:00:00Z");
}

#[test]
fn a_time_that_the_clock_skips_is_the_first_instant_after_the_gap() {
    // 2026-03-29 in Berlin: 02:00 becomes 03:00, at 01:00 UTC. The day has 23 hours.
    assert_eq!(next(&at("02:30"), "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next(&at("02:00"), "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next(&at("03:00"), "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next(&at("02:30"), "2026-03-29T01:00:00.001Z"), "2026-03-30T00:30:00Z", "once a day");
    assert_eq!(next(&at("12:00"), "2026-03-28T11:00:00.001Z"), "2026-03-29T10:00:00Z", "23 hours later");
    // A window loses what is skipped: one that opens in the gap opens after it, one that lies in it does not open.
    assert_eq!(next(&window("02:30", "05:00"), "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next(&window("02:10", "02:50"), "2026-03-28T12:00:00Z"), "2026-03-30T00:10:00Z");
    assert_eq!(next(&window("22:00", "02:30"), "2026-03-29T00:59:59Z"), "2026-03-29T00:59:59Z");
    assert_eq!(next(&window("22:00", "02:30"), "2026-03-29T01:00:00Z"), "2026-03-29T20:00:00Z");
}

#[test]
fn a_time_that_the_clock_shows_twice_is_the_first_of_the_two() {
    // 2026-10-25 in Berlin: 03:00 becomes 02:00, at 01:00 UTC. The day has 25 hours.
    assert_eq!(next(&at("02:30"), "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next(&at("02:30"), "2026-10-25T00:30:00.001Z"), "2026-10-26T01:30:00Z", "once a day");
    assert_eq!(next(&at("12:00"), "2026-10-24T10:00:00.001Z"), "2026-10-25T11:00:00Z", "25 hours later");
    // From 02:30 to 02:45: the first time only. From 22:00 to 04:00: seven hours.
    assert_eq!(next(&window("02:30", "02:45"), "2026-10-25T01:35:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(next(&window("22:00", "04:00"), "2026-10-24T20:00:00Z"), "2026-10-24T20:00:00Z");
    assert_eq!(next(&window("22:00", "04:00"), "2026-10-25T02:59:59Z"), "2026-10-25T02:59:59Z");
    assert_eq!(next(&window("22:00", "04:00"), "2026-10-25T03:00:00Z"), "2026-10-25T21:00:00Z");
}

#[test]
fn a_day_that_a_zone_leaves_out_begins_with_the_next() {
    let friday = schedule(json!({ "at": "10:00", "days": ["fri"], "timezone": "Pacific/Apia" }));
    assert_eq!(
        next(&friday, "2011-12-29T21:00:00Z"),
        "2011-12-30T10:00:00Z",
        "the first instant after the gap"
    );
}

#[test]
fn what_is_asked_for_counts_more_than_the_schedule() {
    let (now, later) = ("2026-11-21T10:00:00Z".parse().unwrap(), "2026-11-21T10:00:01Z".parse().unwrap());
    let night = at("22:00");
    let start = |wanted| start_time(Some(&night), wanted, now);
    assert_eq!(start(Wanted::AsScheduled), Ok(Some("2026-11-21T21:00:00Z".parse().unwrap())));
    assert_eq!(start(Wanted::Now), Ok(None));
    assert_eq!(start(Wanted::At(later)), Ok(Some(later)));
    assert_eq!(start(Wanted::At(now)), Err(StartRefused::Over { at: now, now }));
    let far = FARTHEST.after(now);
    assert_eq!(start(Wanted::At(far)), Ok(Some(far)));
    let too_far = FARTHEST.after(later);
    assert_eq!(start(Wanted::At(too_far)), Err(StartRefused::TooFar { at: too_far }));
    assert_eq!(start_time(None, Wanted::AsScheduled, now), Ok(None));
    assert_eq!(start_time(Some(&window("10:00", "12:00")), Wanted::AsScheduled, now), Ok(None), "it is open");
}

#[test]
fn a_schedule_is_told_in_words_and_in_its_own_time() {
    let both = schedule(json!({ "timezone": "Europe/Berlin", "windows": [
        { "days": "weekdays", "from": "08:00", "to": "17:00" }, { "days": ["sat", "sun"], "from": "10:00", "to": "12:00" },
    ] }));
    assert_eq!(both.to_string(), "weekdays 08:00-17:00, sat+sun 10:00-12:00, Europe/Berlin");
    assert_eq!(at("22:00").to_string(), "daily at 22:00, Europe/Berlin");
    assert_eq!(at("22:00").local("2026-11-21T21:00:00Z".parse().unwrap()), "2026-11-21T22:00:00+01:00");
    let written = serde_json::to_value(&both).unwrap();
    assert_eq!(schedule(written), both);
    let nowhere = schedule(json!({ "at": "22:00", "timezone": "Europe/Berln" }));
    assert!(nowhere.next_start(Timestamp::UNIX_EPOCH).unwrap_err().to_string().contains("Europe/Berln"));
}

proptest! {
    #[test]
    fn a_start_is_never_in_the_past_and_asking_again_at_it_gives_it(
        seconds in 1_500_000_000i64..1_900_000_000, hour in 0u8..24, other in 0u8..24, zone in 0usize..4,
    ) {
        let zone = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"][zone];
        let now = Timestamp::from_second(seconds).unwrap();
        let daily = schedule(json!({ "at": format!("{hour:02}:30"), "timezone": zone }));
        let windows = schedule(json!({ "timezone": zone, "windows": [
            { "days": "weekdays", "from": format!("{hour:02}:00"), "to": format!("{other:02}:15") },
        ] }));
        for schedule in [daily, windows] {
            let start = schedule.next_start(now).unwrap();
            prop_assert!(start >= now);
            prop_assert!(start.as_second() - now.as_second() <= 4 * 86_400 + 3600, "{start}");
            prop_assert_eq!(schedule.next_start(start).unwrap(), start);
        }
    }
}

//! Times as people say them.

use jiff::Timestamp;

/// How long ago, or in how long: `12s ago`, `in 6d`.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", coarse(seconds)),
        // What is almost a week away is a week away, not six days.
        _ => format!("in {}", coarse(-seconds + half_a_unit(-seconds))),
    }
}

fn half_a_unit(seconds: i64) -> i64 {
    match seconds {
        ..60 => 0,
        60..3_600 => 30,
        3_600..86_400 => 1_800,
        _ => 43_200,
    }
}

fn coarse(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something took: `0.3s`, `42.0s`, `1m03s`, `2h05m`, `3d04h`.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let millis = (to.as_millisecond() - from.as_millisecond()).max(0);
    let seconds = millis / 1000;
    match seconds {
        ..60 => format!("{seconds}.{}s", millis % 1000 / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + millis).unwrap()
    }

    #[test]
    fn times_are_said_in_the_largest_unit_that_fits() {
        let told = |seconds: i64| ago(at(0), at(seconds * 1000));
        assert_eq!([told(0), told(-12), told(-61), told(-7200)], ["just now", "12s ago", "1m ago", "2h ago"]);
        assert_eq!([told(-200_000), told(604_790), told(90)], ["2d ago", "in 7d", "in 2m"]);
    }

    #[test]
    fn durations_keep_two_units() {
        let took = |millis| elapsed(at(0), at(millis));
        assert_eq!([took(0), took(349), took(42_000), took(63_000)], ["0.0s", "0.3s", "42.0s", "1m03s"]);
        assert_eq!([took(7_500_000), took(273_600_000), took(-5)], ["2h05m", "3d04h", "0.0s"]);
    }
}

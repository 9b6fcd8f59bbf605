//! Two values beside each other, for people: of long texts the part that differs.

use serde_json::Value;

/// The most characters of a value.
const MOST_CHARS: usize = 200;
/// How much of what is the same is told before what differs.
const BEFORE: usize = 30;

/// What a field is and becomes. Of a text of several lines the first that differs, with its number; of long ones the part from where
/// they differ.
pub(super) fn pair(before: &Value, after: &Value) -> (Option<String>, Option<String>) {
    match (text(before), text(after)) {
        (Some(from), Some(to)) => {
            let (from, to) = both(&from, &to);
            (Some(from), Some(to))
        }
        (from, to) => (from.map(|text| cut(&text)), to.map(|text| cut(&text))),
    }
}

fn text(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn both(from: &str, to: &str) -> (String, String) {
    if !from.contains('\n') && !to.contains('\n') {
        return from_where_they_differ(from, to);
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (from.split('\n').collect(), to.split('\n').collect());
    let at = (0..).find(|at| old.get(*at) != new.get(*at)).unwrap_or_default();
    let (a, b) = match (old.get(at), new.get(at)) {
        (Some(a), Some(b)) => from_where_they_differ(a, b),
        (a, b) => {
            let line = |line: Option<&&str>| line.map_or_else(|| "(its end)".to_owned(), |line| cut(line));
            (line(a), line(b))
        }
    };
    let number = at + 1;
    (format!("line {number}: {a}"), format!("line {number}: {b}"))
}

fn from_where_they_differ(from: &str, to: &str) -> (String, String) {
    if from.chars().count().max(to.chars().count()) <= MOST_CHARS {
        return (from.to_owned(), to.to_owned());
    }
    let same = from.chars().zip(to.chars()).take_while(|(a, b)| a == b).count();
    let skipped = same.saturating_sub(BEFORE);
    let part = |text: &str| {
        let rest: String = text.chars().skip(skipped).collect();
        let dots = if skipped > 0 { "…" } else { "" };
        format!("{dots}{}", cut(&rest))
    };
    (part(from), part(to))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: &str, after: &str) -> String {
        let (from, to) = pair(&json!(before), &json!(after));
        format!("{} → {}", from.unwrap(), to.unwrap())
    }

    #[test]
    fn of_several_lines_the_first_that_differs_is_told() {
        assert_eq!(told("a: 1\nb: 2\nc: 3\n", "a: 1\nb: 3\nc: 3\n"), "line 2: b: 2 → line 2: b: 3");
        assert_eq!(told("a: 1", "a: 1\nb: 2"), "line 2: (its end) → line 2: b: 2");
    }

    #[test]
    fn long_values_are_told_from_where_they_differ() {
        let long = |end: &str| format!("{}{end}{}", "x".repeat(300), "y".repeat(300));
        let said = told(&long("1"), &long("2"));
        let (from, to) = said.split_once(" → ").unwrap();
        let same = "x".repeat(BEFORE);
        assert!(from.starts_with(&format!("…{same}1y")) && to.starts_with(&format!("…{same}2y")), "{said}");
        assert_eq!(from.chars().count(), MOST_CHARS + 2);
        assert_eq!(told("short", "text"), "short → text");
    }

    #[test]
    fn what_comes_or_goes_is_cut() {
        assert_eq!(pair(&Value::Null, &json!(3)), (None, Some("3".to_owned())));
        let (from, to) = pair(&json!("x".repeat(500)), &Value::Null);
        assert_eq!((from.unwrap().chars().count(), to), (MOST_CHARS + 1, None));
    }
}

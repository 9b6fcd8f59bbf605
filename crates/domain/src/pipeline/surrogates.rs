//! JSON writes characters beyond the basic plane as two escapes, `\ud83d\ude00`; YAML does not know them.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// The same text without such pairs, if it is JSON; any other text as it is.
pub(super) fn resolve(text: &str) -> Cow<'_, str> {
    let is_json = || text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    if !text.contains("\\u") || !is_json() {
        return Cow::Borrowed(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        resolved.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(character) = pair(rest) {
            resolved.push(character);
            rest = &rest[12..];
        } else {
            // What is escaped is ASCII: the text is JSON.
            resolved.push_str(&rest[..2]);
            rest = &rest[2..];
        }
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

/// The character of the two escapes at the start of a text.
fn pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    char::decode_utf16([unit(0)?, unit(6)?]).next()?.ok().filter(|character| u32::from(*character) > 0xFFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_resolved_in_json_only() {
        assert_eq!(
            resolve(r#"{"a": "\ud83d\ude00 \\ud83d\\ude00 \u00e9\n"}"#),
            r#"{"a": "😀 \\ud83d\\ude00 \u00e9\n"}"#
        );
        assert_eq!(resolve(r"a: '\ud83d\ude00'"), r"a: '\ud83d\ude00'");
    }

    proptest! {
        #[test]
        fn json_keeps_its_meaning(key in "\\PC{0,8}", value in "(\\\\|\"|u|d83d|😀|é|\n){0,12}") {
            let escaped: String = serde_json::to_string(&serde_json::json!({ key: value })).unwrap().chars()
                .flat_map(|c| if c.is_ascii() { vec![c.to_string()] } else {
                    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                })
                .collect();
            let before: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            let after: serde_json::Value = serde_json::from_str(&resolve(&escaped)).unwrap();
            prop_assert_eq!(before, after);
        }
    }
}

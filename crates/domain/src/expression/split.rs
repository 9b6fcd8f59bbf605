//! Where the expressions of a text begin and end.

use super::ExpressionError;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text that is kept, with `$${` already turned into `${`.
    Literal(String),
    /// What stands between `${` and `}`, and the byte at which it begins.
    Expression { source: &'a str, start: usize },
}

/// Splits a text into literals and expressions.
///
/// A `}` ends an expression only where CEL would not read it as part of a string or of a map.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let opening = at + found;
        if text[..opening].ends_with('$') && opening > at {
            literal.push_str(&text[at..opening]);
            literal.push('{');
            at = opening + 2;
            continue;
        }
        literal.push_str(&text[at..opening]);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        let start = opening + 2;
        let length = closing_brace(&text[start..]).ok_or_else(|| {
            ExpressionError::new(text, opening, "`${` has no closing `}`; write `$${` for a literal `${`")
        })?;
        pieces.push(Piece::Expression { source: &text[start..start + length], start });
        at = start + length + 1;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The byte of the `}` that ends the expression at the start of `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'{' => depth += 1,
            b'\'' | b'"' => {
                at = end_of_string(bytes, at)?;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|b| *b == b'\n')?;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The byte after the CEL string whose opening quote is at `open`: plain, raw (`r''`) or tripled.
fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let tripled = bytes[open..].starts_with(&[quote; 3]);
    let closing: &[u8] = if tripled { &[quote; 3] } else { &[quote; 1] };
    let raw = is_raw(bytes, open);
    let mut at = open + closing.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' && !raw {
            at += 2;
        } else if bytes[at..].starts_with(closing) {
            return Some(at + closing.len());
        } else {
            at += 1;
        }
    }
    None
}

/// Whether the quote at `open` has a prefix of its own (`r`, `br`, `rb`) that makes the string raw.
fn is_raw(bytes: &[u8], open: usize) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = bytes[..open].iter().rev().take_while(|byte| name(byte)).count();
    matches!(bytes[open - length..open].to_ascii_lowercase().as_slice(), b"r" | b"br" | b"rb")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sources(text: &str) -> Vec<&str> {
        let expression = |piece| match piece {
            Piece::Expression { source, .. } => Some(source),
            Piece::Literal(_) => None,
        };
        split(text).unwrap().into_iter().filter_map(expression).collect()
    }

    #[test]
    fn a_brace_in_a_string_or_a_map_does_not_end_an_expression() {
        assert_eq!(sources(r#"a ${ "}" + '}' } b"#), [r#" "}" + '}' "#]);
        assert_eq!(sources(r#"${ {"a": 1}["a"] }${x}"#), [r#" {"a": 1}["a"] "#, "x"]);
        assert_eq!(sources(r#"${ "\"}" }"#), [r#" "\"}" "#]);
        assert_eq!(sources(r#"${ r"\" }"#), [r#" r"\" "#]);
        assert_eq!(sources("${ '''it's }''' }"), [" '''it's }''' "]);
        assert_eq!(sources("${ 1 // }\n }"), [" 1 // }\n "]);
    }

    #[test]
    fn a_doubled_dollar_is_a_literal() {
        assert_eq!(split("a $${b} c").unwrap(), [Piece::Literal("a ${b} c".to_owned())]);
        assert_eq!(split("$5 {} $").unwrap(), [Piece::Literal("$5 {} $".to_owned())]);
        assert_eq!(split("").unwrap(), []);
    }

    #[test]
    fn an_unclosed_expression_is_refused_at_its_dollar() {
        let error = split("é ${ '}' ").unwrap_err();
        assert_eq!(
            (error.offset, error.message.as_str()),
            (2, "`${` has no closing `}`; write `$${` for a literal `${`")
        );
    }

    proptest! {
        #[test]
        fn splitting_never_panics(text in "[a$'\"{}\\\\r/\né ]{0,60}") {
            let _ = split(&text);
        }

        #[test]
        fn text_without_a_dollar_is_one_literal(text in "[^$]{1,60}") {
            prop_assert_eq!(split(&text).unwrap(), vec![Piece::Literal(text.clone())]);
        }
    }
}

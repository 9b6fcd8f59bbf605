//! Shell-style patterns: `*` stands for any run of characters (also `/`), `?` for one.

/// Whether the whole of `text` matches `pattern`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_crosses_slashes_and_digests() {
        assert!(matches("*/shop/web:1.1.0*", "reg.local:5000/shop/web:1.1.0@sha256:abc"));
        assert!(matches("*@sha256:ab*", "reg/shop/web@sha256:abc"));
        assert!(matches("web", "web"));
        assert!(!matches("web", "web2"));
        assert!(!matches("*/web:1.?", "reg/web:1.10"));
    }
}

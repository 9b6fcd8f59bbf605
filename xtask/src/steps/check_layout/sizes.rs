//! No file of over 600 lines. (Functions: `clippy::too_many_lines`.)

use crate::sources;

const MOST: usize = 600;

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for path in sources::rust_files()? {
        let lines = sources::read(&path)?.lines().count();
        if lines > MOST {
            breaches.push(format!("{}: {lines} lines; split it, {MOST} is the most", path.display()));
        }
    }
    Ok(breaches)
}

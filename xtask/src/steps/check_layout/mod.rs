//! The rules of the code that no compiler checks: sizes, names, which way dependencies point, errors that are explained.

mod arrows;
mod errors;
mod names;
mod sizes;
mod waits;

use anyhow::bail;

use crate::print;

/// Checks all of them and reports every breach.
///
/// # Errors
/// A rule is broken, or a file cannot be read.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut breaches = sizes::check()?;
    breaches.extend(waits::check()?);
    breaches.extend(names::check()?);
    breaches.extend(arrows::check()?);
    breaches.extend(errors::check()?);
    for breach in &breaches {
        print::line(breach);
    }
    match breaches.len() {
        0 => Ok(()),
        n => bail!(
            "{n} rules of the layout are broken; ARCHITECTURE.md and CONTRIBUTING.md say why they are there"
        ),
    }
}

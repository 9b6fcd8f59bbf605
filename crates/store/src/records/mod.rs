//! How each type of `domain` is stored: one small file each.

use pilothouse_domain::ids::ReleaseId;

pub mod timeline;

/// The partition that holds everything of a release.
#[must_use]
pub fn release_partition(release: &ReleaseId) -> String {
    format!("RELEASE#{release}")
}

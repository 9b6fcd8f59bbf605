//! Smart templates: from a few answers and the manifests of a service to its pipelines (V6-V8, V11-V13).
//!
//! Pure: text in, text out. The main pipeline is written with `enabled: false`, as it is to be reviewed first; the rollback pipelines, one
//! for each environment, are enabled (V11). What was left out, or has to be there before, is said in notes.

mod blue_green;
mod canary;
mod inputs;
mod main_file;
mod manifest;
mod rolling_upgrade;
mod write;

use pilothouse_domain::problem::Problems;

pub use inputs::{Place, TemplateInputs};

use inputs::Checked;

/// The templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// Dev at once; prod in two phases: one pod of the new version beside the old ones, then all.
    RollingUpgrade,
    /// Dev and prod with each version beside the one before; prod's gets the traffic once it is verified.
    BlueGreen,
    /// Dev at once; prod with a small share of the traffic first.
    Canary,
}

/// A pipeline file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// `web-dev-rollback.yaml`
    pub name: String,
    /// The pipeline, with comments.
    pub text: String,
}

/// What a template makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The pipelines, in the order in which they are to be applied: the rollback pipelines before the one that names them.
    pub files: Vec<GeneratedFile>,
    /// What people have to know: what was left out, and what must be there before.
    pub notes: Vec<String>,
}

impl Template {
    /// Makes the pipelines.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs; the path of each problem is the option's name: `manifest`, `clusters`.
    pub fn generate(self, inputs: &TemplateInputs) -> Result<Generated, Problems> {
        let checked = Checked::of(inputs)?;
        let files = match self {
            Self::RollingUpgrade => rolling_upgrade::files(&checked),
            Self::BlueGreen => blue_green::files(&checked),
            Self::Canary => canary::files(&checked),
        };
        Ok(Generated { files, notes: checked.notes() })
    }
}

#[cfg(test)]
mod tests;

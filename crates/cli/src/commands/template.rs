//! `pilothouse template`: the pipelines of a service, made from its manifests (V6-V8).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pilothouse_operations::templates::{Generated, Place, Template, TemplateInputs};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::print;

/// The templates.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// Dev at once; prod in two phases: one pod of the new version first, then all.
    RollingUpgrade(TemplateArgs),
    /// Each version beside the one before it, and all traffic at once when it is verified.
    BlueGreen(TemplateArgs),
    /// Dev at once; prod with a fifth of the traffic first, and all of it when that is verified.
    Canary(TemplateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TemplateArgs {
    /// The objects of the service: its Deployment, its Service, and what they need.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The Service that is released, of those in the manifest.
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Where it is tried and where it is used: two environments, each ENVIRONMENT (in the cluster account `default`, in the
    /// namespace of its name), ENVIRONMENT=CLUSTER (as `cluster ls` names it) or ENVIRONMENT=CLUSTER/NAMESPACE.
    #[arg(long, value_name = "DEV,PROD", value_delimiter = ',', default_value = "dev,prod")]
    clusters: Vec<Place>,
    /// What answers 2xx when the service is well; `{environment}` and `{namespace}` are filled in.
    #[arg(long, value_name = "URL")]
    health_url: Option<String>,
    /// The repository whose image is released, when the Deployment runs several.
    #[arg(long, value_name = "REPOSITORY")]
    image: Option<String>,
    /// The application.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// The main pipeline's name; the Service's when absent.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Take a failed deployment back by itself, by a rollback pipeline for each environment.
    #[arg(long)]
    rollback: bool,
    /// The folder that the files are written to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
}

/// Makes the files, and says how to go on.
///
/// # Errors
/// The manifest cannot be read, the answers do not go together, or a file is there already.
pub(crate) fn run(output: Output, command: TemplateCommand) -> Result<(), Failure> {
    let (template, args) = match command {
        TemplateCommand::RollingUpgrade(args) => (Template::RollingUpgrade, args),
        TemplateCommand::BlueGreen(args) => (Template::BlueGreen, args),
        TemplateCommand::Canary(args) => (Template::Canary, args),
    };
    let manifest = std::fs::read_to_string(&args.manifest)
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", args.manifest.display())))?;
    let inputs = TemplateInputs {
        manifest,
        service: args.service,
        application: args.application,
        name: args.name,
        image: args.image,
        places: args.clusters,
        health_url: args.health_url,
        rollback: args.rollback,
    };
    let made = template.generate(&inputs).map_err(|problems| Failure::invalid(problems.0))?;
    let paths = write(&made, &args.out, args.force)?;
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    output.answer(&json!({ "files": shown, "notes": made.notes }), || {
        let apply = shown.iter().map(|path| format!("  pilothouse pipeline apply -f {path}"));
        let apply: Vec<String> = apply.collect();
        format!("made {}\n\nreview them, then\n{}", shown.join(", "), apply.join("\n"))
    });
    made.notes.iter().for_each(|note| print::note(&format!("note: {note}")));
    Ok(())
}

/// Writes the files, or none if one of them is there.
fn write(made: &Generated, folder: &std::path::Path, force: bool) -> Result<Vec<PathBuf>, Failure> {
    let paths: Vec<PathBuf> = made.files.iter().map(|file| folder.join(&file.name)).collect();
    if let Some(there) = paths.iter().find(|path| !force && path.exists()) {
        let message =
            format!("{} is there already; choose another folder with --out, or say --force", there.display());
        return Err(Failure::new(Kind::Conflict, message));
    }
    let cannot = |what: &std::path::Path, e: std::io::Error| {
        Failure::usage(format!("cannot write {}: {e}", what.display()))
    };
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, e))?;
    for (path, file) in paths.iter().zip(&made.files) {
        std::fs::write(path, &file.text).map_err(|e| cannot(path, e))?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over_unless_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| pilothouse_operations::templates::GeneratedFile {
            name: name.to_owned(),
            text: "new".to_owned(),
        };
        let made = Generated { files: vec![file("a.yaml"), file("b.yaml")], notes: Vec::new() };
        std::fs::write(folder.path().join("b.yaml"), "old").unwrap();
        let refused = write(&made, folder.path(), false).unwrap_err();
        assert!(refused.text().contains("b.yaml is there already"), "{}", refused.text());
        assert!(!folder.path().join("a.yaml").exists(), "none of them");
        assert_eq!(write(&made, folder.path(), true).unwrap().len(), 2);
        assert_eq!(std::fs::read_to_string(folder.path().join("b.yaml")).unwrap(), "new");
    }
}

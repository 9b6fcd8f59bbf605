//! `pilothouse release verify` and `export`: the record of a release, proved whole and taken along (X10).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use owo_colors::OwoColorize;
use pilothouse_domain::proof::{Head, Proof, verify as verify_document};
use serde_json::Value;

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The release: its id, a part of it, or `latest`.
    #[arg(default_value = "latest", conflicts_with = "file")]
    release: String,
    /// Verify an exported document instead, without the API.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// An event's number and hash that were noted elsewhere, as notifications carry them: shows a tail that was cut off.
    #[arg(long, value_name = "SEQ:HASH")]
    noted: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The release: its id, a part of it, or `latest`.
    #[arg(default_value = "latest")]
    release: String,
    /// Write it to this file; to standard output when absent.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Verifies here, not in the API: who doubts the record need not believe the server. The exit code is 1 when it is broken.
pub(crate) async fn verify(session: &Session, args: VerifyArgs) -> Result<ExitCode, Failure> {
    let noted = args.noted.as_deref().map(str::parse::<Head>).transpose();
    let noted = noted.map_err(|error| Failure::usage(error.to_string()))?;
    let document = match &args.file {
        Some(path) => read(path)?,
        None => fetch(session, &args.release).await?,
    };
    let proof = verify_document(&document, noted.as_ref())
        .map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
    session.output.answer(&serde_json::to_value(&proof).unwrap_or_default(), || told(&proof));
    Ok(if proof.whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

pub(crate) async fn export(session: &Session, args: ExportArgs) -> Result<(), Failure> {
    let document = fetch(session, &args.release).await?;
    let text = format!("{document:#}\n");
    let Some(path) = args.output else {
        print::line(&text);
        return Ok(());
    };
    std::fs::write(&path, text).map_err(|error| on_file("write", &path, &error))?;
    let events = document["events"].as_array().map_or(0, Vec::len);
    session.output.answer(&serde_json::json!({ "file": path, "events": events }), || {
        format!("wrote {} with {events} events", path.display())
    });
    Ok(())
}

async fn fetch(session: &Session, release: &str) -> Result<Value, Failure> {
    let id = session.client.find_release(release).await?;
    let request = Request::get(&["v1", "releases", id.as_str(), "export"]);
    let reply: Reply<Value> = session.client.send(request).await?;
    Ok(reply.json)
}

fn read(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| on_file("read", path, &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Kind::Invalid, format!("{} is not JSON: {error}", path.display())))
}

fn on_file(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("cannot {what} {}: {error}", path.display()))
}

fn told(proof: &Proof) -> String {
    let release = proof.release.as_ref().map_or("the release", |id| id.as_str());
    let mut lines = vec![match proof.whole {
        true => format!("{} the record of {release} is whole: {} events", "✓".green(), proof.events),
        false => format!("{} the record of {release} is broken: {} events", "✗".red(), proof.events),
    }];
    lines.extend(proof.findings.iter().map(|finding| format!("  {finding}")));
    if let Some(head) = &proof.head {
        lines.push(format!("{} {}:{}", "head".dimmed(), head.seq, head.hash));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use pilothouse_domain::ids::ReleaseId;

    use super::*;

    fn proof(findings: &[&str]) -> Proof {
        Proof {
            release: Some(ReleaseId::new(ulid::Ulid::from_parts(1, 1))),
            events: 2,
            head: Some(Head { seq: 2, hash: "ab".repeat(32) }),
            whole: findings.is_empty(),
            first_break: None,
            findings: findings.iter().map(|&finding| finding.to_owned()).collect(),
        }
    }

    #[test]
    fn a_proof_says_how_much_was_proved_and_what_to_note() {
        let texts = [told(&proof(&[])), told(&proof(&["event 2 was changed"]))].join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&texts), @r"
        ✓ the record of rel_00000000010000000000000001 is whole: 2 events
        head 2:abababababababababababababababababababababababababababababababab
        ✗ the record of rel_00000000010000000000000001 is broken: 2 events
          event 2 was changed
        head 2:abababababababababababababababababababababababababababababababab
        ");
    }

    #[test]
    fn a_file_that_is_not_there_or_no_json_is_named() {
        let missing = read(Path::new("/nowhere/export.json")).unwrap_err();
        assert!(missing.text().contains("cannot read /nowhere/export.json"), "{}", missing.text());
        let manifest = read(Path::new("Cargo.toml")).unwrap_err();
        assert!(manifest.text().contains("Cargo.toml is not JSON"), "{}", manifest.text());
    }
}

//! `pilothouse gates`.

use clap::Args;
use jiff::Timestamp;
use pilothouse_domain::gate::GateSide;
use pilothouse_serve_api::api::{AttemptView, GateSampleView, List, ReleaseView};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::output::table;
use crate::print;
use crate::view::{ago, measured};

#[derive(Debug, Args)]
pub(crate) struct GatesArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment.
    environment: String,
    /// The attempt; the latest that has a gate when absent.
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u32>,
    /// The gate before the stages or after them; the one that was opened last when absent.
    #[arg(long, value_name = "before|after")]
    side: Option<GateSide>,
    /// At most so many.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Go on where an earlier list ended.
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn run(session: &Session, args: GatesArgs) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    let release = session.client.release(&id).await?.body;
    let (attempt, side) = gate_of(&release, &args)?;
    let (number, side) = (attempt.to_string(), side.to_string());
    let path = [
        "v1",
        "releases",
        id.as_str(),
        "environments",
        &args.environment,
        "attempts",
        &number,
        "gates",
        &side,
        "samples",
    ];
    let request = Request::get(&path).query("limit", Some(args.limit)).query("cursor", args.cursor);
    let reply: Reply<List<GateSampleView>> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().flat_map(|sample| rows(sample, now)).collect();
        let samples =
            table(&["sample", "when", "check", "passed", "value", "found"], rows, "no sample was taken yet");
        format!("attempt {number}, {side} the stages\n{samples}")
    });
    if let Some(next) = reply.body.next.filter(|_| !session.output.json) {
        print::note(&format!("there are more: --cursor {next}"));
    }
    Ok(())
}

/// The attempt and side that are meant.
fn gate_of(release: &ReleaseView, args: &GatesArgs) -> Result<(u32, GateSide), Failure> {
    let environment = release.environments.iter().find(|e| e.name == args.environment);
    let environment = environment.ok_or_else(|| {
        let known: Vec<&str> = release.environments.iter().map(|e| e.name.as_str()).collect();
        let (name, known) = (&args.environment, known.join(", "));
        Failure::new(Kind::NotFound, format!("the release has no environment `{name}`; it has {known}"))
    })?;
    let fits = |attempt: &&AttemptView| {
        args.attempt.is_none_or(|number| number == attempt.number) && !attempt.gates.is_empty()
    };
    let found = environment.attempts.iter().rev().find(fits).and_then(|attempt| {
        let mut gates = attempt.gates.iter().rev();
        let gate = gates.find(|gate| args.side.is_none_or(|side| side == gate.side))?;
        Some((attempt.number, gate.side))
    });
    found.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("no such gate was opened in `{}`", args.environment))
    })
}

/// One row for each check; the sample is told in the first.
fn rows(sample: &GateSampleView, now: Timestamp) -> Vec<Vec<String>> {
    let first = |index: usize, text: String| if index == 0 { text } else { String::new() };
    let checks = sample.checks.iter().enumerate();
    checks
        .map(|(index, check)| {
            vec![
                first(index, sample.sample.to_string()),
                first(index, ago(now, sample.taken_at)),
                check.name.clone(),
                if check.passed { "yes" } else { "no" }.to_owned(),
                measured(&check.value),
                check.detail.clone(),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::release;

    #[test]
    fn a_gate_that_there_is_not_does_not_exist() {
        let of = |environment: &str| {
            let args = GatesArgs {
                release: "latest".to_owned(),
                environment: environment.to_owned(),
                attempt: None,
                side: None,
                limit: 20,
                cursor: None,
            };
            gate_of(&release(&[("prod", Vec::new())]), &args).unwrap_err()
        };
        let unknown = of("nope");
        assert_eq!(unknown.kind, Kind::NotFound);
        assert!(unknown.text().contains("it has prod"), "{}", unknown.text());
        assert_eq!(of("prod").kind, Kind::NotFound);
    }
}

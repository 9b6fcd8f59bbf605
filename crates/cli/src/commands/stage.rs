//! `pilothouse stage`: what runs for a stage, while it runs and afterwards (H9-H12).

use std::time::Duration;

use clap::Subcommand;
use pilothouse_serve_api::api::{AttemptView, ReleaseView, StageView, StageWorkloads};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::print;
use crate::view::{log_lines, output_line, proof, workloads};

/// Between two looks: each asks the cluster.
const REFRESH: Duration = Duration::from_secs(3);

/// What can be done with stages.
#[derive(Debug, Subcommand)]
pub(crate) enum StageCommand {
    /// Show the workloads, instances and events of a stage: as they are while it runs, as they were when it ended.
    Show {
        /// The release: its id, a part of it, or `latest`.
        release: String,
        /// The environment.
        environment: String,
        /// The stage.
        stage: String,
        /// The attempt; the latest when absent.
        #[arg(long, value_name = "NUMBER")]
        attempt: Option<u32>,
        /// Show it again every three seconds until the stage ends.
        #[arg(long)]
        watch: bool,
    },
}

pub(crate) async fn run(session: &Session, command: StageCommand) -> Result<(), Failure> {
    let StageCommand::Show { release, environment, stage, attempt, watch } = command;
    let id = session.client.find_release(&release).await?;
    loop {
        let view = session.client.release(&id).await?.body;
        let (number, of) = stage_of(&view, &environment, attempt, &stage)?;
        let number_text = number.to_string();
        let path =
            ["v1", "releases", id.as_str(), "environments", &environment, "attempts", &number_text, "stages"];
        let path = [path.as_slice(), &[stage.as_str(), "workloads"]].concat();
        let reply: Reply<StageWorkloads> = session.client.send(Request::get(&path)).await?;
        let seen = &reply.body;
        if watch && session.output.json {
            print::line(&reply.json.to_string());
        } else {
            session.output.answer(&reply.json, || {
                let heading =
                    format!("{environment} #{number} · {stage} ({}): {}", of.stage_type, standing(of));
                let proofs =
                    of.evidence.iter().flat_map(|e| proof(e).into_iter().chain(log_lines(e, usize::MAX)));
                let lines: Vec<String> =
                    std::iter::once(heading).chain(output_line(of)).chain(proofs).collect();
                format!("{}\n{}", lines.join("\n"), workloads(seen, session.now()))
            });
        }
        if !watch || !seen.live {
            return Ok(());
        }
        if !session.output.json {
            print::line("");
        }
        tokio::time::sleep(REFRESH).await;
    }
}

/// How a stage stands, and why.
fn standing(stage: &StageView) -> String {
    let status = format!("{:?}", stage.status).to_lowercase();
    match stage.reason.as_ref().or(stage.progress.as_ref()) {
        Some(why) => format!("{status}: {why}"),
        None => status,
    }
}

/// The stage that is meant, and the attempt it belongs to.
fn stage_of<'a>(
    release: &'a ReleaseView,
    environment: &str,
    attempt: Option<u32>,
    stage: &str,
) -> Result<(u32, &'a StageView), Failure> {
    let missing = |what: String| Failure::new(Kind::NotFound, what);
    let found = release.environments.iter().find(|e| e.name == environment).ok_or_else(|| {
        let known: Vec<&str> = release.environments.iter().map(|e| e.name.as_str()).collect();
        missing(format!("the release has no environment `{environment}`; it has {}", known.join(", ")))
    })?;
    let fits = |a: &&AttemptView| attempt.is_none_or(|number| number == a.number);
    let has = |a: &&AttemptView| a.stages.iter().any(|s| s.name == stage);
    let mut attempts = found.attempts.iter().rev().filter(fits);
    // The latest that has the stage: a rollback has stages of its own.
    let Some(attempt) = attempts.clone().find(has) else {
        let known =
            attempts.next().map(|a| a.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", "));
        let hint =
            known.map_or_else(|| "nothing was deployed there".to_owned(), |names| format!("it has {names}"));
        return Err(missing(format!("no such stage `{stage}` in `{environment}`; {hint}")));
    };
    let stage = attempt.stages.iter().find(|s| s.name == stage);
    stage.map(|stage| (attempt.number, stage)).ok_or_else(|| missing("no such stage".to_owned()))
}

//! `pilothouse demo`: a release from push to rollback, played through the public interfaces: HTTP in, kube out.

mod installation;
mod proof;
mod story;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use self::installation::Installation;
use crate::print;
use crate::view::timeline;

/// The pipeline of the demo: the commented example.
const PIPELINE: &str = include_str!("../../../../examples/web.yaml");
/// The version that works.
const GOOD: &str = "1.0.0";
/// The version that crashes in prod.
const BAD: &str = "1.1.0";

/// Options of `pilothouse demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many times faster than real the simulated cluster and the pauses are.
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    speed: f64,
}

/// A factor of time, as options take it.
pub(crate) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("give a number from 0.1 to 1000".to_owned()),
    }
}

/// Plays the demo: exit code 0 only if the cluster, read back at the end, is as it must be.
///
/// # Errors
/// The system does not start, or a request of the story is refused.
pub(crate) async fn run(args: DemoArgs, json: bool) -> anyhow::Result<ExitCode> {
    let installation = Installation::start(args.speed, json).await?;
    installation.say(&format!(
        "Everything runs in this process: API {}, simulated cluster {}.\n",
        installation.api, installation.cluster
    ));
    installation.prepare().await?;

    installation.say(&format!("▶ A registry says that shop/web:{GOOD} was pushed."));
    let good = installation.push_and_follow(GOOD).await?;
    installation.say(&format!("\n▶ shop/web:{BAD} is pushed. It is healthy in dev, and crashes in prod."));
    let bad = installation.push_and_follow(BAD).await?;

    let findings = installation.read_back(&good, &bad).await?;
    let passed = findings.iter().all(|f| f.holds);
    if json {
        let summary = json!({
            "summary": { "passed": passed, "speed": args.speed, "releases": [good.id, bad.id], "findings": findings },
        });
        print::line(&summary.to_string());
    } else {
        for (release, tag) in [(&good, GOOD), (&bad, BAD)] {
            print::line(&format!("\nTimeline of {} (shop/web:{tag})", release.id));
            print::line(&timeline(&installation.client.timeline(&release.id).await?));
        }
        print::line("\nRead back from the cluster");
        for finding in &findings {
            print::line(&format!("  {} {}", if finding.holds { "✓" } else { "✗" }, finding.text));
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

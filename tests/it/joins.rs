//! Joins, branches, failures, cancels, and the courses through approvals and gates: each a pipeline file in `joins/` that says at
//! its head what is done to it and how it ends. 01 to 19 are the behaviours that the suite of Spinnaker's queue names (orca,
//! `QueueIntegrationTest`).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{Answer, World, attempt, attempts, pending};

/// What is done to the release, in order.
#[derive(Debug)]
pub(crate) struct Step {
    /// The stage that is waited for, and its status; none: the release at rest. `attempt`: its operation
    /// status; `control`: its control.
    pub(crate) when: Option<(String, String)>,
    pub(crate) act: String,
}

/// What a pipeline file says at its head.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// How many seconds it may take from its creation to its end.
    within: Option<i64>,
    /// How many seconds it takes at least.
    not_within: i64,
    /// For each attempt its pair, and how its stages end.
    attempts: Vec<(String, Ends)>,
    /// What the release that a stage of the last attempt started came to.
    children: Vec<(String, String)>,
    /// Steps whose calls are always lost, as `run-stage:begin`.
    pub(crate) lost: Vec<String>,
}

/// For each stage its status, and what its reason contains.
type Ends = BTreeMap<String, (String, String)>;

impl Script {
    pub(crate) fn read(file: &str) -> Self {
        let mut script = Self::default();
        let head = file.lines().map_while(|line| line.strip_prefix('#'));
        for line in head {
            let line = line.strip_prefix(' ').unwrap_or(line);
            if let Some((when, act)) = line.strip_prefix("when ").and_then(|l| l.split_once(": ")) {
                let (stage, status) = when.rsplit_once(' ').unwrap();
                script
                    .steps
                    .push(Step { when: Some((stage.to_owned(), status.to_owned())), act: act.to_owned() });
            } else if let Some(act) = line.strip_prefix("then: ") {
                script.steps.push(Step { when: None, act: act.to_owned() });
            } else if let Some(step) = line.strip_prefix("lost: ") {
                script.lost.push(step.to_owned());
            } else if let Some(seconds) = line.strip_prefix("within: ") {
                script.within = Some(seconds.trim_end_matches('s').parse().unwrap());
            } else if let Some(seconds) = line.strip_prefix("not within: ") {
                script.not_within = seconds.trim_end_matches('s').parse().unwrap();
            } else if let Some((stage, outcome)) =
                line.strip_prefix("child of ").and_then(|l| l.split_once(": "))
            {
                script.children.push((stage.to_owned(), outcome.to_owned()));
            } else if let Some((_, pair)) = line.strip_prefix("attempt ").and_then(|l| l.split_once(": ")) {
                script.attempts.push((pair.to_owned(), BTreeMap::new()));
            } else if let (Some(stage), Some((_, stages))) =
                (line.strip_prefix("  "), script.attempts.last_mut())
            {
                let (name, end) = stage.split_once(": ").unwrap_or_else(|| panic!("no stage: {line}"));
                let (status, why) = end.split_once(" (").unwrap_or((end, ""));
                let why = why.strip_suffix(')').unwrap_or(why);
                stages.insert(name.to_owned(), (status.to_owned(), why.to_owned()));
            }
        }
        assert!(!script.attempts.is_empty(), "the file says not how it ends");
        script
    }
}

/// The latest attempt.
pub(crate) fn latest(view: &Value) -> Value {
    attempts(view).into_iter().max_by_key(|a| a["number"].as_u64()).unwrap_or_default()
}

fn stage<'a>(attempt: &'a Value, name: &str) -> &'a Value {
    let stages = attempt["stages"].as_array().unwrap();
    stages.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no stage {name}: {attempt:#}"))
}

impl Step {
    /// Whether it is time for it.
    pub(crate) fn is_due(&self, view: &Value) -> bool {
        let latest = latest(view);
        match &self.when {
            None => view["atRest"] == true,
            Some((name, status)) => match name.as_str() {
                "attempt" => latest["operationStatus"] == *status,
                "control" => latest["control"] == *status,
                name => {
                    let stages = latest["stages"].as_array();
                    stages.is_some_and(|all| all.iter().any(|s| s["name"] == name && s["status"] == *status))
                }
            },
        }
    }

    /// The stage that it is about, if it is about one.
    pub(crate) fn stage(&self) -> &str {
        self.when.as_ref().map_or("", |(name, _)| name)
    }
}

async fn play(world: &World, release: &str, step: &Step) {
    world.until(release, &format!("{step:?}"), |view| step.is_due(view)).await;
    let answer = act(world, release, step.stage(), &step.act).await;
    let answer = answer.unwrap_or_else(|| panic!("{step:?}: nothing to decide"));
    assert!(answer.status.is_success(), "{}: {:#}", step.act, answer.body);
}

/// Does what a script says. `None`: there is no approval to decide yet.
pub(crate) async fn act(world: &World, release: &str, stage: &str, act: &str) -> Option<Answer> {
    let environment = format!("/v1/releases/{release}/environments/dev");
    let (path, body) = match act.split_once(' ').unwrap_or((act, "")) {
        ("look", _) => (format!("/v1/releases/{release}"), Value::Null),
        (decision @ ("approve" | "reject"), input) => {
            let view = world.get(&format!("/v1/releases/{release}")).await.body;
            let approval = pending(&view)?;
            let body = if input.is_empty() { json!({}) } else { json!({ "input": input }) };
            (format!("/v1/releases/{release}/approvals/{approval}/{decision}"), body)
        }
        ("skip", _) => (format!("{environment}/stages/{stage}/skip"), json!({})),
        (action, _) => (format!("{environment}/{action}"), json!({})),
    };
    Some(if body.is_null() { world.get(&path).await } else { world.post(&path, &body).await })
}

fn at(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().unwrap())
}

/// No stage began before all those before it, near and far, were at their end.
fn check_order(attempt: &Value) {
    for one in attempt["stages"].as_array().unwrap() {
        let Some(began) = at(&one["startedAt"]) else { continue };
        let mut before: Vec<String> = serde_json::from_value(one["dependsOn"].clone()).unwrap();
        while let Some(name) = before.pop() {
            let other = stage(attempt, &name);
            before.extend(serde_json::from_value::<Vec<String>>(other["dependsOn"].clone()).unwrap());
            let ended = at(&other["endedAt"]).or_else(|| at(&other["startedAt"]));
            assert!(ended.is_none_or(|ended| ended <= began), "{} began before {name} ended", one["name"]);
        }
    }
}

pub(crate) fn check_ends(script: &Script, view: &Value) {
    assert_eq!(attempts(view).len(), script.attempts.len(), "{view:#}");
    for (number, (pair, stages)) in script.attempts.iter().enumerate() {
        let found = attempt(view, "dev", number as u64 + 1);
        let status = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let came_to = format!("{}, {}", status(&found["status"]), status(&found["operationStatus"]));
        assert_eq!(came_to, *pair, "{found:#}");
        let ends: BTreeMap<String, String> = found["stages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (status(&s["name"]), status(&s["status"])))
            .collect();
        let wanted: BTreeMap<String, String> =
            stages.iter().map(|(name, (status, _))| (name.clone(), status.clone())).collect();
        assert_eq!(ends, wanted, "{found:#}");
        for (name, (_, why)) in stages {
            let reason = status(&stage(&found, name)["reason"]);
            assert!(reason.contains(why), "{name}: {reason}");
        }
        check_order(&found);
        let (created, ended) = (at(&found["createdAt"]).unwrap(), at(&found["endedAt"]).unwrap());
        let took = ended.duration_since(created).as_secs();
        assert!(took >= script.not_within, "it took only {took} s");
        assert!(script.within.is_none_or(|within| took <= within), "it took {took} s");
    }
}

/// T26-T31 and A28: every file of `joins/` ends as it says.
#[test]
fn every_pipeline_ends_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/joins");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut failed = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let played = std::panic::catch_unwind(|| {
            // Each has a clock and a process of its own.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.unwrap().block_on(Box::pin(play_file(&text)));
        });
        if played.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "other ends than the files say: {failed:#?}");
    assert!(files.len() >= 19, "only {} files", files.len());
}

async fn play_file(file: &str) {
    let script = Script::read(file);
    let world = World::new().await;
    // The others are there before the one that starts them.
    for pipeline in file.split("\n---\n").collect::<Vec<_>>().into_iter().rev() {
        world.save(pipeline).await;
    }
    let release = world.start("1.0.0").await;
    for step in &script.steps {
        play(&world, &release, step).await;
    }
    let view = world.at_rest(&release).await;
    check_ends(&script, &view);
    for (name, outcome) in &script.children {
        let child = stage(&latest(&view), name)["child"].as_str().unwrap().to_owned();
        assert_eq!(world.at_rest(&child).await["outcome"], *outcome, "what {name} started");
    }
}

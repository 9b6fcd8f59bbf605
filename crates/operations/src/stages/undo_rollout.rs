//! `undo-rollout`: goes back to an earlier revision of a workload, as `kubectl rollout undo` does (N5, T3).

use pilothouse_cluster::{ObjectRef, Revision};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::stop::already;
use super::workload::{self, Kind, Workload};
use super::{StageContext, StageType, Stepped, check, losses};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "undo-rollout";

/// What an `undo-rollout` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The workload: the name of a Deployment, or `{kind, name, namespace}`.
    pub workload: Workload,
    /// The revision to go back to, as `kubectl rollout history` numbers them; the one before the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_revision: Option<Revised>,
}

/// The number of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Revised {
    /// As it is.
    Number(i64),
    /// An expression, or a number as text.
    Text(String),
}

impl Revised {
    fn number(&self) -> Result<i64, String> {
        let (number, shown) = match self {
            Self::Number(number) => (Some(*number), number.to_string()),
            Self::Text(text) => (text.trim().parse().ok(), format!("`{text}`")),
        };
        number
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("{shown} is no revision: write a number from 1"))
    }
}

/// Goes back to an earlier revision.
#[derive(Debug, Clone, Copy)]
pub struct UndoRollout;

impl StageType for UndoRollout {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Brings back the pods of an earlier revision of a workload, and waits until they run.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T3, H10"
    }

    fn undone(&self) -> &'static str {
        "Brings back the revision that was there."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    let able = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
    problems.extend(parsed.workload.problems(&able, |_| "only these keep their earlier revisions"));
    match &parsed.to_revision {
        Some(Revised::Text(text)) if check::has_expression(text) => {}
        Some(revision) => problems.extend(revision.number().err().map(|m| Problem::new("toRevision", m))),
        None => {}
    }
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let object = options.workload.object(stage);
    let live = match workload::live(stage, &object).await? {
        Ok(live) => live,
        Err(refused) => return Ok(refused),
    };
    if live["spec"]["paused"] == true {
        let reason = format!(
            "{object} is paused, and its pods would not be replaced: resume it first (`spec.paused: false`)"
        );
        return Ok(Planned::refused(reason));
    }
    let wanted = match options.to_revision.as_ref().map(Revised::number).transpose() {
        Ok(wanted) => wanted,
        Err(message) => return Ok(workload::refused(message, "toRevision")),
    };
    let revisions = stage.cluster().await?.revisions(&object, &live).await?;
    let (from, to) = match choose(&object, &revisions, wanted) {
        Ok(chosen) => chosen,
        Err(reason) => return Ok(Planned::refused(reason)),
    };
    if from.number == to.number || from.template == to.template {
        return Ok(already(&object, &format!("runs revision {} already", to.number)));
    }
    let mut after = live.clone();
    after["spec"]["template"] = to.template.clone();
    if let Some(reason) = losses::unserved(stage, &stage.cluster().await?, (&live, &after)).await? {
        return Ok(Planned::refused(reason));
    }
    let mut steps: Vec<Step> = losses::before_replacing(stage, &object, &live).into_iter().collect();
    let shown =
        |revision: &Revision| format!("revision {} ({})", revision.number, revision.images.join(", "));
    steps.push(Step::Template {
        object: object.clone(),
        template: to.template.clone(),
        what: format!("{object} from {} to {}", shown(from), shown(to)),
    });
    steps.push(Step::Ready { object: object.clone() });
    let told = |revision: &Revision| json!({ "revision": revision.number, "images": revision.images });
    let output = json!({ "workload": object, "from": told(from), "to": told(to) });
    Ok(Planned::Steps(Plan { steps, output }))
}

/// The present revision, and the one to go back to.
fn choose<'a>(
    object: &ObjectRef,
    revisions: &'a [Revision],
    wanted: Option<i64>,
) -> Result<(&'a Revision, &'a Revision), String> {
    let numbers = || {
        let numbers: Vec<String> = revisions.iter().rev().map(|r| r.number.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
    };
    let to = match wanted {
        Some(number) => revisions.iter().find(|revision| revision.number == number),
        None => revisions.get(1),
    };
    match (revisions.first(), to, wanted) {
        (Some(from), Some(to), _) => Ok((from, to)),
        (_, _, Some(number)) => Err(format!(
            "{object} has no revision {number}; those that are kept are {}: choose one of them",
            numbers()
        )),
        _ => Err(format!(
            "{object} has no earlier revision to go back to (those that are kept: {}): deploy the version that is wanted",
            numbers()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn the_revision_before_the_present_one_or_the_one_that_is_named() {
        let web = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        let revision = |number| Revision { number, template: json!({"n": number}), images: Vec::new() };
        let all = [revision(7), revision(5), revision(2)];
        let of = |wanted| choose(&web, &all, wanted).map(|(from, to)| (from.number, to.number));
        assert_eq!((of(None), of(Some(2))), (Ok((7, 5)), Ok((7, 2))));
        assert_eq!(
            of(Some(3)).unwrap_err(),
            "Deployment dev/web has no revision 3; those that are kept are 2, 5, 7: choose one of them"
        );
        let alone = choose(&web, &all[..1], None).unwrap_err();
        assert!(
            alone.starts_with(
                "Deployment dev/web has no earlier revision to go back to (those that are kept: 7)"
            ),
            "{alone}"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_told_on_save() {
        assert_eq!(problems(&UndoRollout, &json!({"workload": "web", "toRevision": 3})), "");
        assert_eq!(
            problems(&UndoRollout, &json!({"workload": {"kind": "Job", "name": "a"}, "toRevision": 0})),
            "workload.kind: a Job is none of Deployment, StatefulSet, DaemonSet; only these keep their earlier revisions\n\
             toRevision: 0 is no revision: write a number from 1"
        );
    }
}

//! How taking back came out, in words.

use pilothouse_cluster::{Difference, KeptField, RestoreOutcome, Restored};
use serde_json::{Value, json};

use super::super::StageEnd;

/// What was changed back and what was not, by name.
pub(super) fn left_behind(restored: &[Restored]) -> String {
    let (done, not): (Vec<_>, Vec<_>) =
        restored.iter().partition(|r| !matches!(r.outcome, RestoreOutcome::Conflict { .. }));
    let names = |all: &[&Restored]| shorten(&all.iter().map(|r| r.object.to_string()).collect::<Vec<_>>());
    match (done.as_slice(), not.as_slice()) {
        ([], []) => "there was nothing to change back".to_owned(),
        (done, []) => format!("changed back: {}", names(done)),
        ([], not) => format!("not changed back: {}", names(not)),
        (done, not) => format!("changed back: {}; not: {}", names(done), names(not)),
    }
}

/// A rollback that would take a Service's last endpoints goes no further; what was restored before stays.
pub(super) fn refused(reason: &str, restored: &[Restored]) -> StageEnd {
    let done = left_behind(restored);
    let output = json!({ "objects": restored, "notes": [] });
    StageEnd { output, ..StageEnd::failed(format!("{reason}; {done}, and the rest serves on as it is")) }
}

/// How it ended, once everything that was restored runs. What is told besides is in `notes` of the output.
pub(super) fn verdict(restored: &[Restored], differences: &[Difference], missed: &[String]) -> StageEnd {
    let conflicts: Vec<String> = restored.iter().filter(|r| !r.context).filter_map(conflict).collect();
    let taken = restored.iter().flat_map(|r| r.kept.iter().map(move |field| (r, field)));
    let (overruled, left): (Vec<_>, Vec<_>) = taken.partition(|(r, field)| matters(r, field));
    let overruled: Vec<String> = overruled.into_iter().map(|(r, field)| describe_kept(r, field)).collect();
    let notes: Vec<String> = left
        .into_iter()
        .map(|(r, field)| describe_kept(r, field))
        .chain(restored.iter().filter_map(note))
        .chain(missed.iter().map(|missed| format!("the snapshot is without {missed}")))
        .collect();
    let output = json!({ "objects": restored, "notes": notes });
    if conflicts.is_empty() && differences.is_empty() && overruled.is_empty() {
        return StageEnd::succeeded(output);
    }
    // What was left alone differs, and has said why.
    let left_alone = |d: &&Difference| restored.iter().any(|r| r.object == d.object && conflict(r).is_some());
    let others = differences.iter().filter(|d| !left_alone(d)).map(describe);
    let forced = (!overruled.is_empty()).then_some("set it back, or roll back once more with `--force`");
    let all: Vec<String> = conflicts.into_iter().chain(others).chain(overruled).collect();
    let reason = match forced {
        Some(forced) => format!("not everything is as it was: {}; {forced}", shorten(&all)),
        None => format!("not everything is as it was: {}", shorten(&all)),
    };
    let evidence = json!({ "objects": restored, "differences": differences });
    StageEnd { output, ..StageEnd::failed_with(reason, evidence) }
}

/// Whether a field that somebody else holds now stands against the rollback. How many pods there are is an autoscaler's to
/// say, and what never was ours is not ours to take back.
fn matters(restored: &Restored, field: &KeptField) -> bool {
    field.ours && !restored.context && field.path != ".spec.replicas"
}

fn conflict(restored: &Restored) -> Option<String> {
    match &restored.outcome {
        RestoreOutcome::Conflict { reason } => Some(format!("{}: {reason}", restored.object)),
        _ => None,
    }
}

fn note(restored: &Restored) -> Option<String> {
    match &restored.outcome {
        RestoreOutcome::Left { reason } => Some(format!("{}: {reason}", restored.object)),
        RestoreOutcome::Restored if restored.context => Some(format!("{} was put back too", restored.object)),
        _ if restored.context => conflict(restored),
        _ => None,
    }
}

fn describe_kept(restored: &Restored, field: &KeptField) -> String {
    let KeptField { path, manager, want, got, .. } = field;
    let done = match got {
        Some(got) => format!("set it to {}", shown(Some(got))),
        None => "changed it".to_owned(),
    };
    let was = want.as_ref().map(|want| format!(" (it was {})", shown(Some(want)))).unwrap_or_default();
    format!("{} {path}: {manager:?} {done}{was}, and it was left", restored.object)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) => value.to_string().chars().take(80).collect(),
    }
}

fn describe(difference: &Difference) -> String {
    let Difference { object, path, want, got } = difference;
    let place = if path.is_empty() { String::new() } else { format!(" {path}") };
    format!("{object}{place} is {} instead of {}", shown(got.as_ref()), shown(want.as_ref()))
}

/// The most that one sentence lists.
const MOST: usize = 5;

fn shorten(all: &[String]) -> String {
    let shown = all.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_cluster::ObjectRef;
    use pilothouse_domain::stage::StageStatus;

    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef::namespaced("v1", kind, "prod", "web")
    }

    fn restored(kind: &str, outcome: RestoreOutcome, generation: i64) -> Restored {
        Restored { object: object(kind), outcome, generation, kept: Vec::new(), context: false }
    }

    fn difference(kind: &str, path: &str) -> Difference {
        Difference {
            object: object(kind),
            path: path.into(),
            want: Some(json!("hello")),
            got: Some(json!("bye")),
        }
    }

    fn kept(path: &str, manager: &str, ours: bool) -> KeptField {
        KeptField {
            path: path.into(),
            manager: manager.into(),
            ours,
            want: Some(json!("shop/web:1")),
            got: Some(json!("shop/web:hotfix")),
        }
    }

    #[test]
    fn what_an_autoscaler_or_nobody_of_ours_set_is_told_and_no_failure() {
        let kept = vec![kept(".spec.replicas", "hpa", true), kept(".spec.paused", "ann", false)];
        let all = [Restored { kept, ..restored("Deployment", RestoreOutcome::Restored, 3) }];
        let end = verdict(&all, &[], &[]);
        assert_eq!(end.status, StageStatus::Succeeded);
        assert_eq!(end.output["objects"][0]["outcome"], "restored");
        assert_eq!(end.output["objects"][0]["kept"][0]["manager"], "hpa");
        assert_eq!(
            end.output["notes"],
            json!([
                "Deployment prod/web .spec.replicas: \"hpa\" set it to \"shop/web:hotfix\" (it was \"shop/web:1\"), and it was left",
                "Deployment prod/web .spec.paused: \"ann\" set it to \"shop/web:hotfix\" (it was \"shop/web:1\"), and it was left"
            ])
        );
    }

    #[test]
    fn a_field_of_ours_that_somebody_changed_is_a_conflict() {
        let kept = vec![kept(".spec.image", "kubectl-set", true)];
        let all = [Restored { kept, ..restored("Deployment", RestoreOutcome::Restored, 3) }];
        let end = verdict(&all, &[], &[]);
        assert_eq!(
            end.status.reason().unwrap(),
            "not everything is as it was: Deployment prod/web .spec.image: \"kubectl-set\" set it to \"shop/web:hotfix\" \
             (it was \"shop/web:1\"), and it was left; set it back, or roll back once more with `--force`"
        );
    }

    #[test]
    fn what_stood_around_and_was_left_is_told_and_no_failure() {
        let conflict = RestoreOutcome::Conflict { reason: "release rel_9 changed it".into() };
        let around = Restored { context: true, ..restored("ConfigMap", conflict, 0) };
        let left = restored("Job", RestoreOutcome::Left { reason: "it had run to its end".into() }, 0);
        let end = verdict(&[around, left], &[], &["Ingress objects of namespace prod: denied".into()]);
        assert_eq!(end.status, StageStatus::Succeeded);
        assert_eq!(
            end.output["notes"],
            json!([
                "ConfigMap prod/web: release rel_9 changed it",
                "Job prod/web: it had run to its end",
                "the snapshot is without Ingress objects of namespace prod: denied"
            ])
        );
    }

    #[test]
    fn an_undo_that_left_something_alone_or_reads_back_otherwise_fails_and_says_what() {
        let conflict = RestoreOutcome::Conflict { reason: "its values changed since the snapshot".into() };
        let all = [restored("Secret", conflict, 0), restored("ConfigMap", RestoreOutcome::Restored, 0)];
        let differences = [difference("Secret", ""), difference("ConfigMap", ".data.GREETING")];
        let StageStatus::Failed { reason, evidence } = verdict(&all, &differences, &[]).status else {
            panic!("it failed")
        };
        assert_eq!(
            reason,
            "not everything is as it was: Secret prod/web: its values changed since the snapshot; \
             ConfigMap prod/web .data.GREETING is \"bye\" instead of \"hello\""
        );
        assert_eq!(evidence.unwrap()["differences"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<Difference> = (0..8).map(|i| difference("ConfigMap", &format!(".data.k{i}"))).collect();
        let end = verdict(&[restored("ConfigMap", RestoreOutcome::Restored, 0)], &many, &[]);
        assert!(end.status.reason().unwrap().ends_with("; and 3 more"), "{end:?}");
    }
}

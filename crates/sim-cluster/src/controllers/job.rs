//! Jobs: pods that run to their end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Again, Context,
    conditions::{self, Condition},
    events, pods, sooner,
};
use crate::{
    json, kinds,
    store::{Key, Tx},
    write::{DeleteOptions, Propagation},
};

const COMPONENT: &str = "job-controller";

/// The pods of a Job by how they are.
struct Pods {
    active: Vec<Arc<Value>>,
    succeeded: i64,
    failed: i64,
    ready: usize,
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let job = tx.get_key(key)?;
    if json::is_deleting(&job) {
        return None;
    }
    if conditions::is_true(&job, "Complete") || conditions::is_true(&job, "Failed") {
        return expire(tx, context, key, &job);
    }
    let mut status = job["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let (again, verdict) = step(tx, context, &job);
    let pods = look(tx, &job);
    write_counts(&mut status, &pods, &tx.stamp());
    if let Some((kind, reason, message)) = verdict {
        let now = tx.stamp();
        let earlier = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        for kind in [earlier, kind] {
            conditions::set(
                &mut status,
                Condition { kind, status: "True", reason, message: &message },
                &now,
                false,
            );
        }
        if kind == "Complete" {
            json::set(&mut status, "/completionTime", now);
        }
        let event = if kind == "Complete" {
            events::Event::normal("Completed", "Job completed", COMPONENT)
        } else {
            events::Event::warning(reason, message, COMPONENT)
        };
        events::record(tx, &job, event);
    }
    set_suspended(&mut status, &job, &tx.stamp());
    pods::write_status(tx, &job, status);
    again
}

/// Condition, reason and message of a Job's end.
type Verdict = (&'static str, &'static str, String);

fn look(tx: &Tx<'_>, job: &Value) -> Pods {
    let all = tx.controlled("pods", json::uid(job));
    let phase = |p: &Arc<Value>| json::text(p, "/status/phase").to_owned();
    let count = |wanted: &str| i64::try_from(all.iter().filter(|p| phase(p) == wanted).count()).unwrap_or(0);
    let active: Vec<_> = all.iter().filter(|p| pods::is_active(p)).cloned().collect();
    let ready = active.iter().filter(|p| pods::is_ready(p)).count();
    Pods { succeeded: count("Succeeded"), failed: count("Failed"), ready, active }
}

/// Creates or deletes pods; says whether the Job has come to its end.
fn step(tx: &mut Tx<'_>, context: &mut Context, job: &Value) -> (Again, Option<Verdict>) {
    let pods = look(tx, job);
    if json::flag(job, "/spec/suspend") {
        stop(tx, job, &pods);
        return (None, None);
    }
    let since = context.since(json::uid(job), "job", "active");
    let deadline = json::int(job, "/spec/activeDeadlineSeconds");
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let again = deadline.map(|d| context.later(since, d as f64));
    if again.is_some_and(|at| at <= context.now) {
        stop(tx, job, &pods);
        return (
            None,
            Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline".to_owned())),
        );
    }
    if let Some(message) = ruled_out(tx, job) {
        stop(tx, job, &pods);
        return (None, Some(("Failed", "PodFailurePolicy", message)));
    }
    let restarts: i64 = pods
        .active
        .iter()
        .flat_map(|p| json::items(p, "/status/containerStatuses"))
        .map(|c| json::count(c, "/restartCount"))
        .sum();
    if pods.failed + restarts > json::count(job, "/spec/backoffLimit") {
        stop(tx, job, &pods);
        return (
            None,
            Some((
                "Failed",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit".to_owned(),
            )),
        );
    }
    // Without completions one success is enough.
    let completions = json::int(job, "/spec/completions").unwrap_or(1);
    if pods.succeeded >= completions {
        stop(tx, job, &pods);
        return (
            None,
            Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods".to_owned())),
        );
    }
    let active = i64::try_from(pods.active.len()).unwrap_or(0);
    let wanted = json::count(job, "/spec/parallelism").min(completions - pods.succeeded);
    let (again, may_create) = match back_off(context, job, pods.failed) {
        Some(at) if at > context.now => (sooner(again, Some(at)), false),
        _ => (again, true),
    };
    if !may_create {
        return (again, None);
    }
    let pod = || pods::from_template(job, &format!("{}-", json::name(job)));
    let failed = (active..wanted).any(|_| pods::create(tx, job, pod(), COMPONENT).is_err());
    (sooner(again, pods::retry(context, job, failed)), None)
}

/// Why the Job's policy for failed pods ends it, if it does.
fn ruled_out(tx: &Tx<'_>, job: &Value) -> Option<String> {
    let all = tx.controlled("pods", json::uid(job));
    let rules = json::items(job, "/spec/podFailurePolicy/rules");
    all.iter().filter(|p| json::text(p, "/status/phase") == "Failed").find_map(|pod| {
        let (index, container) =
            rules.iter().enumerate().find_map(|(i, rule)| Some((i, matched(rule, pod)?)))?;
        (json::text(&rules[index], "/action") == "FailJob").then(|| {
            format!(
                "Container {} for pod {}/{} failed with exit code {} matching FailJob rule at index {index}",
                json::text(container, "/name"),
                json::namespace(pod),
                json::name(pod),
                json::count(container, "/state/terminated/exitCode")
            )
        })
    })
}

/// The container whose exit code a rule is about.
fn matched<'a>(rule: &Value, pod: &'a Value) -> Option<&'a Value> {
    let codes = rule.get("onExitCodes")?;
    let (name, listed) = (json::text(codes, "/containerName"), json::items(codes, "/values"));
    json::items(pod, "/status/containerStatuses").iter().find(|c| {
        let code = json::count(c, "/state/terminated/exitCode");
        let is_in = listed.iter().any(|v| v.as_i64() == Some(code));
        code != 0
            && (name.is_empty() || name == json::text(c, "/name"))
            && is_in == (json::text(codes, "/operator") == "In")
    })
}

/// After a failed pod the next waits 10 s, 20 s, 40 s, ...
fn back_off(context: &mut Context, job: &Value, failed: i64) -> Again {
    if failed == 0 {
        return None;
    }
    let since = context.since(json::uid(job), "failed", &failed.to_string());
    let doublings = u32::try_from(failed - 1).unwrap_or(0).min(6);
    Some(context.later(since, f64::from(10u32 << doublings).min(360.0)))
}

fn stop(tx: &mut Tx<'_>, job: &Value, pods: &Pods) {
    for pod in &pods.active {
        pods::delete(tx, job, pod, COMPONENT);
    }
}

fn write_counts(status: &mut Value, pods: &Pods, now: &str) {
    json::set_default(status, "/startTime", now);
    let active = i64::try_from(pods.active.len()).unwrap_or(0);
    let ready = i64::try_from(pods.ready).unwrap_or(0);
    for (field, value) in [("active", active), ("succeeded", pods.succeeded), ("failed", pods.failed)] {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            json::set(status, &format!("/{field}"), value);
        } else {
            json::remove(status, &format!("/{field}"));
        }
    }
    json::set(status, "/ready", ready);
    json::set(status, "/terminating", 0);
    json::set_default(status, "/uncountedTerminatedPods", json!({}));
}

fn set_suspended(status: &mut Value, job: &Value, now: &str) {
    let suspended = json::flag(job, "/spec/suspend");
    if suspended {
        json::remove(status, "/startTime");
        let condition =
            Condition { kind: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" };
        conditions::set(status, condition, now, false);
    } else if conditions::is_true(job, "Suspended") {
        let condition =
            Condition { kind: "Suspended", status: "False", reason: "JobResumed", message: "Job resumed" };
        conditions::set(status, condition, now, false);
    }
}

/// Deletes a finished Job when its time to live is over.
fn expire(tx: &mut Tx<'_>, context: &mut Context, key: &Key, job: &Value) -> Again {
    let seconds = json::int(job, "/spec/ttlSecondsAfterFinished")?;
    let since = context.since(json::uid(job), "finished", "");
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let at = context.later(since, seconds as f64);
    if at > context.now {
        return Some(at);
    }
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    // It can only be gone already.
    let _ = tx.delete(kinds::of(key.resource), &key.ns, &key.name, &options);
    None
}

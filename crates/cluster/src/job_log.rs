//! What a Job wrote.

use pilothouse_domain::log_text;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::text;
use crate::object::{self, ObjectRef};
use crate::selector;
use crate::transport::Call;

/// The most bytes that are kept.
const BYTES: usize = 16 * 1024;
/// The most bytes that are read: the kubelet counts them from the first of the last lines on.
const READ: &str = "262144";

/// The last lines of a Job's log: without control characters, with what looks like a secret masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobLog {
    /// The pod, if there was one.
    pub pod: Option<String>,
    /// Its container.
    pub container: Option<String>,
    /// The lines, the oldest first.
    pub lines: Vec<String>,
    /// Why there are none.
    pub note: Option<String>,
}

impl Cluster {
    /// The last lines that the Job's newest pod wrote, that of the container that failed if one did. What cannot be read is told
    /// in the note: a log proves, it does not decide.
    pub async fn job_log(&self, job: &ObjectRef, lines: usize) -> Option<JobLog> {
        match self.read_job_log(job, lines).await {
            Ok(log) => Some(log),
            Err(ClusterError::Denied { .. }) => {
                let note = "the cluster denies reading logs; grant `get` on `pods/log` to see them here";
                Some(JobLog { note: Some(note.to_owned()), ..JobLog::default() })
            }
            Err(error) => {
                let note = log_text::safe_message(&error.to_string());
                Some(JobLog { note: Some(note), ..JobLog::default() })
            }
        }
    }

    async fn read_job_log(&self, job: &ObjectRef, lines: usize) -> Result<JobLog, ClusterError> {
        let none = |note: &str| JobLog { note: Some(note.to_owned()), ..JobLog::default() };
        let Some(selector) = self.get(job).await?.as_ref().and_then(selector::of) else {
            return Ok(none("the Job is gone"));
        };
        let namespace = job.namespace.as_deref().unwrap_or_default();
        let pods = self.select(("v1", "Pod"), namespace, Some(&selector)).await?;
        let newest = pods.iter().max_by_key(|pod| text(&pod["metadata"]["creationTimestamp"]));
        let Some(pod) = newest else { return Ok(none("it has no pods any more")) };
        let Some(container) = speaker(pod) else { return Ok(none("no container has run")) };
        let name = object::name(pod).to_owned();
        let address = ObjectRef::namespaced("v1", "Pod", namespace, &name);
        let operation = format!("read the log of {container} in {address}");
        let served = self.served(&operation, &address).await?;
        let call = Call::get(format!("{}/log", served.path(&address)))
            .query("container", container.as_str())
            .query("tailLines", lines.to_string())
            .query("limitBytes", READ);
        let text = self.transport.call_text(&operation, &call).await?;
        let lines = log_text::last_lines(&text, lines, BYTES);
        let note = lines.is_empty().then(|| "it wrote nothing".to_owned());
        Ok(JobLog { pod: Some(name), container: Some(container), lines, note })
    }
}

/// The container that failed, or the first of those that ran.
fn speaker(pod: &Value) -> Option<String> {
    let of = |list: &str| pod["status"][list].as_array().cloned().unwrap_or_default();
    let (init, main) = (of("initContainerStatuses"), of("containerStatuses"));
    let ended = |status: &Value| {
        let ends = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
        ends.into_iter().find(|end| !end.is_null()).cloned().unwrap_or_default()
    };
    let failed = init
        .iter()
        .chain(&main)
        .find(|status| ended(status)["exitCode"].as_i64().is_some_and(|code| code != 0));
    let ran = |status: &&Value| !ended(status).is_null() || !status["state"]["running"].is_null();
    failed.or_else(|| main.iter().find(ran)).and_then(|status| text(&status["name"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_container_that_failed_speaks_else_the_first_that_ran() {
        let ended =
            |name: &str, code: i64| json!({"name": name, "state": {"terminated": {"exitCode": code}}});
        let pod = |statuses: Value| json!({"status": {"containerStatuses": statuses}});
        assert_eq!(speaker(&pod(json!([ended("a", 0), ended("b", 1)]))), Some("b".to_owned()));
        assert_eq!(speaker(&pod(json!([ended("a", 0), ended("b", 0)]))), Some("a".to_owned()));
        let waiting = json!([{"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]);
        assert_eq!(speaker(&pod(waiting)), None);
    }
}

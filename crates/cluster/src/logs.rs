//! The last lines that a container wrote before it failed (X10).

use std::time::Duration;

use pilothouse_domain::log_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::container::{self, Container};
use crate::error::ClusterError;
use crate::object::ObjectRef;
use crate::transport::Call;

/// The most lines that are kept.
const LINES: usize = 20;
/// The most bytes that are kept.
const BYTES: usize = 4096;
/// The most bytes that are read: the kubelet counts them from the first of the last lines on.
const READ: &str = "65536";
/// How long a verdict waits for a log. The kubelet is asked by the API server, and may be away.
const PATIENCE: Duration = Duration::from_secs(4);

/// The last lines of a container's log: without control characters, with what looks like a secret masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogTail {
    /// The container.
    pub container: String,
    /// Whether they are of the run before the present one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
    /// The lines, the oldest first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whose log tells of a pod's failure: the container of that name, or the one that is not ready; and whether its last run is
/// over, and another begun or waited for. `None` when nothing has run.
pub(crate) fn source(pod: &Value, container: Option<&str>) -> Option<(String, bool)> {
    let ran = |c: &Container<'_>| !c.status["state"]["running"].is_null() || !c.ended().is_null();
    let fits = |c: &Container<'_>| match container {
        Some(name) => c.name() == name,
        None => c.status["ready"] != true && c.ended()["exitCode"] != 0,
    };
    let found = container::of(pod).find(|c| ran(c) && fits(c))?;
    // While it waits to be started again, its last run is the one before: also when it starts just as we ask.
    let waits = !found.status["state"]["waiting"].is_null();
    Some((found.name().to_owned(), waits))
}

impl Cluster {
    /// The last lines of a container's log. What cannot be read is told in the tail's note: a log proves, it does not decide.
    pub(crate) async fn log_tail(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> LogTail {
        let tail = |lines, note| LogTail { container: container.to_owned(), previous, lines, note };
        match tokio::time::timeout(PATIENCE, self.read_log(namespace, pod, container, previous)).await {
            Ok(Ok(text)) => match log_text::last_lines(&text, LINES, BYTES) {
                lines if lines.is_empty() => tail(lines, Some("it wrote nothing".to_owned())),
                lines => tail(lines, None),
            },
            Ok(Err(ClusterError::Denied { .. })) => {
                let note = "the cluster denies reading logs; grant `get` on `pods/log` to see them here";
                tail(Vec::new(), Some(note.to_owned()))
            }
            Ok(Err(error)) => tail(Vec::new(), Some(log_text::safe_message(&error.to_string()))),
            Err(_) => {
                let note = format!("no answer within {} s", PATIENCE.as_secs());
                tail(Vec::new(), Some(note))
            }
        }
    }

    async fn read_log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<String, ClusterError> {
        let operation = format!("read the log of {container} in {namespace}/{pod}");
        let object = ObjectRef::namespaced("v1", "Pod", namespace, pod);
        let served = self.served(&operation, &object).await?;
        let call = Call::get(format!("{}/log", served.path(&object)))
            .query("container", container)
            .query_if(previous, "previous", "true")
            .query("tailLines", LINES.to_string())
            .query("limitBytes", READ);
        self.transport.call_text(&operation, &call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_log_is_that_of_the_run_that_failed() {
        let pod = |state: Value, last: Value| {
            json!({"status": {"containerStatuses": [
            {"name": "proxy", "ready": true, "state": {"running": {}}, "lastState": {}},
            {"name": "web", "ready": false, "state": state, "lastState": last}]}})
        };
        let ended = json!({"terminated": {"exitCode": 1}});
        let web = |previous| Some(("web".to_owned(), previous));
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(source(&pod(waiting, ended.clone()), Some("web")), web(true));
        assert_eq!(source(&pod(ended, json!({})), Some("web")), web(false));
        // It runs, and does not get ready: its own log says why.
        assert_eq!(source(&pod(json!({"running": {}}), json!({})), None), web(false));
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(source(&pod(creating, json!({})), Some("web")), None);
    }
}

//! What images do when they are run: healthy unless a rule says otherwise.

use std::time::Duration;

use serde_json::Value;

use crate::glob;

/// What a container does, by its image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Runs and becomes ready.
    Ready {
        /// From start to ready; the cluster's own delay (1 to 2 s) when `None`.
        after: Option<Duration>,
    },
    /// The image cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
    ErrImagePull {
        /// What the registry says; "not found" in containerd's words when `None`.
        message: Option<String>,
    },
    /// Starts, ends with `exit_code` after a while, and is started again with growing back-off.
    CrashLoop {
        /// Exit code of the process, not 0.
        exit_code: i32,
        /// How long the process lives.
        after: Duration,
        /// Last line of the log, also the termination message.
        message: Option<String>,
    },
    /// Runs, but its readiness probe never passes.
    NeverReady {
        /// What the probe reports.
        message: Option<String>,
    },
    /// Is killed for memory (`OOMKilled`, exit code 137) after a while, again and again.
    OomKilled {
        /// How long the process lives.
        after: Duration,
    },
    /// Runs to its end with exit code 0 (what the container of a Job does by default).
    Completes {
        /// How long the process lives.
        after: Duration,
    },
}

impl Behaviour {
    /// Ends with exit code 1 one second after its start, having said `message`.
    pub fn crash_loop(message: impl Into<String>) -> Self {
        Self::CrashLoop { exit_code: 1, after: Duration::from_secs(1), message: Some(message.into()) }
    }
}

/// One rule: which images, where, do what. The first rule that matches wins.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRule {
    /// Glob over the whole image reference as the pod has it, tag and digest included.
    pub image: String,
    /// Glob over the pod's namespace; every namespace when `None`.
    pub namespace: Option<String>,
    /// What such a container does.
    pub behaviour: Behaviour,
}

impl ImageRule {
    /// A rule for `image` (a glob) in every namespace.
    pub fn new(image: impl Into<String>, behaviour: Behaviour) -> Self {
        Self { image: image.into(), namespace: None, behaviour }
    }

    /// The same rule for the namespaces that match `namespace` (a glob) only.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    pub(crate) fn matches(&self, namespace: &str, image: &str) -> bool {
        glob::matches(&self.image, image)
            && self.namespace.as_deref().is_none_or(|n| glob::matches(n, namespace))
    }

    /// Reads a rule from an entry of the ConfigMap `kube-system/sim-images`, already parsed from YAML. Keys: `image` (required), `namespace`,
    /// `behaviour` (`ready`, `err-image-pull`, `crash-loop`, `never-ready`, `oom-killed`, `completes`), `message`, `exitCode`, `after` (seconds).
    ///
    /// # Errors
    /// A sentence that says which key is wrong.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let image = text("image").ok_or("`image` is missing: give a glob such as \"*/shop/web:1.1.0*\"")?;
        let after = match &value["after"] {
            Value::Null => None,
            Value::Number(n) => {
                let seconds = n
                    .as_f64()
                    .filter(|s| (0.0..=1e9).contains(s))
                    .ok_or("`after` must be seconds, 0 or more")?;
                Some(Duration::from_secs_f64(seconds))
            }
            other => return Err(format!("`after` must be a number of seconds, not {other}")),
        };
        let short = after.unwrap_or(Duration::from_secs(1));
        let message = text("message");
        let behaviour = match value["behaviour"].as_str().unwrap_or("ready") {
            "ready" => Behaviour::Ready { after },
            "err-image-pull" => Behaviour::ErrImagePull { message },
            "crash-loop" => {
                let exit_code = value["exitCode"].as_i64().and_then(|c| i32::try_from(c).ok()).unwrap_or(1);
                Behaviour::CrashLoop { exit_code, after: short, message }
            }
            "never-ready" => Behaviour::NeverReady { message },
            "oom-killed" => Behaviour::OomKilled { after: short },
            "completes" => Behaviour::Completes { after: short },
            other => return Err(format!("`behaviour` {other:?} is unknown")),
        };
        Ok(Self { image, namespace: text("namespace"), behaviour })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_is_read_with_its_message_and_namespace() {
        let rule = ImageRule::from_value(&json!({
            "image": "*/shop/web:1.1.0*", "namespace": "prod", "behaviour": "crash-loop", "message": "no database", "exitCode": 3
        }))
        .unwrap();
        assert!(rule.matches("prod", "r/shop/web:1.1.0@sha256:00"));
        assert!(!rule.matches("dev", "r/shop/web:1.1.0"));
        let Behaviour::CrashLoop { exit_code: 3, message: Some(message), .. } = rule.behaviour else {
            panic!("{:?}", rule.behaviour)
        };
        assert_eq!(message, "no database");
    }

    #[test]
    fn a_wrong_rule_says_which_key() {
        assert!(ImageRule::from_value(&json!({"behaviour": "ready"})).unwrap_err().contains("`image`"));
        assert!(
            ImageRule::from_value(&json!({"image": "*", "behaviour": "explode"}))
                .unwrap_err()
                .contains("explode")
        );
        assert!(
            ImageRule::from_value(&json!({"image": "*", "after": "soon"})).unwrap_err().contains("`after`")
        );
    }
}

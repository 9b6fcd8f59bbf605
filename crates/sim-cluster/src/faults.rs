//! Faults that a test injects into the API server.

use std::time::Duration;

use http::Method;

use crate::{glob, requests::Asked, status::ApiError};

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FaultEffect {
    /// The request is not performed; the answer is a `Status` with this code (403, 409, 429, 500, 503 and 504 have their real wording).
    Status(u16),
    /// The request is not performed; the answer is 429 in plain text, with this many seconds in the header `Retry-After`.
    Throttle(u32),
    /// The request is not performed; the answer is a `Status` of these words.
    Refuse {
        /// HTTP status.
        code: u16,
        /// Machine-readable reason, such as `Forbidden`; "" for none.
        reason: &'static str,
        /// What it says.
        message: String,
    },
    /// The request is performed after this long.
    Delay(Duration),
    /// The request is performed, but the answer is lost: the client sees a 504 `Timeout`.
    LoseAnswer,
    /// The request is not performed and never answered by the API server: the connection is refused, or broken on a listener.
    Unreachable,
    /// A watch is answered and cut off after this long, without a word. Other requests are performed as if nothing was wrong.
    CutWatch(Duration),
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultScope {
    /// Every request.
    Any,
    /// GET requests.
    Reads,
    /// POST, PUT, PATCH and DELETE requests. Those that change nothing (dry runs, access reviews) are among them.
    Writes,
}

/// A fault for the next requests that it applies to. Faults are tried in the order in which they were injected; a spent one is forgotten.
///
/// ```
/// use pilothouse_sim_cluster::Fault;
/// // From the third write on, prod answers nothing any more.
/// let gone = Fault::unreachable().on_writes().in_namespace("prod").after(2).forever();
/// // A policy that somebody installed.
/// let denied = Fault::webhook("policy.example.com", "images must be signed").on_resource("deployments.apps");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    effect: FaultEffect,
    scope: FaultScope,
    path: Option<String>,
    verb: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    /// Requests that it applies to and lets pass first.
    spared: u32,
    /// `None`: for ever.
    times: Option<u32>,
}

impl Fault {
    fn new(effect: FaultEffect) -> Self {
        let (path, verb, resource, namespace) = (None, None, None, None);
        Self { effect, scope: FaultScope::Any, path, verb, resource, namespace, spared: 0, times: Some(1) }
    }

    /// Answers with this HTTP status instead of performing the request.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::new(FaultEffect::Status(code))
    }

    /// Answers 429 with `Retry-After: seconds`, and no `Status`, instead of performing the request.
    #[must_use]
    pub fn throttle(seconds: u32) -> Self {
        Self::new(FaultEffect::Throttle(seconds))
    }

    /// Answers with a `Status` of these words instead of performing the request.
    #[must_use]
    pub fn refuse(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultEffect::Refuse { code, reason, message: message.into() })
    }

    /// A validating webhook of this name denies the request (403, as policy engines answer). For writes only, unless told otherwise.
    #[must_use]
    pub fn webhook(name: &str, message: &str) -> Self {
        let message = format!("admission webhook {name:?} denied the request: {message}");
        Self::refuse(403, "Forbidden", message).on_writes()
    }

    /// A webhook of this name that must be asked does not answer (500). For writes only, unless told otherwise.
    #[must_use]
    pub fn webhook_down(name: &str) -> Self {
        let message = format!(
            "Internal error occurred: failed calling webhook {name:?}: failed to call webhook: Post \"https://{name}:443/validate?timeout=10s\": \
             context deadline exceeded"
        );
        Self::refuse(500, "InternalError", message).on_writes()
    }

    /// Performs the request after `delay` (in tokio time, not divided by the cluster's speed).
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::new(FaultEffect::Delay(delay))
    }

    /// Performs the request and loses the answer.
    #[must_use]
    pub fn lose_answer() -> Self {
        Self::new(FaultEffect::LoseAnswer)
    }

    /// Refuses the connection, as a cluster does that has vanished.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::new(FaultEffect::Unreachable)
    }

    /// Cuts a watch off `after` its begin (in tokio time): the stream ends, as when a proxy closes the connection.
    #[must_use]
    pub fn cut_watch(after: Duration) -> Self {
        Self::new(FaultEffect::CutWatch(after)).on_verb("watch")
    }

    /// For this many requests; one by default.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// For every request from then on.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.times = None;
        self
    }

    /// Only after this many requests that it applies to: with `on_writes`, from a certain write on.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.spared = requests;
        self
    }

    /// For GET requests only.
    #[must_use]
    pub fn on_reads(mut self) -> Self {
        self.scope = FaultScope::Reads;
        self
    }

    /// For POST, PUT, PATCH and DELETE requests only.
    #[must_use]
    pub fn on_writes(mut self) -> Self {
        self.scope = FaultScope::Writes;
        self
    }

    /// For requests whose path (without the query) matches this glob only, such as `*/deployments/web`.
    #[must_use]
    pub fn on_path(mut self, glob: impl Into<String>) -> Self {
        self.path = Some(glob.into());
        self
    }

    /// For requests with this verb only: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    #[must_use]
    pub fn on_verb(mut self, verb: impl Into<String>) -> Self {
        self.verb = Some(verb.into());
        self
    }

    /// For requests for this resource only, as RBAC names it with its group: `deployments.apps`, `pods`, `pods/log`. A glob.
    #[must_use]
    pub fn on_resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// For requests in the namespaces that match this glob only.
    #[must_use]
    pub fn in_namespace(mut self, glob: impl Into<String>) -> Self {
        self.namespace = Some(glob.into());
        self
    }

    fn applies(&self, asked: &Asked) -> bool {
        let in_scope = match self.scope {
            FaultScope::Any => true,
            FaultScope::Reads => asked.method == Method::GET,
            FaultScope::Writes => asked.method != Method::GET,
        };
        let fits = |pattern: &Option<String>, text: &str| {
            pattern.as_deref().is_none_or(|pattern| glob::matches(pattern, text))
        };
        in_scope
            && fits(&self.path, &asked.path)
            && fits(&self.verb, &asked.verb)
            && fits(&self.resource, &asked.full_resource())
            && fits(&self.namespace, &asked.namespace)
    }
}

impl FaultEffect {
    /// What the client is answered instead of the truth, if the request is not performed.
    pub(crate) fn refusal(&self) -> Option<ApiError> {
        match self {
            Self::Status(code) => Some(ApiError::injected(*code)),
            Self::Throttle(seconds) => Some(ApiError::throttled(*seconds)),
            Self::Refuse { code, reason, message } => Some(ApiError::new(*code, reason, message.clone())),
            Self::Delay(_) | Self::LoseAnswer | Self::Unreachable | Self::CutWatch(_) => None,
        }
    }
}

/// Faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: Vec<Fault>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.pending.push(fault);
        }
    }

    /// The effect for this request, which uses up one of the fault's times.
    pub(crate) fn take(&mut self, asked: &Asked) -> Option<FaultEffect> {
        let mut hit = None;
        for (index, fault) in self.pending.iter_mut().enumerate().filter(|(_, f)| f.applies(asked)) {
            if fault.spared > 0 {
                fault.spared -= 1;
                continue;
            }
            hit = Some(index);
            break;
        }
        let index = hit?;
        let fault = &mut self.pending[index];
        let effect = fault.effect.clone();
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                self.pending.remove(index);
            }
        }
        Some(effect)
    }

    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, verb: &str, resource: &str, path: &str) -> Asked {
        Asked {
            method: method.clone(),
            path: path.to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: "a".to_owned(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_fault_is_spent_on_the_requests_it_is_for() {
        let mut faults = Faults::default();
        faults.inject(Fault::status(409).times(2).on_writes().on_path("*/deployments/*"));
        let web = "/apis/apps/v1/namespaces/a/deployments/web";
        let patch = asked(&Method::PATCH, "patch", "deployments.apps", web);
        assert_eq!(faults.take(&asked(&Method::GET, "get", "deployments.apps", web)), None);
        let other = asked(&Method::PATCH, "patch", "pods", "/api/v1/namespaces/a/pods/web");
        assert_eq!(faults.take(&other), None);
        for _ in 0..2 {
            assert_eq!(faults.take(&patch), Some(FaultEffect::Status(409)));
        }
        assert_eq!(faults.take(&patch), None);
    }

    #[test]
    fn a_fault_lets_the_first_ones_pass_and_then_holds_for_ever() {
        let mut faults = Faults::default();
        faults
            .inject(Fault::unreachable().on_verb("patch").on_resource("deployments.apps").after(2).forever());
        let patch = asked(&Method::PATCH, "patch", "deployments.apps", "/x");
        let hit: Vec<_> = (0..5).map(|_| faults.take(&patch).is_some()).collect();
        assert_eq!(hit, [false, false, true, true, true]);
        faults.clear();
        assert_eq!(faults.take(&patch), None);
    }
}

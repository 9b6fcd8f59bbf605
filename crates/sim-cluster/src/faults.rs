//! Faults that a test injects into the API server, and the record of what it was asked.

use std::time::Duration;

use http::Method;

use crate::glob;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FaultEffect {
    /// The request is not performed; the answer is a `Status` with this code (409, 429, 500, 503 and 504 have their real wording).
    Status(u16),
    /// The request is performed after this long.
    Delay(Duration),
    /// The request is performed, but the answer is lost: the client sees a 504 `Timeout`.
    LoseAnswer,
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultScope {
    /// Every request.
    Any,
    /// GET requests.
    Reads,
    /// POST, PUT, PATCH and DELETE requests.
    Writes,
}

/// A fault for the next requests that it applies to. Faults are tried in the order in which they were injected; a spent one is forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    effect: FaultEffect,
    scope: FaultScope,
    path: Option<String>,
    times: u32,
}

impl Fault {
    fn new(effect: FaultEffect) -> Self {
        Self { effect, scope: FaultScope::Any, path: None, times: 1 }
    }

    /// Answers with this HTTP status instead of performing the request.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::new(FaultEffect::Status(code))
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

    /// For this many requests; one by default.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
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

    fn applies(&self, method: &Method, path: &str) -> bool {
        let in_scope = match self.scope {
            FaultScope::Any => true,
            FaultScope::Reads => *method == Method::GET,
            FaultScope::Writes => *method != Method::GET,
        };
        in_scope && self.path.as_deref().is_none_or(|p| glob::matches(p, path))
    }
}

/// A request that the API server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as sent, without `?`; empty if none.
    pub query: String,
    /// The field manager of a write: the `fieldManager` parameter, else the first part of the user agent.
    pub manager: Option<String>,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The body as compact JSON, at most 2,000 characters; the values of Secrets are left out.
    pub summary: String,
    /// HTTP status of the answer.
    pub status: u16,
}

impl RequestRecord {
    /// Whether the request asked for a change (a dry run is none).
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.dry_run
    }
}

/// Faults still to come, and the requests so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: Vec<Fault>,
    pub(crate) requests: Vec<RequestRecord>,
}

/// Keeps a long simulation's memory bounded.
const MAX_REQUESTS: usize = 100_000;

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.pending.push(fault);
        }
    }

    /// The effect for this request, which uses up one of the fault's times.
    pub(crate) fn take(&mut self, method: &Method, path: &str) -> Option<FaultEffect> {
        let index = self.pending.iter().position(|f| f.applies(method, path))?;
        let fault = &mut self.pending[index];
        fault.times -= 1;
        let effect = fault.effect.clone();
        if fault.times == 0 {
            self.pending.remove(index);
        }
        Some(effect)
    }

    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    pub(crate) fn record(&mut self, record: RequestRecord) {
        if self.requests.len() >= MAX_REQUESTS {
            self.requests.drain(..MAX_REQUESTS / 2);
        }
        self.requests.push(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_spent_on_the_requests_it_is_for() {
        let mut faults = Faults::default();
        faults.inject(Fault::status(409).times(2).on_writes().on_path("*/deployments/*"));
        assert_eq!(faults.take(&Method::GET, "/apis/apps/v1/namespaces/a/deployments/web"), None);
        assert_eq!(faults.take(&Method::PATCH, "/api/v1/namespaces/a/pods/web"), None);
        for _ in 0..2 {
            let effect = faults.take(&Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/web");
            assert_eq!(effect, Some(FaultEffect::Status(409)));
        }
        assert_eq!(faults.take(&Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/web"), None);
    }
}

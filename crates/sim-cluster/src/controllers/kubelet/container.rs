//! The life of one container.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{Again, Context, events, sooner},
    COMPONENT, config,
};
use crate::{Behaviour, json, rng, store::Tx};

/// What comes next for a container.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing has been done yet, or the process was restarted meanwhile.
    Fresh,
    Pulling {
        until: Instant,
    },
    /// `ErrImagePull` is shown until then.
    PullFailed {
        until: Instant,
    },
    /// `ImagePullBackOff` is shown until then.
    PullBackOff {
        until: Instant,
    },
    /// Waits for a ConfigMap or Secret.
    ConfigError,
    Running {
        since: Instant,
        warm_up: f64,
    },
    /// Its end is shown until then.
    Ended {
        until: Instant,
    },
    /// `CrashLoopBackOff` is shown until then.
    BackOff {
        until: Instant,
    },
    /// Has ended for good.
    Done,
}

/// What the node remembers of a container.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    phase: Phase,
    pull_failures: u32,
    crashes: u32,
    /// The image has been pulled for this pod.
    pulled: bool,
    /// The probe's failure has been told.
    told_unready: bool,
}

/// A step of one container: where it is, and what it is made of.
struct Step<'a, 'tx> {
    tx: &'a mut Tx<'tx>,
    context: &'a mut Context,
    pod: &'a Value,
    spec: &'a Value,
    init: bool,
    runtime: Runtime,
    /// Its entry in the pod's status.
    status: Value,
}

/// Brings the container whose status is at `slot` forward as far as time allows; returns when there is more to do.
pub(super) fn step(
    tx: &mut Tx<'_>,
    context: &mut Context,
    pod: &Value,
    spec: &Value,
    init: bool,
    status: &mut Value,
    slot: &str,
) -> Again {
    let key = (json::uid(pod).to_owned(), json::text(spec, "/name").to_owned());
    let entry = status.pointer(slot).cloned().unwrap_or_default();
    let runtime =
        context.node.containers.remove(&key).unwrap_or_else(|| Runtime::resumed(&entry, context.now));
    let mut step = Step { tx, context, pod, spec, init, runtime, status: entry };
    // Several phases may pass in one moment; each moves on to a later one or asks for time.
    let mut again = None;
    for _ in 0..8 {
        let before = step.runtime.phase;
        again = step.advance();
        if step.runtime.phase == before {
            break;
        }
    }
    let Step { runtime, status: entry, .. } = step;
    if let Some(place) = status.pointer_mut(slot) {
        *place = entry;
    }
    context.node.containers.insert(key, runtime);
    again
}

impl Runtime {
    /// After a restart of this process: what the stored status tells.
    fn resumed(entry: &Value, now: Instant) -> Self {
        let crashes = u32::try_from(json::count(entry, "/restartCount")).unwrap_or(0);
        let phase = if entry.pointer("/state/running").is_some() {
            let warm_up = if json::flag(entry, "/ready") { 0.0 } else { 1.0 };
            Phase::Running { since: now, warm_up }
        } else if entry.pointer("/state/terminated").is_some() {
            Phase::Ended { until: now }
        } else {
            Phase::Fresh
        };
        let pulled = !json::text(entry, "/imageID").is_empty();
        Self { phase, pull_failures: 0, crashes, pulled, told_unready: false }
    }
}

/// 10, 20, 40, ... 300 s.
fn back_off(times: u32) -> f64 {
    f64::from(10u32.saturating_mul(1 << times.min(5))).min(300.0)
}

/// How long the back-off before the next start is written: `10s`, `1m20s`, `5m0s`.
fn shown(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "at most 300")]
    let seconds = seconds as i64;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

impl Step<'_, '_> {
    fn advance(&mut self) -> Again {
        let now = self.context.now;
        match self.runtime.phase {
            Phase::Fresh => self.pull(),
            Phase::Pulling { until } if until <= now => self.end_pull(),
            Phase::PullFailed { until } if until <= now => self.back_off_pull(),
            Phase::PullBackOff { until } if until <= now => self.pull(),
            Phase::ConfigError => self.start(),
            Phase::Running { since, warm_up } => self.watch(since, warm_up),
            Phase::Ended { until } if until <= now => self.after_end(),
            Phase::BackOff { until } if until <= now => self.restart(),
            Phase::Pulling { until }
            | Phase::PullFailed { until }
            | Phase::PullBackOff { until }
            | Phase::Ended { until }
            | Phase::BackOff { until } => Some(until),
            Phase::Done => None,
        }
    }

    fn name(&self) -> String {
        json::text(self.spec, "/name").to_owned()
    }

    fn image(&self) -> String {
        json::text(self.spec, "/image").to_owned()
    }

    fn event(&mut self, warning: bool, reason: &'static str, message: String) {
        let list = if self.init { "initContainers" } else { "containers" };
        let path = format!("spec.{list}{{{}}}", self.name());
        let event = if warning {
            events::Event::warning(reason, message, COMPONENT)
        } else {
            events::Event::normal(reason, message, COMPONENT)
        };
        events::record(self.tx, self.pod, event.at(path));
    }

    fn wait(&mut self, reason: &str, message: &str) {
        let mut waiting = json!({ "reason": reason });
        if !message.is_empty() {
            waiting["message"] = message.into();
        }
        json::set(&mut self.status, "/state", json!({ "waiting": waiting }));
        self.set_ready(false);
        if !self.init {
            json::set(&mut self.status, "/started", false);
        }
    }

    fn set_ready(&mut self, ready: bool) {
        json::set(&mut self.status, "/ready", ready);
    }

    /// A delay between `least` and `least` + 1 seconds.
    fn some_seconds(&mut self, least: f64) -> f64 {
        let thousandths = u32::try_from(self.tx.state.rng.below(1000)).unwrap_or(0);
        least + f64::from(thousandths) / 1000.0
    }

    fn behaviour(&self) -> Behaviour {
        let (ns, image) = (json::namespace(self.pod), json::text(self.spec, "/image"));
        let rule = self.context.rules.iter().find(|r| r.matches(ns, image)).map(|r| r.behaviour.clone());
        let runs_on = json::text(self.pod, "/spec/restartPolicy") == "Always" && !self.init;
        match rule {
            // A container that is to end does so when it would become ready.
            None | Some(Behaviour::Ready { .. }) if !runs_on => {
                Behaviour::Completes { after: std::time::Duration::from_secs(if self.init { 1 } else { 2 }) }
            }
            None => Behaviour::Ready { after: None },
            Some(behaviour) => behaviour,
        }
    }

    fn pull(&mut self) -> Again {
        if self.runtime.pulled {
            return self.start();
        }
        let image = self.image();
        self.event(false, "Pulling", format!("Pulling image {image:?}"));
        if self.runtime.pull_failures == 0 && self.status.pointer("/state/waiting").is_none() {
            self.wait("ContainerCreating", "");
        }
        let seconds = self.some_seconds(2.0);
        let until = self.context.later(self.context.now, seconds);
        self.runtime.phase = Phase::Pulling { until };
        Some(until)
    }

    fn end_pull(&mut self) -> Again {
        let image = self.image();
        if let Behaviour::ErrImagePull { message } = self.behaviour() {
            let message = pull_error(&image, message);
            self.event(true, "Failed", format!("Failed to pull image {image:?}: {message}"));
            self.event(true, "Failed", "Error: ErrImagePull".to_owned());
            self.wait("ErrImagePull", &message);
            let until = self.context.later(self.context.now, 2.0);
            self.runtime.phase = Phase::PullFailed { until };
            return Some(until);
        }
        self.event(false, "Pulled", format!("Successfully pulled image {image:?}"));
        self.runtime.pulled = true;
        self.start()
    }

    fn back_off_pull(&mut self) -> Again {
        let image = self.image();
        let error = json::text(&self.status, "/state/waiting/message").to_owned();
        self.event(false, "BackOff", format!("Back-off pulling image {image:?}"));
        self.event(true, "Failed", "Error: ImagePullBackOff".to_owned());
        self.wait("ImagePullBackOff", &format!("Back-off pulling image {image:?}: ErrImagePull: {error}"));
        let seconds = back_off(self.runtime.pull_failures);
        self.runtime.pull_failures += 1;
        let until = self.context.later(self.context.now, seconds);
        self.runtime.phase = Phase::PullBackOff { until };
        Some(until)
    }

    fn start(&mut self) -> Again {
        if let Some(problem) = config::missing_environment(self.tx, self.pod, self.spec) {
            if json::text(&self.status, "/state/waiting/message") != problem {
                self.event(true, "Failed", format!("Error: {problem}"));
            }
            self.wait("CreateContainerConfigError", &problem);
            self.runtime.phase = Phase::ConfigError;
            return None;
        }
        let (name, image, now) = (self.name(), self.image(), self.tx.stamp());
        self.event(false, "Created", format!("Created container: {name}"));
        self.event(false, "Started", format!("Started container {name}"));
        json::set(&mut self.status, "/image", image.as_str());
        json::set(&mut self.status, "/imageID", image_id(&image));
        let id = format!("containerd://{:016x}{:016x}", self.tx.state.rng.next(), self.tx.state.rng.next());
        json::set(&mut self.status, "/containerID", id);
        json::set(&mut self.status, "/state", json!({ "running": { "startedAt": now } }));
        self.set_ready(false);
        if !self.init {
            json::set(&mut self.status, "/started", true);
        }
        self.runtime.told_unready = false;
        let delay = self.some_seconds(1.0);
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
        let initial = json::count(self.spec, "/readinessProbe/initialDelaySeconds") as f64;
        self.runtime.phase = Phase::Running { since: self.context.now, warm_up: delay + initial };
        self.advance()
    }

    /// A running container: becomes ready, is reported unready, or ends.
    fn watch(&mut self, since: Instant, warm_up: f64) -> Again {
        let behaviour = self.behaviour();
        let (lives, warm_up) = match &behaviour {
            Behaviour::CrashLoop { after, .. }
            | Behaviour::OomKilled { after }
            | Behaviour::Completes { after } => (Some(after.as_secs_f64()), warm_up),
            Behaviour::Ready { after: Some(after) } => (None, after.as_secs_f64()),
            _ => (None, warm_up),
        };
        let end = lives.map(|l| self.context.later(since, l));
        if end.is_some_and(|at| at <= self.context.now) {
            return self.end(&behaviour, since);
        }
        let warm = self.context.later(since, warm_up);
        if warm > self.context.now {
            return sooner(end, Some(warm));
        }
        if let Behaviour::NeverReady { message } = behaviour {
            self.set_ready(false);
            if !self.runtime.told_unready {
                self.runtime.told_unready = true;
                let message = message.unwrap_or_else(|| "HTTP probe failed with statuscode: 503".to_owned());
                self.event(true, "Unhealthy", format!("Readiness probe failed: {message}"));
            }
        } else {
            self.runtime.told_unready = false;
            self.set_ready(!self.init);
        }
        end
    }

    fn end(&mut self, behaviour: &Behaviour, since: Instant) -> Again {
        let (code, reason, message) = match behaviour {
            Behaviour::CrashLoop { exit_code, message, .. } => (*exit_code, "Error", message.clone()),
            Behaviour::OomKilled { .. } => (137, "OOMKilled", None),
            _ => (0, "Completed", None),
        };
        let mut end = json!({
            "exitCode": code, "reason": reason, "startedAt": self.status["state"]["running"]["startedAt"],
            "finishedAt": self.tx.stamp(), "containerID": self.status["containerID"],
        });
        if let Some(message) = message {
            end["message"] = message.into();
        }
        json::set(&mut self.status, "/state", json!({ "terminated": end }));
        // An init container that has done its work counts as ready.
        self.set_ready(self.init && code == 0);
        if !self.init {
            json::set(&mut self.status, "/started", false);
        }
        // Ten good minutes make the node forget earlier crashes.
        if self.context.elapsed(since) >= 600.0 {
            self.runtime.crashes = 0;
        }
        let until = self.context.later(self.context.now, 1.0);
        self.runtime.phase = Phase::Ended { until };
        Some(until)
    }

    /// The container has ended: for good, or to be started again, at once after the first time.
    fn after_end(&mut self) -> Again {
        let code = json::count(&self.status, "/state/terminated/exitCode");
        let stays = match json::text(self.pod, "/spec/restartPolicy") {
            "Never" => true,
            "OnFailure" => code == 0,
            _ => self.init && code == 0,
        };
        if stays {
            self.runtime.phase = Phase::Done;
            return None;
        }
        let last = self.status["state"].clone();
        json::set(&mut self.status, "/lastState", last);
        if self.runtime.crashes == 0 {
            return self.restart();
        }
        let seconds = back_off(self.runtime.crashes - 1);
        let (name, pod, ns, uid) =
            (self.name(), json::name(self.pod), json::namespace(self.pod), json::uid(self.pod));
        let place = format!("{pod}_{ns}({uid})");
        let message = format!("back-off {} restarting failed container={name} pod={place}", shown(seconds));
        self.event(true, "BackOff", format!("Back-off restarting failed container {name} in pod {place}"));
        self.wait("CrashLoopBackOff", &message);
        let until = self.context.later(self.context.now, seconds);
        self.runtime.phase = Phase::BackOff { until };
        Some(until)
    }

    fn restart(&mut self) -> Again {
        self.runtime.crashes += 1;
        let restarts = json::count(&self.status, "/restartCount") + 1;
        json::set(&mut self.status, "/restartCount", restarts);
        let image = self.image();
        self.event(false, "Pulled", format!("Container image {image:?} already present on machine"));
        self.start()
    }
}

/// What containerd says of an image that is not there.
fn pull_error(image: &str, message: Option<String>) -> String {
    message.unwrap_or_else(|| {
        format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: {image}: not found"
        )
    })
}

/// The digest of the reference, or one made from it.
fn image_id(image: &str) -> String {
    if image.contains('@') {
        return image.to_owned();
    }
    let name = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    };
    let digest: String = (0..4).map(|n| format!("{:016x}", rng::hash(&format!("{n}{image}")))).collect();
    format!("{name}@sha256:{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_to_five_minutes() {
        let all: Vec<_> = (0..7).map(|n| shown(back_off(n))).collect();
        assert_eq!(all, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
    }

    #[test]
    fn an_image_id_has_the_digest_of_the_reference_if_it_has_one() {
        assert_eq!(image_id("r/web@sha256:ab"), "r/web@sha256:ab");
        assert!(image_id("reg:5000/web").starts_with("reg:5000/web@sha256:"));
        assert!(image_id("reg:5000/web:1").starts_with("reg:5000/web@sha256:"));
    }
}

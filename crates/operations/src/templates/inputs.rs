//! What a template is told, and what is wrong with it.

use pilothouse_domain::problem::{Problem, Problems};

use super::manifest::Parts;
use crate::outbound::check_url;

/// What is put for each place into the health check's URL.
const ENVIRONMENT: &str = "{environment}";
const NAMESPACE: &str = "{namespace}";

/// The longest name of a pipeline.
const LONGEST: usize = 63;

/// What a template is told (V8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateInputs {
    /// The objects of the service: YAML, several documents.
    pub manifest: String,
    /// The name of the Service in them.
    pub service: String,
    /// The application; what the Deployment's label `app.kubernetes.io/part-of` says, or the Service's name, when absent.
    pub application: Option<String>,
    /// The main pipeline's name; the Service's when absent.
    pub name: Option<String>,
    /// The repository whose image is released; that of the Deployment's only container when absent.
    pub image: Option<String>,
    /// Where it goes: first where it is tried, then where it is used.
    pub places: Vec<Place>,
    /// What answers 2xx when the service is well; `{environment}` and `{namespace}` are filled in. Without it the Service's Deployment
    /// must have a ready pod.
    pub health_url: Option<String>,
    /// Whether each place has a rollback pipeline.
    pub rollback: bool,
}

/// Where a service is deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The environment.
    pub environment: String,
    /// The cluster account, as `pilothouse cluster ls` names it; `default` unless it is said.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
}

impl std::str::FromStr for Place {
    type Err = String;

    /// `ENVIRONMENT`, `ENVIRONMENT=CLUSTER` or `ENVIRONMENT=CLUSTER/NAMESPACE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (environment, cluster) = text.split_once('=').unwrap_or((text, "default"));
        let (cluster, namespace) = cluster.split_once('/').unwrap_or((cluster, environment));
        for part in [environment, cluster, namespace] {
            if !is_label(part) {
                return Err(format!(
                    "`{text}` is no place: write ENVIRONMENT, ENVIRONMENT=CLUSTER or ENVIRONMENT=CLUSTER/NAMESPACE, each of lower \
                     case letters, digits and `-`"
                ));
            }
        }
        let owned = |part: &str| part.to_owned();
        Ok(Self { environment: owned(environment), cluster: owned(cluster), namespace: owned(namespace) })
    }
}

/// Inputs that go together.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) application: String,
    pub(super) name: String,
    pub(super) dev: Place,
    pub(super) prod: Place,
    pub(super) parts: Parts,
    pub(super) rollback: bool,
    health_url: Option<String>,
}

impl Checked {
    pub(super) fn of(inputs: &TemplateInputs) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let parts = match Parts::of(&inputs.manifest, &inputs.service, inputs.image.as_deref()) {
            Ok(parts) => Some(parts),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let name = inputs.name.clone().unwrap_or_else(|| inputs.service.clone());
        let part_of = parts.as_ref().and_then(Parts::part_of);
        let application = inputs.application.clone().or(part_of).unwrap_or_else(|| inputs.service.clone());
        if !is_label(&application) {
            problems.push(Problem::new("application", format!("`{application}` is no name: {LABEL}")));
        }
        let longest = inputs.places.iter().map(|place| place.environment.len() + "--rollback".len()).max();
        let longest = LONGEST.saturating_sub(longest.unwrap_or(0));
        if !is_label(&name) || name.len() > longest {
            let message = format!("`{name}` is no name: {LABEL}, at most {longest} characters");
            problems.push(Problem::new("name", message));
        }
        problems.extend(health_problem(inputs.health_url.as_deref()));
        let places = match inputs.places.as_slice() {
            [dev, prod] if dev.environment != prod.environment => Some((dev.clone(), prod.clone())),
            [_, _] => {
                problems.push(Problem::new("clusters", "both places are the same environment"));
                None
            }
            other => {
                let message = format!("two places are needed, and {} are given", other.len());
                let hint = "name where it is tried, and where it is used: `--clusters dev,prod`";
                problems.push(Problem::new("clusters", message).with_hint(hint));
                None
            }
        };
        match (parts, places, problems.is_empty()) {
            (Some(parts), Some((dev, prod)), true) => Ok(Self {
                application,
                name,
                dev,
                prod,
                parts,
                rollback: inputs.rollback,
                health_url: inputs.health_url.clone(),
            }),
            _ => Err(Problems(problems)),
        }
    }

    /// The health check's URL there.
    pub(super) fn health_url(&self, place: &Place) -> Option<String> {
        self.health_url.as_deref().map(|url| filled(url, &place.environment, &place.namespace))
    }

    /// The name of the rollback pipeline of an environment.
    pub(super) fn rollback_name(&self, place: &Place) -> String {
        format!("{}-{}-rollback", self.name, place.environment)
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.parts.notes.clone();
        if !self.parts.secrets.is_empty() {
            notes.push(format!(
                "these Secrets must be in the namespaces {} and {} before a release: {} (`Create secret` looks for them)",
                self.dev.namespace,
                self.prod.namespace,
                self.parts.secrets.join(", ")
            ));
        }
        if self.dev.cluster == self.prod.cluster {
            notes.push(format!(
                "{} and {} are both in the cluster account `{}`, in the namespaces {} and {}; for another write \
                 `--clusters {}=CLUSTER,{}=CLUSTER`",
                self.dev.environment,
                self.prod.environment,
                self.dev.cluster,
                self.dev.namespace,
                self.prod.namespace,
                self.dev.environment,
                self.prod.environment
            ));
        }
        if self.health_url.is_none() {
            notes.push("no health check was named: the verify stages count ready pods".to_owned());
        }
        notes
    }
}

const LABEL: &str = "lower case letters, digits and `-`";

fn is_label(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || c == '-')
}

fn filled(url: &str, environment: &str, namespace: &str) -> String {
    url.replace(ENVIRONMENT, environment).replace(NAMESPACE, namespace)
}

fn health_problem(url: Option<&str>) -> Option<Problem> {
    let error = check_url(&filled(url?, "dev", "dev")).err()?;
    Some(Problem::new("health-url", error.to_string()))
}

//! The parameters and artifacts that a release starts with.

use std::collections::{BTreeMap, BTreeSet};

use super::{check_digest, check_tag, split_image};
use crate::artifact::Artifact;
use crate::pipeline::{ArtifactSpec, Parameter, PipelineSpec, key_step};
use crate::problem::{Problem, did_you_mean, nearest_or_all};

/// The longest value of a parameter, in bytes.
const LONGEST_VALUE: usize = 4096;

/// Fills in defaults and checks names, options and required parameters (T19).
///
/// # Errors
/// Everything that is wrong, with paths like `parameters.replicas`.
pub fn resolve_parameters(
    spec: &PipelineSpec,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    resolve(spec, given, true)
}

/// The same for a draft, which may lack what is required until it starts (A2).
///
/// # Errors
/// Everything that is wrong, with paths like `parameters.replicas`.
pub fn draft_parameters(
    spec: &PipelineSpec,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    resolve(spec, given, false)
}

fn resolve(
    spec: &PipelineSpec,
    given: &BTreeMap<String, String>,
    complete: bool,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let path = |name: &str| format!("parameters{}", key_step(name, false));
    let known = || spec.parameters.iter().map(|parameter| parameter.name.as_str());
    let mut problems: Vec<Problem> = given
        .keys()
        .filter(|name| spec.parameter(name).is_none())
        .map(|name| Problem::new(path(name), "unknown parameter").with_hint(nearest_or_all(name, known())))
        .collect();
    let mut resolved = BTreeMap::new();
    for parameter in &spec.parameters {
        let value = given.get(&parameter.name).or(parameter.default.as_ref());
        let outcome = match value {
            Some(value) => check_value(parameter, value),
            None if parameter.required && complete => Err("a value is required".to_owned()),
            None => Ok(()),
        };
        match (outcome, value) {
            (Err(message), _) => problems.push(Problem::new(path(&parameter.name), message)),
            (Ok(()), Some(value)) => {
                resolved.insert(parameter.name.clone(), value.clone());
            }
            (Ok(()), None) => {}
        }
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// Whether a parameter takes a value; the message does not repeat the value, which may be private.
pub(crate) fn check_value(parameter: &Parameter, value: &str) -> Result<(), String> {
    if value.len() > LONGEST_VALUE {
        return Err(format!("the value is longer than {LONGEST_VALUE} bytes"));
    }
    if parameter.required && value.is_empty() {
        return Err("a value is required".to_owned());
    }
    if parameter.options.is_empty() || parameter.options.iter().any(|option| option == value) {
        return Ok(());
    }
    let options: Vec<String> = parameter.options.iter().map(|option| format!("`{option}`")).collect();
    Err(format!("the value must be one of {}", options.join(", ")))
}

/// Checks what is given to a release that a person starts: each artifact is one of the pipeline's, given once, bound by
/// a tag or a digest, and of the pipeline's image. An empty image stands for the pipeline's.
///
/// # Errors
/// Everything that is wrong, with paths like `artifacts.web.tag`.
pub fn release_artifacts(spec: &PipelineSpec, given: &[Artifact]) -> Result<Vec<Artifact>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut artifacts = Vec::new();
    for artifact in given {
        let path = format!("artifacts{}", key_step(&artifact.name, false));
        if !seen.insert(&artifact.name) {
            problems.push(Problem::new(path, "the artifact is given twice"));
            continue;
        }
        let Some(declared) = spec.artifact(&artifact.name) else {
            let known = spec.artifacts.iter().map(|artifact| artifact.name.as_str());
            let hint = did_you_mean(&artifact.name, known);
            problems.push(Problem::new(path, "unknown artifact").with_optional_hint(hint));
            continue;
        };
        problems.extend(check_artifact(declared, artifact, &path));
        let image = if artifact.image.is_empty() { &declared.image } else { &artifact.image };
        artifacts.push(Artifact { image: image.clone(), ..artifact.clone() });
    }
    if problems.is_empty() { Ok(artifacts) } else { Err(problems) }
}

fn check_artifact(declared: &ArtifactSpec, given: &Artifact, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !given.image.is_empty()
        && let Some(message) = other_image(&declared.image, &given.image)
    {
        problems.push(Problem::new(format!("{path}.image"), message));
    }
    if let Some(Err(error)) = given.tag.as_deref().map(check_tag) {
        problems.push(Problem::new(format!("{path}.tag"), error.to_string()));
    }
    if let Some(Err(error)) = given.digest.as_deref().map(check_digest) {
        problems.push(Problem::new(format!("{path}.digest"), error.to_string()));
    }
    if !given.is_bound() {
        problems.push(Problem::new(path, "neither a tag nor a digest says which image is meant"));
    }
    problems
}

/// Why an image is not the declared one: another repository, or another host where one is declared.
fn other_image(declared: &str, given: &str) -> Option<String> {
    let (host, repository) = match split_image(given) {
        Ok(parts) => parts,
        Err(error) => return Some(error.to_string()),
    };
    let (declared_host, declared_repository) = split_image(declared).ok()?;
    let same_host = match (declared_host, host) {
        (Some(declared), Some(host)) => declared.eq_ignore_ascii_case(host),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let same = repository == declared_repository && same_host;
    (!same).then(|| format!("the pipeline's image is `{declared}`"))
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::spec;
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn shown(problems: &[Problem]) -> String {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn defaults_are_filled_in_and_what_has_no_value_is_left_out() {
        let resolved = resolve_parameters(&spec(), &given(&[("region", "eu")])).unwrap();
        assert_eq!(resolved, given(&[("region", "eu"), ("replicas", "2")]));
    }

    #[test]
    fn every_wrong_parameter_is_named_without_its_value() {
        let problems =
            resolve_parameters(&spec(), &given(&[("replicas", "hunter2"), ("regoin", "eu")])).unwrap_err();
        insta::assert_snapshot!(shown(&problems), @r#"
        parameters.regoin: unknown parameter; did you mean `region`?
        parameters.replicas: the value must be one of `1`, `2`, `4`
        parameters.region: a value is required
        "#);
    }

    #[test]
    fn a_release_takes_the_pipelines_image() {
        let artifact =
            Artifact { name: "web".into(), image: String::new(), tag: Some("1".into()), digest: None };
        let artifacts = release_artifacts(&spec(), std::slice::from_ref(&artifact)).unwrap();
        assert_eq!(artifacts[0].reference(), "registry.local/shop/web:1");
        let same = Artifact { image: "Registry.local/shop/web".into(), ..artifact };
        assert!(release_artifacts(&spec(), &[same]).is_ok());
    }

    #[test]
    fn every_wrong_artifact_is_named() {
        let artifact = |name: &str, image: &str, tag: Option<&str>, digest: Option<&str>| Artifact {
            name: name.into(),
            image: image.into(),
            tag: tag.map(Into::into),
            digest: digest.map(Into::into),
        };
        let problems = release_artifacts(
            &spec(),
            &[
                artifact("web", "evil.example/shop/web", Some("a b"), Some("sha256:ab")),
                artifact("web", "", Some("1"), None),
                artifact("api", "", None, None),
                artifact("wbe", "", Some("1"), None),
            ],
        );
        insta::assert_snapshot!(shown(&problems.unwrap_err()), @r#"
        artifacts.web.image: the pipeline's image is `registry.local/shop/web`
        artifacts.web.tag: `a b` is not a tag: letters, digits, `.`, `_` and `-`, at most 128
        artifacts.web.digest: `sha256:ab` is not a digest: `sha256:` and 64 hex digits
        artifacts.web: the artifact is given twice
        artifacts.api: neither a tag nor a digest says which image is meant
        artifacts.wbe: unknown artifact; did you mean `web`?
        "#);
    }
}

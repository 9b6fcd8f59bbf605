//! The Services that send traffic to server groups, and the labels by which they find pods.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_cluster::{Cluster, ObjectRef};

use super::{Group, Halt, labels};

/// Services by name, each with its selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::stages) struct Services(BTreeMap<String, BTreeMap<String, String>>);

impl Services {
    /// Reads them; each must be there and select pods by labels.
    pub(in crate::stages) async fn read<'a>(
        cluster: &Cluster,
        namespace: &str,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, Halt> {
        let (found, missing) = Self::look(cluster, namespace, names).await?;
        match missing.first() {
            None => Ok(found),
            Some(reason) => Err(Halt::Refused(reason.clone())),
        }
    }

    /// Reads those that there are: one that is gone sends nothing to anybody.
    pub(in crate::stages) async fn existing<'a>(
        cluster: &Cluster,
        namespace: &str,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, Halt> {
        Ok(Self::look(cluster, namespace, names).await?.0)
    }

    async fn look<'a>(
        cluster: &Cluster,
        namespace: &str,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<(Self, Vec<String>), Halt> {
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        let names: BTreeSet<&String> = names.into_iter().collect();
        for name in names {
            let object = ObjectRef::namespaced("v1", "Service", namespace, name.as_str());
            match cluster.get(&object).await? {
                None => missing.push(format!(
                    "{object} does not exist: create it before the server group that it sends traffic to"
                )),
                Some(live) => match labels(&live["spec"]["selector"]) {
                    selector if selector.is_empty() => missing.push(format!(
                        "{object} has no `spec.selector`, so it finds no pods by their labels: give it one"
                    )),
                    selector => drop(found.insert(name.clone(), selector)),
                },
            }
        }
        Ok((Self(found), missing))
    }

    /// Those that a server group was deployed for.
    pub(in crate::stages) fn of(&self, group: &Group) -> Self {
        self.which(|name, _| group.services.contains(name))
    }

    /// Those of which this holds, asked with name and selector.
    pub(in crate::stages) fn which(
        &self,
        holds: impl Fn(&String, &BTreeMap<String, String>) -> bool,
    ) -> Self {
        let some = self.0.iter().filter(|(name, selector)| holds(name, selector));
        Self(some.map(|(name, selector)| (name.clone(), selector.clone())).collect())
    }

    pub(in crate::stages) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub(in crate::stages) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Each with its selector.
    pub(in crate::stages) fn each(&self) -> impl Iterator<Item = (&String, &BTreeMap<String, String>)> {
        self.0.iter()
    }

    /// The labels that a pod must carry to be behind all of them.
    ///
    /// # Errors
    /// When two of them ask for different values of one label.
    pub(in crate::stages) fn labels(&self) -> Result<BTreeMap<String, String>, Halt> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for (name, selector) in &self.0 {
            for (key, value) in selector {
                if let Some(other) = all.insert(key.clone(), value.clone()).filter(|other| other != value) {
                    return Err(Halt::Refused(format!(
                        "Service {name} selects `{key}={value}` and another of the `services` `{key}={other}`: no pod is behind both"
                    )));
                }
            }
        }
        Ok(all)
    }

    /// The labels that this group gives and loses; those that it selects its own pods by cannot be taken from them.
    pub(in crate::stages) fn labels_for(&self, group: &Group) -> Result<BTreeMap<String, String>, Halt> {
        let labels = self.labels()?;
        match group.selects_by(&labels) {
            None => Ok(labels),
            Some(key) => Err(Halt::Refused(format!(
                "{} selects its own pods by `{key}`, and so does Service {}: a pod that loses that label is replaced. Select the \
                 server group's pods by labels that no Service selects by",
                group.object,
                self.selecting_by(key).unwrap_or_default()
            ))),
        }
    }

    /// The Service that selects by this label.
    pub(in crate::stages) fn selecting_by(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(_, selector)| selector.contains_key(key)).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::group;
    use super::*;

    fn services(all: &[(&str, &[(&str, &str)])]) -> Services {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Services(all.iter().map(|(name, selector)| ((*name).to_owned(), owned(selector))).collect())
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Halt>) -> String {
        match result {
            Err(Halt::Refused(reason)) => reason,
            other => panic!("it was not refused: {other:?}"),
        }
    }

    #[test]
    fn a_group_is_enabled_when_any_of_its_services_finds_its_pods() {
        let all = services(&[("web", &[("app", "web")]), ("admin", &[("app", "web"), ("role", "admin")])]);
        assert!(group(1, 0, 2, &json!({"app": "web"})).is_enabled(&all));
        assert!(!group(1, 0, 2, &json!({"role": "admin"})).is_enabled(&all));
        assert_eq!(all.of(&group(1, 0, 2, &json!({}))).names(), ["web"]);
    }

    #[test]
    fn services_that_no_pod_can_be_behind_together_are_refused() {
        let reason = refusal(services(&[("a", &[("app", "a")]), ("b", &[("app", "b")])]).labels());
        assert_eq!(
            reason,
            "Service b selects `app=b` and another of the `services` `app=a`: no pod is behind both"
        );
    }

    #[test]
    fn a_label_that_a_group_selects_by_is_not_taken_from_its_pods() {
        let key = pilothouse_cluster::SEQUENCE_LABEL;
        let reason = refusal(services(&[("web", &[(key, "1")])]).labels_for(&group(1, 0, 2, &json!({}))));
        assert!(reason.contains("so does Service web: a pod that loses that label is replaced"), "{reason}");
    }
}

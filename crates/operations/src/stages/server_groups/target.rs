//! Which server group a stage means: by name, or by a rule among those of a cluster or with some labels (T41-T44).

use std::collections::BTreeMap;

use pilothouse_cluster::{Cluster, ObjectRef};
use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Group, Halt, KIND, of_cluster, selected};
use crate::stages::check;

/// Which of several server groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// The one created last.
    Newest,
    /// The one before it.
    SecondNewest,
    /// The one created first.
    Oldest,
    /// The one with the most pods; the newest of those.
    Largest,
}

impl Pick {
    fn words(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::SecondNewest => "second newest",
            Self::Oldest => "oldest",
            Self::Largest => "largest",
        }
    }

    /// Its choice among groups that are sorted, the newest first.
    fn of(self, groups: &[Group]) -> Option<&Group> {
        match self {
            Self::Newest => groups.first(),
            Self::SecondNewest => groups.get(1),
            Self::Oldest => groups.last(),
            // Of several largest, `max_by_key` gives the last.
            Self::Largest => groups.iter().rev().max_by_key(|group| group.replicas),
        }
    }
}

/// What a stage that acts on one server group says about which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The server group, by name: `shop-prod-v007`. May have `${ … }`. This, `clusterName` or `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_group: Option<String>,
    /// The cluster (`shop-prod`), of which `target` says which. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Which one of the cluster, or of those with the labels, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Pick>,
    /// Labels that the server group carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Options {
    /// What is wrong with it, as far as that is known before it runs.
    pub(in crate::stages) fn problems(&self) -> Vec<Problem> {
        let named = [
            ("serverGroup", self.server_group.is_some()),
            ("clusterName", self.cluster_name.is_some()),
            ("labels", !self.labels.is_empty()),
        ];
        let mut problems = Vec::new();
        let mut given = named.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
        match (given.next(), given.next()) {
            (None, _) => {
                problems.push(Problem::new("", "it says no server group").with_hint(
                    "write `serverGroup: NAME`, or `clusterName: APP-STACK` with `target: newest`",
                ));
            }
            (Some(first), Some(second)) => problems.push(
                Problem::new(second, format!("there is a `{first}` too")).with_hint("keep one of the two"),
            ),
            (Some("clusterName"), None) if self.target.is_none() => problems.push(
                Problem::new("target", "a cluster has several server groups")
                    .with_hint("write `newest`, `second-newest`, `oldest` or `largest`"),
            ),
            (Some("serverGroup"), None) if self.target.is_some() => problems.push(
                Problem::new("target", "the server group is named already").with_hint("leave `target` out"),
            ),
            (Some(_), None) => {}
        }
        let texts = [("serverGroup", &self.server_group), ("clusterName", &self.cluster_name)];
        problems.extend(texts.iter().filter_map(|(path, text)| name(path, text.as_deref()?)));
        problems
    }

    /// The server group that is meant.
    pub(in crate::stages) async fn find(&self, cluster: &Cluster, namespace: &str) -> Result<Group, Halt> {
        if let Some(name) = &self.server_group {
            let (api_version, kind) = KIND;
            let object = ObjectRef::namespaced(api_version, kind, namespace, name.as_str());
            let live = cluster.get(&object).await?;
            let group = live.as_ref().and_then(Group::of);
            let group = group.ok_or_else(|| Halt::Refused(format!("{object} does not exist")))?;
            group.stands_alone()?;
            return Ok(group);
        }
        let (groups, whose) = match &self.cluster_name {
            Some(name) => {
                (of_cluster(cluster, namespace, name).await?, format!("cluster {namespace}/{name}"))
            }
            None => {
                let pairs: Vec<String> =
                    self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let selector = pairs.join(",");
                let groups = selected(cluster, namespace, &selector).await?;
                (groups, format!("namespace {namespace} with {selector}"))
            }
        };
        choose(&groups, self.target, &whose)
    }
}

fn choose(groups: &[Group], target: Option<Pick>, whose: &str) -> Result<Group, Halt> {
    let names: Vec<&str> = groups.iter().map(Group::name).collect();
    match (groups, target) {
        ([], _) => Err(Halt::Refused(format!("there is no server group in {whose}"))),
        ([only], None) => Ok(only.clone()),
        (_, None) => Err(Halt::Refused(format!(
            "there are {} server groups in {whose} ({}): say by `target` which one is meant",
            names.len(),
            names.join(", ")
        ))),
        (_, Some(pick)) => pick.of(groups).cloned().ok_or_else(|| {
            Halt::Refused(format!(
                "there is no {} server group in {whose}, only {}",
                pick.words(),
                names.join(", ")
            ))
        }),
    }
}

/// What is wrong with the options of a stage that says no more than which server group.
pub(in crate::stages) fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options) {
        Ok(parsed) => problems.extend(parsed.problems()),
        Err(problem) => return vec![problem],
    }
    problems
}

/// What is wrong with a name, unless it is known only when the stage begins.
pub(in crate::stages) fn name(path: &str, text: &str) -> Option<Problem> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if check::has_expression(text) || (!text.is_empty() && text.len() <= 63 && text.chars().all(fits)) {
        return None;
    }
    Some(Problem::new(
        path,
        format!("`{text}` is no name: use lower case letters, digits and `-`, at most 63"),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::group;
    use super::*;

    fn groups() -> Vec<Group> {
        vec![group(3, 3, 1, &json!({})), group(2, 2, 4, &json!({})), group(1, 1, 4, &json!({}))]
    }

    #[test]
    fn each_rule_picks_its_own() {
        let of = |pick| choose(&groups(), Some(pick), "cluster dev/shop").unwrap().name().to_owned();
        assert_eq!(of(Pick::Newest), "shop-v003");
        assert_eq!(of(Pick::SecondNewest), "shop-v002");
        assert_eq!(of(Pick::Oldest), "shop-v001");
        assert_eq!(of(Pick::Largest), "shop-v002");
    }

    #[test]
    fn what_cannot_be_picked_is_refused_with_what_there_is() {
        let refused = |groups: &[Group], pick| match choose(groups, pick, "cluster dev/shop") {
            Err(Halt::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        };
        insta::assert_snapshot!(
            [
                refused(&[], Some(Pick::Newest)),
                refused(&groups(), None),
                refused(&groups()[..1], Some(Pick::SecondNewest)),
            ]
            .join("\n"),
            @r"
        there is no server group in cluster dev/shop
        there are 3 server groups in cluster dev/shop (shop-v003, shop-v002, shop-v001): say by `target` which one is meant
        there is no second newest server group in cluster dev/shop, only shop-v003
        "
        );
    }

    #[test]
    fn exactly_one_way_to_say_which_is_asked_for() {
        let problems = |value: Value| {
            let options: Options = serde_json::from_value(value).unwrap();
            options.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        for fine in [
            json!({"serverGroup": "shop-v001"}),
            json!({"clusterName": "shop-${ params.stack }", "target": "oldest"}),
            json!({"labels": {"tier": "web"}}),
        ] {
            assert_eq!(problems(fine), "");
        }
        insta::assert_snapshot!(
            [
                problems(json!({})),
                problems(json!({"serverGroup": "shop-v001", "clusterName": "shop"})),
                problems(json!({"clusterName": "shop"})),
                problems(json!({"serverGroup": "Shop v1", "target": "newest"})),
            ]
            .join("\n"),
            @r"
        it says no server group; write `serverGroup: NAME`, or `clusterName: APP-STACK` with `target: newest`
        clusterName: there is a `serverGroup` too; keep one of the two
        target: a cluster has several server groups; write `newest`, `second-newest`, `oldest` or `largest`
        target: the server group is named already; leave `target` out
        serverGroup: `Shop v1` is no name: use lower case letters, digits and `-`, at most 63
        "
        );
    }
}

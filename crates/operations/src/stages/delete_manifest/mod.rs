//! `delete-manifest`: deletes objects by name, by labels, all of a kind, or one server group by a rule (T55, T43).

mod options;

use pilothouse_cluster::{DeleteOptions, ObjectRef};
use pilothouse_domain::pipeline::StageTypeInfo;
use serde_json::{Value, json};

pub use options::{Cascade, FullKind, KindName, Options, Target};

use super::server_groups::Halt;
use super::steps::{Leaving, Plan, Planned, Step};
use super::workload::{self, Claims};
use super::{StageContext, StageEnd, StageType, Stepped};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "delete-manifest";

/// The most objects that one stage deletes.
const MOST: usize = 200;

/// Deletes objects.
#[derive(Debug, Clone, Copy)]
pub struct DeleteManifest;

impl StageType for DeleteManifest {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Deletes Kubernetes objects, and waits until they are gone.",
            schema: schemars::schema_for!(Options),
            validate: options::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T55, T43, T15"
    }

    fn undone(&self) -> &'static str {
        "Creates anew what it deleted, as it was; stored data does not come back."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let namespace = options.namespace.as_deref().unwrap_or(&stage.environment.namespace);
    let found = match (options.picks(), options.objects.is_empty()) {
        (true, _) => picked(stage, &options, namespace).await?,
        (false, true) => of_kinds(stage, &options, namespace).await?,
        (false, false) => named(stage, &options, namespace).await?,
    };
    let Found { objects, missing } = found;
    if !missing.is_empty() && !options.ignore_missing {
        return Ok(Planned::refused(format!(
            "{}: correct what is to be deleted, or say `ignoreMissing: true`",
            missing.join("; ")
        )));
    }
    if let Some(reason) = refused(&objects, &options) {
        return Ok(Planned::refused(reason));
    }
    if objects.is_empty() {
        let output = json!({ "deleted": [], "missing": missing });
        return Ok(Planned::Ends(StageEnd::succeeded(output)));
    }
    Ok(Planned::Steps(steps(stage, &options, &objects, &missing)))
}

/// What there is of what is to be deleted, and what there is not.
struct Found {
    objects: Vec<(ObjectRef, Value)>,
    missing: Vec<String>,
}

async fn named(
    stage: &StageContext<'_>,
    options: &Options,
    namespace: &str,
) -> Result<Found, OperationError> {
    let cluster = stage.cluster().await?;
    let mut found = Found { objects: Vec::new(), missing: Vec::new() };
    for target in &options.objects {
        let namespace = target.namespace.as_deref().unwrap_or(namespace);
        let asked = ObjectRef::namespaced(target.api_version(), &target.kind, namespace, target.name.trim());
        let live = match cluster.get(&asked).await {
            Ok(live) => live,
            // Without its kind there is no object.
            Err(pilothouse_cluster::ClusterError::UnknownKind { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match live {
            None => found.missing.push(format!("{asked} does not exist")),
            Some(live) => {
                let object = ObjectRef::of(&live).unwrap_or(asked);
                if !found.objects.iter().any(|(other, _)| *other == object) {
                    found.objects.push((object, live));
                }
            }
        }
    }
    Ok(found)
}

/// The server group that the rule means among those that there are.
async fn picked(
    stage: &StageContext<'_>,
    options: &Options,
    namespace: &str,
) -> Result<Found, OperationError> {
    let cluster = stage.cluster().await?;
    let object = match options.pick().find(&cluster, namespace).await {
        Ok(group) => group.object,
        Err(Halt::Refused(reason)) => return Ok(Found { objects: Vec::new(), missing: vec![reason] }),
        Err(Halt::Failed(error)) => return Err(error),
    };
    Ok(match cluster.get(&object).await? {
        Some(live) => Found { objects: vec![(object, live)], missing: Vec::new() },
        None => Found { objects: Vec::new(), missing: vec![format!("{object} does not exist")] },
    })
}

async fn of_kinds(
    stage: &StageContext<'_>,
    options: &Options,
    namespace: &str,
) -> Result<Found, OperationError> {
    let cluster = stage.cluster().await?;
    let selector: Vec<String> = options.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let selector = selector.join(",");
    let labels = (!selector.is_empty()).then_some(selector.as_str());
    let mut objects = Vec::new();
    for kind in &options.kinds {
        let all = cluster.select(kind.names(), namespace, labels).await?;
        let meant = all.into_iter().filter(|live| !kept_by_the_cluster(live));
        objects.extend(meant.filter_map(|live| Some((ObjectRef::of(&live)?, live))));
    }
    let missing = match objects.is_empty() {
        false => Vec::new(),
        true => {
            let kinds: Vec<&str> = options.kinds.iter().map(|kind| kind.names().1).collect();
            let which = labels.map(|labels| format!(" with {labels}")).unwrap_or_default();
            vec![format!("{namespace} has no {}{which}", kinds.join(" and no "))]
        }
    };
    Ok(Found { objects, missing })
}

/// What each namespace has by itself, and would have again.
fn kept_by_the_cluster(live: &Value) -> bool {
    matches!(
        (live["kind"].as_str(), live["metadata"]["name"].as_str()),
        (Some("ConfigMap"), Some("kube-root-ca.crt")) | (Some("ServiceAccount"), Some("default"))
    )
}

/// Why these may not be deleted.
fn refused(objects: &[(ObjectRef, Value)], options: &Options) -> Option<String> {
    if objects.len() > MOST {
        return Some(format!(
            "these are {} objects, and one stage deletes at most {MOST}: name them more closely, or in several stages",
            objects.len()
        ));
    }
    // Deleted as a whole it is not scaled: `whenScaled` does not count.
    let takes_claims =
        |live: &Value| workload::takes_claims(live, Claims::Deleted) && options.cascade != Cascade::Orphan;
    let lost = objects
        .iter()
        .find(|(object, live)| options::loses_data(&object.api_version, &object.kind) || takes_claims(live));
    lost.filter(|_| !options.allow_data_loss).map(|(object, _)| {
        format!("what is stored with {object} goes with it, and does not come back: say `allowDataLoss: true` if that is meant")
    })
}

fn steps(
    stage: &StageContext<'_>,
    options: &Options,
    objects: &[(ObjectRef, Value)],
    missing: &[String],
) -> Plan {
    let mut steps: Vec<Step> = guards(stage, options, objects).collect();
    steps.extend(objects.iter().map(|(object, live)| {
        Step::Delete {
            object: object.clone(),
            options: DeleteOptions {
                uid: live["metadata"]["uid"].as_str().map(str::to_owned),
                cascade: options.cascade.into(),
                grace_seconds: (options.grace_period.filter(|_| object.kind == "Pod"))
                    .and_then(|span| u32::try_from(span.as_millis() / 1000).ok()),
                dry_run: false,
            },
        }
    }));
    let deleted: Vec<&ObjectRef> = objects.iter().map(|(object, _)| object).collect();
    Plan { steps, output: json!({ "deleted": deleted, "missing": missing }) }
}

/// One guard for each namespace, over all of the workloads there: together they may take away what each alone would not. Services that
/// are deleted with them need no endpoints.
fn guards<'a>(
    stage: &'a StageContext<'_>,
    options: &Options,
    objects: &[(ObjectRef, Value)],
) -> impl Iterator<Item = Step> + use<'a> {
    // Pods stay when their owner goes without them; a Pod itself does not.
    let goes = |object: &ObjectRef| {
        workload::has_pods(object) && (options.cascade != Cascade::Orphan || object.kind == "Pod")
    };
    let mut by_namespace: std::collections::BTreeMap<String, Vec<ObjectRef>> =
        std::collections::BTreeMap::new();
    for (object, _) in objects.iter().filter(|(object, _)| goes(object)) {
        by_namespace.entry(object.namespace.clone().unwrap_or_default()).or_default().push(object.clone());
    }
    let services = objects.iter().filter(|(object, _)| object.kind == "Service" && object.group().is_empty());
    let services: Vec<ObjectRef> = services.map(|(object, _)| object.clone()).collect();
    let least = stage.traffic_guard();
    by_namespace.into_iter().map(move |(namespace, objects)| {
        let here = services.iter().filter(|service| service.namespace.as_deref() == Some(&namespace));
        Step::Guard {
            gone: here.map(|service| service.name.clone()).collect(),
            namespace,
            services: Vec::new(),
            leaving: Leaving::Workloads { objects },
            least,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn what_is_to_be_deleted_is_said_in_so_many_words() {
        for fine in [
            json!({"objects": [{"kind": "ConfigMap", "name": "web"}, {"kind": "Certificate", "apiVersion": "cert-manager.io/v1", "name": "a"}]}),
            json!({"kinds": ["Deployment", {"kind": "HTTPRoute", "apiVersion": "gateway.networking.k8s.io/v1"}], "labels": {"app": "${ params.replicas }"}}),
            json!({"kinds": ["Job"], "all": true, "cascade": "foreground"}),
            json!({"kinds": ["Job", "Pod"], "all": true, "gracePeriod": "5s"}),
            json!({"objects": [{"kind": "Namespace", "name": "old"}], "allowDataLoss": true}),
            json!({"clusterName": "shop-${ params.replicas }", "target": "second-newest", "ignoreMissing": true}),
        ] {
            assert_eq!(problems(&DeleteManifest, &fine), "");
        }
        let all = [
            json!({}),
            json!({"objects": [{"kind": "ConfigMap", "name": "a"}], "kinds": ["Job"], "all": true}),
            json!({"objects": [{"kind": "Deploymnet", "name": " "}], "labels": {"a": "b"}}),
            json!({"kinds": ["Certificate"]}),
            json!({"kinds": ["Job"], "labels": {"a": "b"}, "all": true}),
            json!({"kinds": ["PersistentVolumeClaim"], "all": true}),
            json!({"clusterName": "shop", "kinds": ["Job"]}),
            json!({"target": "oldest", "gracePeriod": "5s"}),
            json!({"objects": [{"kind": "Deployment", "name": "a"}], "gracePeriod": "5s"}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&DeleteManifest, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        nothing says what to delete; name `objects`, `kinds` with `labels` or `all: true`, or `clusterName` with `target`
        kinds: there are `objects` too; keep one of the two
        labels: `objects` are deleted by name; name `kinds` instead
        objects[0].name: the name is empty
        objects[0]: the API of kind `Deploymnet` is not known; did you mean `Deployment`?
        kinds: nothing says which objects of these kinds; name their `labels`, or say `all: true` for every one in the namespace
        kinds[0]: the API of kind `Certificate` is not known; name its `apiVersion` too
        all: there are `labels` too; keep one of the two
        kinds[0]: what is in a PersistentVolumeClaim goes with it, and does not come back; say `allowDataLoss: true` if that is meant
        kinds: a rule says already what is deleted; leave it out, or `clusterName` and `target`
        target: a cluster has several server groups; write `newest`, `second-newest`, `oldest` or `largest`
        gracePeriod: it is for Pods, and a server group is a ReplicaSet; leave it out, or set `terminationGracePeriodSeconds` in its template
        target: it says no cluster; write `clusterName: APP-STACK` too
        gracePeriod: it is for Pods, and the pods of a Deployment end in the time that their template gives them; leave it out, or set `terminationGracePeriodSeconds` in the template
        ");
    }

    #[test]
    fn a_set_that_takes_its_claims_with_it_is_asked_about() {
        let db = ObjectRef::namespaced("apps/v1", "StatefulSet", "dev", "db");
        let live = json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}});
        let options = |value: Value| serde_json::from_value::<Options>(value).unwrap();
        let all = [(db, live)];
        let reason = refused(&all, &options(json!({}))).unwrap();
        assert!(reason.starts_with("what is stored with StatefulSet dev/db goes with it"), "{reason}");
        assert_eq!(refused(&all, &options(json!({"cascade": "orphan"}))), None);
        assert_eq!(refused(&all, &options(json!({"allowDataLoss": true}))), None);
    }
}

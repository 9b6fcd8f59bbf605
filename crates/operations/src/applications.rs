//! What an application has in its clusters (T6, T7), and the links of its instances (T14).
//!
//! Where to look is what its pipelines say: each account and namespace that one of its environments deploys to. What is there
//! is found by the application's label, never by listing everything.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use pilothouse_domain::instance_links::{InstanceLinks, SavedLinks};
use pilothouse_domain::inventory::{
    ApplicationCluster, InstanceView, Inventory, LoadBalancerView, Place, ServerGroupView,
};
use pilothouse_domain::problem::Problems;
use pilothouse_store::Transaction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::places::places_of;
use crate::{Context, OperationError};

/// The most places that are looked at.
const MOST_PLACES: usize = 20;
/// The most server groups whose instances are read.
const MOST_GROUPS: usize = 40;
/// How many places, or server groups, are read at once.
const AT_ONCE: usize = 4;

/// What an application has in its clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationView {
    /// The application.
    pub application: String,
    /// Where it was looked for.
    pub places: Vec<Place>,
    /// Its clusters with their server groups, by place and name.
    pub clusters: Vec<ApplicationCluster>,
    /// Its load balancers, by place and name.
    pub load_balancers: Vec<LoadBalancerView>,
    /// What could not be read, or was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The instances of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationInstances {
    /// The application.
    pub application: String,
    /// The pods, by place, cluster and server group.
    pub instances: Vec<InstanceView>,
    /// What could not be read, or was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The application's clusters, server groups and load balancers, as its clusters show them now.
///
/// # Errors
/// [`OperationError::NotFound`] when no pipeline is of the application; the table's. What a cluster does not tell is a note.
pub async fn application_clusters(
    context: &Context,
    application: &str,
) -> Result<ApplicationView, OperationError> {
    let mut places = places(context, application).await?;
    let mut notes = Vec::new();
    if places.len() > MOST_PLACES {
        notes.push(format!("{} more places", places.len() - MOST_PLACES));
        places.truncate(MOST_PLACES);
    }
    let found: Vec<Inventory> = futures::stream::iter(places.clone())
        .map(|place| inventory(context, application, place))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut view = ApplicationView {
        application: application.to_owned(),
        places,
        clusters: Vec::new(),
        load_balancers: Vec::new(),
        notes,
    };
    for inventory in found {
        view.clusters.extend(inventory.clusters);
        view.load_balancers.extend(inventory.load_balancers);
        view.notes.extend(inventory.notes);
    }
    Ok(view)
}

async fn inventory(context: &Context, application: &str, place: Place) -> Inventory {
    let read = async {
        let cluster = context.clusters.get(&place.account).await?;
        Ok::<_, OperationError>(cluster.inventory(&place.account, &place.namespace, application).await?)
    };
    read.await.unwrap_or_else(|error| Inventory {
        notes: vec![format!("{}/{}: {error}", place.account, place.namespace)],
        ..Inventory::default()
    })
}

/// The application's pods, of one cluster if it is named, each with its links.
///
/// # Errors
/// [`OperationError::NotFound`] when no pipeline is of the application, or it has no such cluster; the table's.
pub async fn application_instances(
    context: &Context,
    application: &str,
    cluster: Option<&str>,
) -> Result<ApplicationInstances, OperationError> {
    let view = application_clusters(context, application).await?;
    let links = instance_links(context, application).await?;
    let ApplicationView { clusters, mut notes, .. } = view;
    let names: BTreeSet<String> = clusters.iter().map(|c| format!("`{}`", c.name)).collect();
    let wanted = |c: &ApplicationCluster| cluster.is_none_or(|name| c.name == name);
    let mut groups: Vec<(ApplicationCluster, ServerGroupView)> = clusters
        .into_iter()
        .filter(wanted)
        .flat_map(|c| c.server_groups.clone().into_iter().map(move |group| (c.clone(), group)))
        .collect();
    if let Some(name) = cluster.filter(|_| groups.is_empty()) {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let hint =
            if names.is_empty() { "nothing of it runs".to_owned() } else { format!("there is {names}") };
        return Err(OperationError::NotFound { what: format!("cluster `{name}` of `{application}`"), hint });
    }
    if groups.len() > MOST_GROUPS {
        notes.push(format!(
            "{} more server groups; name a cluster to see its own",
            groups.len() - MOST_GROUPS
        ));
        groups.truncate(MOST_GROUPS);
    }
    let read: Vec<Result<Vec<InstanceView>, String>> = futures::stream::iter(groups)
        .map(|(cluster, group)| instances_of(context, cluster, group))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut instances = Vec::new();
    for found in read {
        match found {
            Ok(found) => instances.extend(found),
            Err(note) => notes.push(note),
        }
    }
    for instance in &mut instances {
        instance.links = links.of(application, instance);
    }
    Ok(ApplicationInstances { application: application.to_owned(), instances, notes })
}

async fn instances_of(
    context: &Context,
    cluster: ApplicationCluster,
    group: ServerGroupView,
) -> Result<Vec<InstanceView>, String> {
    let client = context.clusters.get(&cluster.account).await.map_err(|error| error.to_string())?;
    let found = client.server_group_instances(&cluster.namespace, &group).await;
    let found = found.map_err(|error| error.to_string())?;
    let view = |instance| InstanceView {
        cluster: cluster.name.clone(),
        server_group: group.name.clone(),
        account: cluster.account.clone(),
        namespace: cluster.namespace.clone(),
        instance,
        links: Vec::new(),
    };
    Ok(found.into_iter().map(view).collect())
}

/// Each account and namespace that the stages of the application's pipelines act on, in order.
async fn places(context: &Context, application: &str) -> Result<Vec<Place>, OperationError> {
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut cursor = None;
    let mut pipelines = 0;
    loop {
        let page = context.store.pipelines(Some(application), 100, cursor.as_ref()).await?;
        let next = page.next.clone();
        for head in page.records() {
            pipelines += 1;
            let revision =
                context.store.pipeline_revision(application, &head.pipeline, head.revision).await?;
            for environment in revision.iter().flat_map(|revision| &revision.spec.environments) {
                for place in places_of(environment) {
                    found.entry(place).or_default().insert(environment.name.clone());
                }
            }
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if pipelines == 0 {
        return Err(no_application(application));
    }
    let place = |((account, namespace), environments): ((String, String), BTreeSet<String>)| Place {
        account,
        namespace,
        environments: environments.into_iter().collect(),
    };
    Ok(found.into_iter().map(place).collect())
}

fn no_application(application: &str) -> OperationError {
    OperationError::NotFound {
        what: format!("a pipeline of the application `{application}`"),
        hint: "see `pilothouse pipeline ls`".to_owned(),
    }
}

/// The links of an application's instances; none where nobody saved any.
///
/// # Errors
/// The table's.
pub async fn instance_links(context: &Context, application: &str) -> Result<InstanceLinks, OperationError> {
    let saved = context.store.instance_links(application).await?;
    Ok(saved.map(|saved| saved.record.links).unwrap_or_default())
}

/// Saves the links of an application's instances in the place of those before.
///
/// # Errors
/// [`OperationError::Invalid`] with everything that is wrong with them; [`OperationError::NotFound`] when no pipeline is of the
/// application; the table's.
pub async fn set_instance_links(
    context: &Context,
    application: &str,
    links: InstanceLinks,
    by: &str,
) -> Result<InstanceLinks, OperationError> {
    let problems = links.problems();
    if !problems.is_empty() {
        return Err(OperationError::Invalid(Problems(problems)));
    }
    if context.store.pipelines(Some(application), 1, None).await?.records().is_empty() {
        return Err(no_application(application));
    }
    let saved = SavedLinks {
        application: application.to_owned(),
        links,
        saved_by: by.to_owned(),
        saved_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&saved)).await?;
    Ok(saved.links)
}

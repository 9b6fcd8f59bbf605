//! Cluster accounts: added, verified, listed and removed (T9, T10). Only an administrator changes them.

mod check;
mod uses;

use std::time::Duration;

use pilothouse_cluster::{Cluster, ClusterError, MissingPermission};
use pilothouse_domain::cluster_account::{ClusterAccount, ClusterCredentials, Lacking, Verification};
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_store::{Cursor, Transaction, Versioned};

use crate::{Context, OperationError};

pub(crate) use check::check_pipeline_clusters;

/// How long a cluster may take to answer all that it is asked. A call of the API has not much more.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often a write is tried again when others change the same account.
const TRIES: u32 = 20;
/// How many pages of accounts one search looks through.
const MOST_PAGES: u32 = 20;

/// What a cluster account is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCluster {
    /// Its name: lower case letters, digits and `-`, at most 63.
    pub name: String,
    /// How the cluster is reached.
    pub credentials: ClusterCredentials,
    /// The namespaces that its permissions are asked for; the whole cluster when empty.
    pub namespaces: Vec<String>,
}

/// Adds a cluster account, or changes how it is reached, and asks the cluster what it allows. One that does not answer is
/// kept nevertheless, as failed and with the reason; credentials that could never work are refused.
///
/// # Errors
/// [`OperationError::Invalid`] for what could never work; [`OperationError::Conflicting`] for the name of a cluster that
/// lives in this process.
pub async fn set_cluster(
    context: &Context,
    ask: &SetCluster,
    by: &str,
) -> Result<ClusterAccount, OperationError> {
    check::check(ask)?;
    if context.clusters.registered(&ask.name).is_some() {
        return Err(OperationError::Conflicting(format!(
            "`{}` is the cluster of this process; take another name",
            ask.name
        )));
    }
    let verification = match asked(context, context.clusters.reach(&ask.credentials), &ask.namespaces).await {
        // What is written there is wrong, and will not become right by itself.
        Err(OperationError::Cluster(
            error @ (ClusterError::Kubeconfig { .. } | ClusterError::Account { .. }),
        )) => return Err(invalid("credentials", error.to_string())),
        said => said.unwrap_or_else(|error| failed(context, &error)),
    };
    for _ in 0..TRIES {
        let former = context.store.cluster_account(&ask.name).await?;
        let account = ClusterAccount {
            name: ask.name.clone(),
            credentials: ask.credentials.clone(),
            namespaces: ask.namespaces.clone(),
            verification: verification.clone(),
            created_at: former.as_ref().map_or_else(|| context.now(), |former| former.record.created_at),
            created_by: former
                .as_ref()
                .map_or_else(|| by.to_owned(), |former| former.record.created_by.clone()),
        };
        let tx = match &former {
            Some(former) => Transaction::new().replace(former, &account),
            None => Transaction::new().create(&account),
        };
        if context.commit(tx).await? {
            context.clusters.forget(&ask.name);
            return Ok(account);
        }
    }
    Err(OperationError::Conflicting(format!("others keep changing the cluster `{}`; try again", ask.name)))
}

/// The account of that name.
///
/// # Errors
/// [`OperationError::NotFound`] when there is none.
pub async fn get_cluster(context: &Context, name: &str) -> Result<ClusterAccount, OperationError> {
    Ok(stored(context, name).await?.record)
}

/// Asks the cluster anew what it allows, and keeps what it said.
///
/// # Errors
/// [`OperationError::NotFound`] when there is no such account. That the cluster does not answer is no error: the account
/// says so.
pub async fn verify_cluster(context: &Context, name: &str) -> Result<ClusterAccount, OperationError> {
    let of = stored(context, name).await?.record;
    let reach = async {
        match context.clusters.registered(name) {
            Some(cluster) => Ok(cluster),
            None => context.clusters.reach(&of.credentials).await,
        }
    };
    // Once: a caller of the API does not wait for more.
    let verification =
        asked(context, reach, &of.namespaces).await.unwrap_or_else(|error| failed(context, &error));
    for _ in 0..TRIES {
        let account = stored(context, name).await?;
        if (&account.record.credentials, &account.record.namespaces) != (&of.credentials, &of.namespaces) {
            // Somebody saved it anew meanwhile, and that asked the cluster too.
            return Ok(account.record);
        }
        let next = ClusterAccount { verification: verification.clone(), ..account.record.clone() };
        if context.commit(Transaction::new().replace(&account, &next)).await? {
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting(format!("others keep changing the cluster `{name}`; try again")))
}

/// A part of the accounts, by name: those whose name holds `search`. A part may hold fewer than `limit`, and yet have a
/// next one.
///
/// # Errors
/// [`OperationError`] when they cannot be read, or the cursor is of another list.
pub async fn list_clusters(
    context: &Context,
    search: Option<&str>,
    limit: u32,
    cursor: Option<Cursor>,
) -> Result<(Vec<ClusterAccount>, Option<Cursor>), OperationError> {
    let wanted = |account: &ClusterAccount| search.is_none_or(|text| account.name.contains(text));
    let mut next = cursor;
    for _ in 0..MOST_PAGES {
        let page = context.store.cluster_accounts(limit, next.as_ref()).await?;
        next.clone_from(&page.next);
        let found: Vec<ClusterAccount> = page.records().into_iter().filter(wanted).collect();
        if !found.is_empty() || next.is_none() {
            return Ok((found, next));
        }
    }
    Ok((Vec::new(), next))
}

/// Removes an account that nothing uses.
///
/// # Errors
/// [`OperationError::NotFound`] when there is none; [`OperationError::Conflicting`] with the pipelines and deployments that
/// use it.
pub async fn remove_cluster(context: &Context, name: &str) -> Result<(), OperationError> {
    for _ in 0..TRIES {
        let account = stored(context, name).await?;
        if context.clusters.registered(name).is_some() {
            return Err(OperationError::Conflicting(format!("`{name}` is the cluster of this process")));
        }
        if let Some(users) = uses::uses(context, name).await? {
            return Err(OperationError::Conflicting(format!(
                "the cluster `{name}` is in use by {users}; change them first, or let them come to their end"
            )));
        }
        if context.commit(Transaction::new().delete(&account)).await? {
            context.clusters.forget(name);
            return Ok(());
        }
    }
    Err(OperationError::Conflicting(format!("others keep changing the cluster `{name}`; try again")))
}

async fn stored(context: &Context, name: &str) -> Result<Versioned<ClusterAccount>, OperationError> {
    let shown: String = name.chars().take(63).collect();
    context.store.cluster_account(name).await?.ok_or_else(|| OperationError::NotFound {
        what: format!("cluster `{shown}`"),
        hint: "list clusters with `pilothouse cluster ls`".to_owned(),
    })
}

/// Reaches a cluster, and asks for its version and for the permissions (T10); all of it within our patience, and a cluster that says
/// nothing is a verification that failed.
async fn asked(
    context: &Context,
    reach: impl Future<Output = Result<Cluster, OperationError>>,
    namespaces: &[String],
) -> Result<Verification, OperationError> {
    let asking = async {
        let cluster = reach.await?;
        let version = cluster.ping().await?;
        let missing = cluster.missing_permissions(namespaces).await?;
        Ok::<_, OperationError>((version, missing))
    };
    let Ok(said) = tokio::time::timeout(PATIENCE, asking).await else {
        return Ok(failed(context, &format!("no answer within {} s", PATIENCE.as_secs())));
    };
    let (version, missing) = said?;
    let shown = match version.git_version.is_empty() {
        true => format!("v{}.{}", version.major, version.minor),
        false => version.git_version,
    };
    Ok(Verification::of(shown, missing.into_iter().map(lacking).collect(), context.now()))
}

fn failed(context: &Context, why: &impl ToString) -> Verification {
    Verification::Failed { at: context.now(), reason: why.to_string(), version: None, missing: Vec::new() }
}

fn lacking(missing: MissingPermission) -> Lacking {
    let resource = match missing.group.as_str() {
        "" => missing.resource,
        group => format!("{}.{group}", missing.resource),
    };
    Lacking {
        namespace: missing.namespace,
        resource,
        verbs: missing.verbs,
        required: missing.required,
        used_for: missing.used_for,
    }
}

fn invalid(path: &str, message: impl Into<String>) -> OperationError {
    OperationError::Invalid(Problems::from(Problem::new(path, message)))
}

#[cfg(test)]
mod tests;

//! Kubernetes from outside: apply, snapshot, restore, observe.
//!
//! Nothing is installed in a cluster. Everything is written by server-side apply with one field manager,
//! [`FIELD_MANAGER`], so that the cluster itself knows which fields are ours: [`Cluster::restore`] puts back exactly those.
//! What may be wrong in passing (429, 5xx, a broken connection) is repeated inside with back-off; what a call returns is
//! final for its caller, or [`ClusterError::is_retryable`] later. All waiting is `tokio::time`.
//!
//! One file per action: [`Cluster::apply`], [`Cluster::edit`], [`Cluster::patch_image`], [`Cluster::delete`],
//! [`Cluster::endpoints`], [`Cluster::label_pods`], [`Cluster::workloads_behind`], [`Cluster::split`], [`Cluster::snapshot`], [`Cluster::restore`],
//! [`Cluster::verify`], [`Cluster::observe`], [`Cluster::report`],
//! [`Cluster::inventory`], [`Cluster::instances`], [`Cluster::ping`]. Pure and
//! without a cluster: [`parse_manifests`], [`bind_artifacts`].

mod account;
mod apply;
mod behind;
mod bind;
mod capabilities;
mod changes;
mod cluster;
mod container;
mod delete;
mod discovery;
mod edit;
mod endpoints;
mod error;
mod evidence;
mod field_walk;
mod given_up;
mod history;
mod image;
mod instances;
mod inventory;
mod job_log;
mod kubeconfig;
mod logs;
mod manifest;
mod marks;
mod object;
mod observe;
mod order;
mod owned_fields;
mod patch_image;
mod plan;
mod pod_spec;
mod recreate;
mod references;
mod refusal;
mod rehearsal;
mod report;
mod restore;
mod retry;
mod seal;
mod select;
mod selector;
mod snapshot;
mod surroundings;
mod tidy;
mod traffic_labels;
mod transport;
mod unblock;
mod unusable;
mod verify;
mod versioned;
mod watch_lines;
mod weights;

pub use account::{
    MissingPermission, PERMISSIONS, Permission, ServerAddress, TokenSource, check_address, check_authorities,
    cluster_role,
};
pub use apply::{Applied, ApplyOptions};
pub use bind::{Bound, bind_artifacts};
pub use capabilities::Capabilities;
pub use cluster::{Cluster, Version};
pub use container::ContainerRole;
pub use delete::{Cascade, DeleteOptions};
pub use endpoints::Endpoints;
pub use error::ClusterError;
pub use evidence::{Evidence, FailureReason, PodEvent};
pub use history::Revision;
pub use job_log::JobLog;
pub use kubeconfig::KubeconfigOrigin;
pub use logs::LogTail;
pub use manifest::{Manifest, ManifestError, parse_manifests};
pub use marks::{
    ANNOTATION_PREFIX, APP_NAME_LABEL, APPLICATION_LABEL, CLUSTER_LABEL, DETAIL_LABEL, MANAGED_BY, Marks,
    RESTARTED_AT, SEQUENCE_LABEL, STACK_LABEL, STOPPED_REPLICAS, server_group_labels,
};
pub use object::ObjectRef;
pub use observe::{ObserveOptions, Rollout, Watched};
pub use rehearsal::{Rehearsal, Rehearsed};
pub use report::ReportOptions;
pub use restore::{KeptField, RestoreOptions, RestoreOutcome, Restored};
pub use retry::RetryPolicy;
pub use seal::{SHORTEST_SEALING_KEY, SealError, SealedCopy, SealingKeys};
pub use snapshot::{Snapshot, SnapshotObject, SnapshotState};
pub use traffic_labels::{Carry, Labelled, TRAFFIC_ANNOTATION};
pub use verify::Difference;
pub use versioned::{Provided, VersionedConfig, label, refer_to, refers_to, version_configs};
pub use weights::{Split, can_split};

/// The field manager of everything that Pilothouse applies.
pub const FIELD_MANAGER: &str = "pilothouse";

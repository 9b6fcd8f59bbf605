//! A simulated Kubernetes cluster: API server behaviour and the controllers a release needs.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pilothouse_sim_cluster::{Behaviour, ImageRule, SimCluster};
//!
//! let broken = ImageRule::new("*/shop/web:1.1.0*", Behaviour::crash_loop("no database")).in_namespace("prod");
//! let cluster = SimCluster::builder().namespaces(["dev", "prod"]).rule(broken).build().await?;
//! let service = cluster.service(); // kube::Client::new(service, "default")
//! let server = cluster.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await?).await?;
//! let kubeconfig = cluster.kubeconfig(server.addr(), None); // for kubectl
//! # Ok(()) }
//! ```
//!
//! # What it does as a real cluster does
//! - **API**: discovery (also aggregated), create, get, list (label and field selectors, pages), watch (resource versions, bookmarks, streaming
//!   lists, 410), update with conflicts, the subresources `status`, `scale`, `log`, `eviction` and `token`, JSON, merge and strategic merge
//!   patches, server-side apply (managed fields, conflicts, removal), dry runs, deletion (grace, preconditions, finalizers, the three propagation
//!   policies), collections, tables for `kubectl get`. Unknown and mistyped fields, defaults, sizes, what may not change and the usual
//!   validation are those of the Kubernetes API; refusals are `Status` objects with its wording.
//! - **Permissions**: Roles and bindings hold for everybody but the administrator ([`SimCluster::service_as`], [`SimClusterBuilder::user`], tokens of
//!   service accounts, impersonation), and for reviews of permissions. A [`Denial`] forbids more.
//! - **Custom resources**: CustomResourceDefinitions are served as soon as they are stored, with their schema (pruning, defaults, types, how lists
//!   merge), `status`, `scale` and columns. HTTPRoute and Gateway (Gateway API), VirtualService and DestinationRule (Istio) are there from the start,
//!   unless [`SimClusterBuilder::without`] leaves them out.
//! - **Admission**: ResourceQuotas, LimitRanges, namespaces that are going away. A webhook is a [`Fault`].
//! - **Controllers**: Deployments (rolling and recreate, revisions, pause, scaling, deadline), ReplicaSets, StatefulSets (order, partition,
//!   `maxUnavailable`, ControllerRevisions; a broken pod holds an ordered set up as it does in reality), DaemonSets (`maxUnavailable`, `maxSurge`),
//!   Jobs (back-off, deadline, policy for failed pods, suspension, time to live), Endpoints and EndpointSlices (ready, serving, terminating),
//!   PodDisruptionBudgets, HorizontalPodAutoscalers, quotas, HTTPRoutes of Gateways that exist, garbage collection, namespaces.
//! - **Nodes** (`sim-node-1`; more by [`SimClusterBuilder::nodes`]): pods are scheduled, images pulled (2 to 3 s), containers started, ready (1 to 2 s
//!   later, and after `initialDelaySeconds`), restarted with back-off and stopped (1 s), with the events that go with it. Missing ConfigMaps,
//!   Secrets, claims and service accounts hold them.
//!
//! # Faults and requests
//! [`SimCluster::inject`] takes a [`Fault`]: a status, 429 with `Retry-After`, a webhook's denial, a delay, a lost answer, a connection that breaks, a
//! watch that is cut; for a verb, resource, namespace or path, the next requests or all of them, at once or from the n-th on.
//! [`SimCluster::drop_watches`] and [`SimCluster::compact`] end watches and make them expire. [`SimCluster::requests`] tells what was asked, with verb,
//! resource, selectors and time.
//!
//! # Autoscalers
//! There are no metrics: the annotation `sim-cluster/desired-replicas` on an autoscaler stands for what they ask for. Within 15 s the target has
//! that many, within the bounds; without it the bounds alone hold.
//!
//! # What images do
//! Healthy, unless an [`ImageRule`] says otherwise; the first that matches wins. Rules come from the builder, from
//! [`SimCluster::set_rules`], and then from the ConfigMap `kube-system/sim-images`, whose entries (in the order of their keys) are YAML:
//! ```yaml
//! image: "*/shop/web:1.1.0*"    # glob over the reference in the pod, tag and digest included
//! namespace: prod               # glob; every namespace when absent
//! behaviour: crash-loop         # ready, err-image-pull, crash-loop, never-ready, oom-killed, completes
//! message: cannot reach the database
//! exitCode: 3                   # crash-loop
//! after: 5                      # seconds
//! ```
//! A change takes effect at once, also for pods that run. An entry that cannot be read is told by an event on the ConfigMap.
//!
//! # Time
//! Timestamps come from a [`Clock`], every wait is a `tokio::time` one divided by the builder's `speed`, and there is no timer unless something
//! is pending: on paused time a roll-out takes no time, and a quiet cluster lets time jump. Names, ids and delays come from a seed. With a
//! file every write is in SQLite before it is answered, and the controllers go on from there after a kill.
//!
//! # What it does not do
//! No network: probes are not called and routes not followed. CronJobs and Ingresses are stored, nobody acts on them. A node is never full. There is
//! no `exec`, `attach`, `port-forward` and `proxy`, no OpenAPI schema (`kubectl explain`), no `autoscaling/v1`. Custom resources are not converted
//! between versions, patterns and CEL rules of their schemas are not checked, and Istio's kinds have no schema.
//! Bodies in protobuf are read for the kinds that `kubectl create` and `drain` send (not Ingresses), and refused with 415 where something in them is
//! not understood; answers are always JSON. A ReplicaSet's hash is another than the real one's for the same template.
//!
//! `cargo run -p pilothouse-sim-cluster --example serve` serves one for `kubectl`.

mod access;
mod api;
mod clock;
mod cluster;
mod controllers;
mod custom;
mod error;
mod faults;
mod fields;
mod glob;
mod json;
mod kinds;
mod patch;
mod requests;
mod rng;
mod rules;
mod selector;
mod server;
mod service;
mod status;
mod store;
mod strategy;
mod typed;
mod write;
mod yaml;

pub use access::Denial;
pub use clock::{Clock, TokioClock};
pub use cluster::{SimCluster, SimClusterBuilder};
pub use error::SimError;
pub use faults::{Fault, FaultEffect, FaultScope};
pub use requests::RequestRecord;
pub use rules::{Behaviour, ImageRule};
pub use server::SimServer;
pub use service::SimService;

use std::time::Duration;

use pilothouse_cluster::{Cluster, KubeconfigOrigin, ObserveOptions, Rollout, Watched};
use pilothouse_sim_cluster::{Clock, SimCluster, TokioClock};

use crate::support::{manifests, options, shop};

#[tokio::test]
async fn a_cluster_is_reached_over_http_with_a_kubeconfig() {
    let sim = SimCluster::builder().namespaces(["dev"]).speed(100.0).token("t0ken").build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _server = sim.serve(listener).await.unwrap();
    let connect = async |token: Option<&str>| {
        let kubeconfig = sim.kubeconfig(address, token);
        Cluster::from_kubeconfig(&kubeconfig, None, KubeconfigOrigin::Stored).await.unwrap()
    };
    let stranger = connect(None).await;
    assert_eq!(stranger.ping().await.unwrap_err().code(), "ClusterUnauthenticated");

    let cluster = connect(Some("t0ken")).await;
    cluster.ping().await.unwrap();
    let applied = cluster.apply(&manifests(&shop("1.0.0")), &options("dep_1")).await.unwrap();
    let watched: Vec<Watched> =
        applied.iter().map(|a| Watched { object: a.object.clone(), generation: a.generation }).collect();
    let options = ObserveOptions::new(Duration::from_secs(30), TokioClock::from_system_time().now());
    let rollout = cluster.observe(&watched, &options).await.unwrap();
    assert!(matches!(rollout, Rollout::Ready { .. }), "{rollout:?}");
}

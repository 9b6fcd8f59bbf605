use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use pilothouse_sim_cluster::{Behaviour, ImageRule, SimCluster};
use serde_json::{Value, json};

use crate::objects::{builder, client, cluster, count, create_web, events, reason, rolled_out, text, until};

async fn set_image(api: &Api<Deployment>, image: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}});
    api.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.expect("the image is set");
}

fn pods_of(cluster: &SimCluster, image: &str) -> Vec<Value> {
    let all = cluster.list("Pod", "dev").into_iter();
    all.filter(|p| text(p, "/spec/containers/0/image") == image).collect()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_available_in_a_few_seconds() {
    let (cluster, client) = cluster().await;
    let start = tokio::time::Instant::now();
    create_web(&client, "reg/shop/web:1.0.0", 3).await;
    let web = rolled_out(&cluster, "web").await;
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(reason(&web, "Progressing"), "NewReplicaSetAvailable");
    assert_eq!(reason(&web, "Available"), "MinimumReplicasAvailable");
    let set = &cluster.list("ReplicaSet", "dev")[0];
    let hash = text(set, "/metadata/labels/pod-template-hash");
    assert_eq!(text(set, "/metadata/name"), format!("web-{hash}"));
    let pod = &cluster.list("Pod", "dev")[0];
    assert!(text(pod, "/metadata/name").starts_with(&format!("web-{hash}-")));
    assert_eq!(text(pod, "/spec/nodeName"), "sim-node-1");
    let told = events(&cluster, "dev", text(pod, "/metadata/name"));
    for reason in ["Scheduled", "Pulling", "Pulled", "Created", "Started"] {
        assert!(told.iter().any(|e| e.starts_with(reason)), "{reason} in {told:?}");
    }
    assert_eq!(
        events(&cluster, "dev", "web"),
        [format!("ScalingReplicaSet: Scaled up replica set web-{hash} from 0 to 3")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_never_has_too_few_or_too_many_pods() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 4).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    set_image(&api, "web:2").await;
    until(&cluster, "Deployment", "dev", "web", |web| {
        let (all, available) = (count(web, "/status/replicas"), count(web, "/status/availableReplicas"));
        assert!(all <= 5 && available >= 3, "{all} pods, {available} available");
        count(web, "/status/updatedReplicas") == 4 && all == 4 && available == 4
    })
    .await;
    until(&cluster, "Namespace", "", "dev", |_| pods_of(&cluster, "web:1").is_empty()).await;
    let web = cluster.get("Deployment", "dev", "web").unwrap();
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert_eq!(cluster.list("ReplicaSet", "dev").len(), 2, "the former set stays for a rollback");
}

#[tokio::test(start_paused = true)]
async fn going_back_to_a_former_template_takes_its_set_again() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    for image in ["web:2", "web:1"] {
        set_image(&api, image).await;
        rolled_out(&cluster, "web").await;
    }
    let sets = cluster.list("ReplicaSet", "dev");
    assert_eq!(sets.len(), 2);
    let active = sets.iter().find(|s| count(s, "/spec/replicas") == 1).unwrap();
    assert_eq!(active["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(active["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
}

#[tokio::test(start_paused = true)]
async fn recreate_ends_the_old_pods_before_the_new_ones() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let recreate = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    api.patch("web", &PatchParams::default(), &Patch::Strategic(recreate)).await.unwrap();
    set_image(&api, "web:2").await;
    until(&cluster, "Deployment", "dev", "web", |web| {
        let mixed = !pods_of(&cluster, "web:1").is_empty() && !pods_of(&cluster, "web:2").is_empty();
        assert!(!mixed);
        count(web, "/status/updatedReplicas") == 2 && count(web, "/status/availableReplicas") == 2
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_missed_deadline_outlives_a_change_that_makes_no_new_replica_set() {
    let rule = ImageRule::new("*", Behaviour::NeverReady { message: None });
    let cluster = builder().rule(rule).build().await.unwrap();
    let client = client(&cluster);
    create_web(&client, "reg/shop/web:1.0.0", 2).await;
    let missed = |w: &Value| reason(w, "Progressing") == "ProgressDeadlineExceeded";
    let before = until(&cluster, "Deployment", "dev", "web", missed).await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let patch = json!({"spec": {"revisionHistoryLimit": 3}});
    api.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let next = count(&before, "/metadata/generation") + 1;
    let after =
        until(&cluster, "Deployment", "dev", "web", |w| count(w, "/status/observedGeneration") == next).await;
    assert_eq!(after["status"]["conditions"], before["status"]["conditions"], "as it was, its times too");
}

#[tokio::test(start_paused = true)]
async fn a_crashing_version_is_restarted_with_back_off_and_misses_its_deadline() {
    let rule = ImageRule::new("*/shop/web:1.1.0*", Behaviour::crash_loop("no database")).in_namespace("dev");
    let cluster = builder().rule(rule).build().await.unwrap();
    let client = client(&cluster);
    create_web(&client, "reg/shop/web:1.0.0", 2).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    set_image(&api, "reg/shop/web:1.1.0@sha256:0123").await;
    let web = until(&cluster, "Deployment", "dev", "web", |w| {
        reason(w, "Progressing") == "ProgressDeadlineExceeded"
    })
    .await;
    assert_eq!(count(&web, "/status/availableReplicas"), 2, "the old pods still serve");
    let broken = &pods_of(&cluster, "reg/shop/web:1.1.0@sha256:0123")[0];
    let status = &broken["status"]["containerStatuses"][0];
    let (name, uid) = (text(broken, "/metadata/name"), text(broken, "/metadata/uid"));
    assert_eq!(text(status, "/lastState/terminated/reason"), "Error");
    assert_eq!(text(status, "/lastState/terminated/message"), "no database");
    assert!(count(status, "/restartCount") >= 5, "{status}");
    assert_eq!(text(status, "/state/waiting/reason"), "CrashLoopBackOff");
    assert_eq!(
        text(status, "/state/waiting/message"),
        format!("back-off 5m0s restarting failed container=web pod={name}_dev({uid})")
    );
    let told = events(&cluster, "dev", name);
    assert!(
        told.contains(&format!("BackOff: Back-off restarting failed container web in pod {name}_dev({uid})")),
        "{told:?}"
    );
    let backs = cluster.list("Event", "dev");
    let back_off =
        backs.iter().find(|e| text(e, "/involvedObject/name") == name && e["reason"] == "BackOff").unwrap();
    assert!(count(back_off, "/count") >= 4, "repeated events are counted");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_backs_off_and_recovers_when_it_appears() {
    let rule = ImageRule::new("*:2", Behaviour::ErrImagePull { message: None });
    let cluster = builder().rule(rule).build().await.unwrap();
    create_web(&client(&cluster), "reg/web:2", 1).await;
    let state = |pod: &Value| text(pod, "/status/containerStatuses/0/state/waiting/reason").to_owned();
    until(&cluster, "Namespace", "", "dev", |_| {
        cluster.list("Pod", "dev").iter().any(|p| state(p) == "ErrImagePull")
    })
    .await;
    until(&cluster, "Namespace", "", "dev", |_| {
        cluster.list("Pod", "dev").iter().any(|p| state(p) == "ImagePullBackOff")
    })
    .await;
    let pod = &cluster.list("Pod", "dev")[0];
    let message = text(pod, "/status/containerStatuses/0/state/waiting/message");
    assert!(message.starts_with("Back-off pulling image \"reg/web:2\""), "{message}");
    assert!(message.ends_with("reg/web:2: not found"), "{message}");
    assert_eq!(text(pod, "/status/phase"), "Pending");
    cluster.set_rules(Vec::new());
    rolled_out(&cluster, "web").await;
}

#[tokio::test(start_paused = true)]
async fn rules_in_the_config_map_take_effect_at_once() {
    let (cluster, client) = cluster().await;
    create_web(&client, "reg/shop/web@sha256:ab", 1).await;
    rolled_out(&cluster, "web").await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(client, "kube-system");
    let rule = "image: \"*@sha256:ab*\"\nnamespace: dev\nbehaviour: never-ready\nmessage: shutting down\n";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sim-images"}, "data": {"broken": rule, "wrong": "image: ["}});
    maps.patch("sim-images", &PatchParams::apply("test"), &Patch::Apply(&map)).await.unwrap();
    until(&cluster, "Deployment", "dev", "web", |w| reason(w, "Available") == "MinimumReplicasUnavailable")
        .await;
    let pod = text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned();
    assert!(
        events(&cluster, "dev", &pod)
            .contains(&"Unhealthy: Readiness probe failed: shutting down".to_owned())
    );
    assert!(
        events(&cluster, "kube-system", "sim-images")[0]
            .starts_with("InvalidRule: rule \"wrong\" is ignored")
    );
    maps.delete("sim-images", &kube::api::DeleteParams::default()).await.unwrap();
    rolled_out(&cluster, "web").await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_is_scaled_but_not_rolled() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let pause = Patch::Merge(json!({"spec": {"paused": true, "replicas": 3}}));
    api.patch("web", &PatchParams::default(), &pause).await.unwrap();
    set_image(&api, "web:2").await;
    until(&cluster, "Deployment", "dev", "web", |w| count(w, "/status/availableReplicas") == 3).await;
    assert_eq!(pods_of(&cluster, "web:2").len(), 0);
    assert_eq!(reason(&cluster.get("Deployment", "dev", "web").unwrap(), "Progressing"), "DeploymentPaused");
    api.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"paused": false}})))
        .await
        .unwrap();
    rolled_out(&cluster, "web").await;
    assert_eq!(pods_of(&cluster, "web:2").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn min_ready_seconds_delay_availability() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let mut config = crate::objects::web("web:1", 1);
    config["spec"]["minReadySeconds"] = json!(30);
    api.patch("web", &PatchParams::apply("t"), &Patch::Apply(&config)).await.unwrap();
    until(&cluster, "Deployment", "dev", "web", |w| count(w, "/status/readyReplicas") == 1).await;
    let ready = tokio::time::Instant::now();
    rolled_out(&cluster, "web").await;
    assert_eq!(ready.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn old_sets_beyond_the_history_limit_are_deleted() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:0", 1).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    api.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"revisionHistoryLimit": 1}})))
        .await
        .unwrap();
    for image in ["web:1", "web:2", "web:3"] {
        set_image(&api, image).await;
        rolled_out(&cluster, "web").await;
    }
    cluster.until("Namespace", "", "dev", |_| cluster.list("ReplicaSet", "dev").len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_when_nothing_is_pending() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    let before = cluster.get("Deployment", "dev", "web").unwrap();
    let week = tokio::time::sleep(Duration::from_secs(7 * 86_400));
    week.await;
    assert_eq!(cluster.get("Deployment", "dev", "web").unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn speed_divides_every_delay() {
    let cluster = builder().speed(100.0).build().await.unwrap();
    let start = tokio::time::Instant::now();
    create_web(&client(&cluster), "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

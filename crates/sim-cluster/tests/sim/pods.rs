use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, LogParams, PostParams},
};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use crate::objects::{
    builder, client, cluster, count, create_web, events, refused, rolled_out, text, typed, until, web,
};

fn waiting(pod: &Value) -> &str {
    text(pod, "/status/containerStatuses/0/state/waiting/reason")
}

fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Pod {
    let mut object =
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}});
    change(&mut object);
    typed(object)
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"]
        .as_array()
        .is_some_and(|c| c.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_or_key_holds_the_container_until_it_is_there() {
    let (cluster, client) = cluster().await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "dev");
    let env = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "a"}}}]);
    pods.create(&PostParams::default(), &pod("p", |p| p["spec"]["containers"][0]["env"] = env))
        .await
        .unwrap();
    let stuck = until(&cluster, "Pod", "dev", "p", |p| waiting(p) == "CreateContainerConfigError").await;
    assert_eq!(
        text(&stuck, "/status/containerStatuses/0/state/waiting/message"),
        "configmap \"cfg\" not found"
    );
    assert!(events(&cluster, "dev", "p").contains(&"Failed: Error: configmap \"cfg\" not found".to_owned()));
    let maps: Api<ConfigMap> = Api::namespaced(client, "dev");
    maps.create(&PostParams::default(), &typed(json!({"metadata": {"name": "cfg"}, "data": {"b": "1"}})))
        .await
        .unwrap();
    let message = "couldn't find key a in ConfigMap dev/cfg";
    until(&cluster, "Pod", "dev", "p", |p| {
        text(p, "/status/containerStatuses/0/state/waiting/message") == message
    })
    .await;
    let patch = kube::api::Patch::Merge(json!({"data": {"a": "1"}}));
    maps.patch("cfg", &kube::api::PatchParams::default(), &patch).await.unwrap();
    until(&cluster, "Pod", "dev", "p", is_ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_holds_the_mount_until_it_is_there() {
    let (cluster, client) = cluster().await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "dev");
    let object = pod("p", |p| {
        p["spec"]["volumes"] = json!([{"name": "keys", "secret": {"secretName": "keys"}}]);
        p["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "keys", "mountPath": "/keys"}]);
    });
    pods.create(&PostParams::default(), &object).await.unwrap();
    let stuck = until(&cluster, "Pod", "dev", "p", |p| waiting(p) == "ContainerCreating").await;
    assert_eq!(text(&stuck, "/status/phase"), "Pending");
    let expected = "FailedMount: MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found";
    assert!(events(&cluster, "dev", "p").contains(&expected.to_owned()));
    let secrets: Api<Secret> = Api::namespaced(client, "dev");
    secrets.create(&PostParams::default(), &typed(json!({"metadata": {"name": "keys"}}))).await.unwrap();
    until(&cluster, "Pod", "dev", "p", is_ready).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_the_ready_pods() {
    let (cluster, client) = cluster().await;
    let services: Api<Service> = Api::namespaced(client.clone(), "dev");
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}});
    services.create(&PostParams::default(), &typed(service)).await.unwrap();
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    let ready = |e: &Value| e.pointer("/subsets/0/addresses").and_then(Value::as_array).map_or(0, Vec::len);
    let endpoints = until(&cluster, "Endpoints", "dev", "web", |e| ready(e) == 2).await;
    assert_eq!(
        endpoints.pointer("/subsets/0/ports/0"),
        Some(&json!({"port": 8080, "protocol": "TCP", "name": "http"}))
    );
    let slice = &cluster.list("EndpointSlice", "dev")[0];
    assert_eq!(text(slice, "/metadata/labels/kubernetes.io~1service-name"), "web");
    assert_eq!(slice["endpoints"].as_array().unwrap().len(), 2);
    let name = text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned();
    Api::<Pod>::namespaced(client.clone(), "dev").delete(&name, &DeleteParams::default()).await.unwrap();
    until(&cluster, "Endpoints", "dev", "web", |e| ready(e) == 1).await;
    until(&cluster, "Endpoints", "dev", "web", |e| ready(e) == 2).await;
    services.delete("web", &DeleteParams::default()).await.unwrap();
    cluster.until("Endpoints", "dev", "web", |e| e.is_none()).await;
    cluster.until("Namespace", "", "dev", |_| cluster.list("EndpointSlice", "dev").is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_killed_with_grace_and_replaced() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    let name = text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned();
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let marked = pods.delete(&name, &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    let start = tokio::time::Instant::now();
    cluster.until("Pod", "dev", &name, |p| p.is_none()).await;
    assert_eq!(start.elapsed().as_secs(), 1, "the container stops in a second");
    assert!(events(&cluster, "dev", &name).contains(&"Killing: Stopping container web".to_owned()));
    rolled_out(&cluster, "web").await;
}

#[tokio::test(start_paused = true)]
async fn out_of_memory_and_logs_show_why_a_container_ended() {
    let oom = ImageRule::new("app:oom", Behaviour::OomKilled { after: std::time::Duration::from_secs(3) });
    let crash = ImageRule::new("app:crash", Behaviour::crash_loop("panic: no route to host"));
    let cluster = builder().rule(oom).rule(crash).build().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client(&cluster), "dev");
    for image in ["oom", "crash"] {
        let object = pod(image, |p| p["spec"]["containers"][0]["image"] = format!("app:{image}").into());
        pods.create(&PostParams::default(), &object).await.unwrap();
    }
    let oom = until(&cluster, "Pod", "dev", "oom", |p| waiting(p) == "CrashLoopBackOff").await;
    let last = &oom["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((text(last, "/reason"), count(last, "/exitCode")), ("OOMKilled", 137));
    until(&cluster, "Pod", "dev", "crash", |p| waiting(p) == "CrashLoopBackOff").await;
    let log = pods
        .logs("crash", &LogParams { previous: true, tail_lines: Some(1), ..LogParams::default() })
        .await
        .unwrap();
    assert_eq!(log, "panic: no route to host\n");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_nowhere_stays_pending_and_says_why() {
    let (cluster, client) = cluster().await;
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let large =
        pod("large", |p| p["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}}));
    pods.create(&PostParams::default(), &large).await.unwrap();
    let stuck = until(&cluster, "Pod", "dev", "large", |p| p.pointer("/status/conditions").is_some()).await;
    assert_eq!(text(&stuck, "/status/conditions/0/reason"), "Unschedulable");
    assert!(
        events(&cluster, "dev", "large")[0]
            .starts_with("FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu.")
    );
}

#[tokio::test(start_paused = true)]
async fn pods_of_an_absent_service_account_are_not_created_until_it_is_there() {
    let (cluster, client) = cluster().await;
    let mut config = web("web:1", 1);
    config["spec"]["template"]["spec"]["serviceAccountName"] = json!("robot");
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client.clone(), "dev");
    api.create(&PostParams::default(), &typed(config)).await.unwrap();
    let web = until(&cluster, "Deployment", "dev", "web", |d| {
        crate::objects::reason(d, "ReplicaFailure") == "FailedCreate"
    })
    .await;
    assert!(web["status"]["conditions"].to_string().contains("error looking up service account dev/robot"));
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "dev");
    accounts.create(&PostParams::default(), &typed(json!({"metadata": {"name": "robot"}}))).await.unwrap();
    rolled_out(&cluster, "web").await;
    let lone = refused(
        Api::<Pod>::namespaced(client, "dev")
            .create(&PostParams::default(), &pod("p", |p| p["spec"]["serviceAccountName"] = json!("nobody")))
            .await,
    );
    assert_eq!(lone.code, 403);
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_first() {
    let (cluster, client) = cluster().await;
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let object =
        pod("p", |p| p["spec"]["initContainers"] = json!([{"name": "migrate", "image": "migrate:1"}]));
    pods.create(&PostParams::default(), &object).await.unwrap();
    let first = until(&cluster, "Pod", "dev", "p", |p| {
        p.pointer("/status/initContainerStatuses/0/state/running").is_some()
    })
    .await;
    assert_eq!(waiting(&first), "PodInitializing");
    let ready = until(&cluster, "Pod", "dev", "p", is_ready).await;
    assert_eq!(text(&ready, "/status/initContainerStatuses/0/state/terminated/reason"), "Completed");
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_the_priority_of_its_class_and_is_refused_without_it() {
    let (_cluster, client) = cluster().await;
    let pod = |class: &str| {
        typed::<Pod>(
            json!({"metadata": {"name": "once"}, "spec": {"priorityClassName": class, "containers": [{"name": "a", "image": "a:1"}]}}),
        )
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), "dev");
    let error = refused(pods.create(&PostParams::default(), &pod("high")).await);
    assert_eq!(
        (error.code, error.message.as_str()),
        (403, "pods \"once\" is forbidden: no PriorityClass with name high was found")
    );
    let classes: Api<k8s_openapi::api::scheduling::v1::PriorityClass> = Api::all(client);
    classes
        .create(&PostParams::default(), &typed(json!({"metadata": {"name": "high"}, "value": 1000})))
        .await
        .unwrap();
    let made = pods.create(&PostParams::default(), &pod("high")).await.unwrap();
    assert_eq!(made.spec.unwrap().priority, Some(1000));
}

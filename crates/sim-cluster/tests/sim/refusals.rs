//! What the API server refuses, in its own words, and the smaller habits that a client may notice.

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, Event as CoreEvent, PersistentVolumeClaim, Pod, Secret, Service},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use crate::objects::{
    builder, client, cluster, count, create_web, refused, rolled_out, text, typed, until, web,
};

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let (_cluster, client) = cluster().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    let map = |bytes: usize| typed(json!({"metadata": {"name": "big"}, "data": {"k": "x".repeat(bytes)}}));
    maps.create(&PostParams::default(), &map(1_000_000)).await.unwrap();
    maps.delete("big", &DeleteParams::default()).await.unwrap();
    let large = refused(maps.create(&PostParams::default(), &map(1_100_000)).await);
    assert_eq!(
        large.message,
        "ConfigMap \"big\" is invalid: []: Too long: may not be more than 1048576 bytes"
    );
    let huge = refused(maps.create(&PostParams::default(), &map(3_200_000)).await);
    assert_eq!((huge.code, huge.message.as_str()), (413, "Request entity too large: limit is 3145728"));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "dev");
    let secret = typed(json!({"metadata": {"name": "big"}, "stringData": {"k": "x".repeat(1_100_000)}}));
    let large = refused(secrets.create(&PostParams::default(), &secret).await);
    assert_eq!(
        large.message,
        "Secret \"big\" is invalid: data: Too long: may not be more than 1048576 bytes"
    );
    let annotated = typed(json!({"metadata": {"name": "a", "annotations": {"k": "x".repeat(300_000)}}}));
    let large = refused(maps.create(&PostParams::default(), &annotated).await);
    assert!(
        large.message.ends_with("metadata.annotations: Too long: may not be more than 262144 bytes"),
        "{}",
        large.message
    );
    let deployments: Api<Deployment> = Api::namespaced(client, "dev");
    let mut config = web("web:1", 1);
    config["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["x".repeat(1_600_000)]);
    let large = refused(deployments.create(&PostParams::default(), &typed(config)).await);
    assert_eq!((large.code, large.message.as_str()), (500, "etcdserver: request is too large"));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_change_is_said_to_be_so() {
    let (_cluster, client) = cluster().await;
    let merge = |v: Value| Patch::Merge(v);
    let params = PatchParams::default();
    create_web(&client, "web:1", 1).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let change = json!({"spec": {"selector": {"matchLabels": {"app": "api"}}, "template": {"metadata": {"labels": {"app": "api"}}}}});
    let fixed = refused(deployments.patch("web", &params, &merge(change)).await);
    assert_eq!(
        fixed.message,
        "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"api\"}}: field is immutable"
    );
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    maps.create(
        &PostParams::default(),
        &typed(json!({"metadata": {"name": "m"}, "data": {"k": "v"}, "immutable": true})),
    )
    .await
    .unwrap();
    let fixed =
        refused(maps.patch("m", &params, &merge(json!({"data": {"k": "w"}, "immutable": null}))).await);
    assert_eq!(
        fixed.message,
        "ConfigMap \"m\" is invalid: [immutable: Forbidden: field is immutable when `immutable` is set, data: Forbidden: field is immutable when \
         `immutable` is set]"
    );
    let services: Api<Service> = Api::namespaced(client.clone(), "dev");
    let service = typed(json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}));
    let made = services.create(&PostParams::default(), &service).await.unwrap();
    assert_eq!(made.metadata.generation, None, "a Service has no generation");
    let fixed = refused(
        services
            .patch(
                "web",
                &params,
                &merge(json!({"spec": {"clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"]}})),
            )
            .await,
    );
    assert!(
        fixed
            .message
            .ends_with("spec.clusterIPs[0]: Invalid value: [\"10.96.9.9\"]: may not change once set"),
        "{}",
        fixed.message
    );
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "dev");
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    claims.create(&PostParams::default(), &typed(claim)).await.unwrap();
    claims
        .patch("c", &params, &merge(json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}})))
        .await
        .unwrap();
    let fixed =
        refused(claims.patch("c", &params, &merge(json!({"spec": {"storageClassName": "fast"}}))).await);
    assert!(fixed.message.contains("spec: Forbidden: spec is immutable after creation"), "{}", fixed.message);
    let crons: Api<CronJob> = Api::namespaced(client, "dev");
    let template = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c"}]}}}});
    let cron = json!({"metadata": {"name": "c"}, "spec": {"schedule": "hourly", "jobTemplate": template}});
    let wrong = refused(crons.create(&PostParams::default(), &typed(cron)).await);
    assert!(wrong.message.contains("expected exactly 5 fields, found 1: [hourly]"), "{}", wrong.message);
}

#[tokio::test(start_paused = true)]
async fn patches_that_do_not_apply_and_selectors_that_are_not_there_are_refused() {
    let (_cluster, client) = cluster().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    maps.create(&PostParams::default(), &typed(json!({"metadata": {"name": "m"}, "data": {"k": "v"}})))
        .await
        .unwrap();
    let request = http::Request::patch("/api/v1/namespaces/dev/configmaps/m")
        .header("content-type", "application/json-patch+json")
        .body(br#"[{"op": "test", "path": "/data/k", "value": "w"}]"#.to_vec())
        .unwrap();
    let failed = refused(client.request::<ConfigMap>(request).await);
    assert_eq!(
        (failed.code, failed.message.as_str()),
        (422, "the server rejected our request due to an error in our request")
    );
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let wrong = refused(deployments.list(&ListParams::default().fields("status.phase=Running")).await);
    assert_eq!((wrong.code, wrong.message.as_str()), (400, "field label not supported: status.phase"));
    let mut elsewhere = web("web:1", 1);
    elsewhere["metadata"]["namespace"] = json!("prod");
    let wrong = refused(deployments.create(&PostParams::default(), &typed(elsewhere)).await);
    assert_eq!(
        wrong.message,
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let mut versioned = web("web:1", 1);
    versioned["metadata"]["resourceVersion"] = json!("7");
    let gone = refused(deployments.patch("web", &PatchParams::apply("p"), &Patch::Apply(versioned)).await);
    assert_eq!(gone.code, 409, "an apply of a version of what does not exist");
}

#[tokio::test(start_paused = true)]
async fn a_foreground_deletion_keeps_the_owner_until_its_pods_are_gone() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let dry = api
        .delete("web", &foreground.clone().dry_run())
        .await
        .unwrap()
        .left()
        .expect("the object as it would be");
    assert_eq!(dry.metadata.finalizers.as_deref(), Some(&["foregroundDeletion".to_owned()][..]));
    assert!(cluster.get("Deployment", "dev", "web").unwrap()["metadata"]["deletionTimestamp"].is_null());
    assert!(api.delete("web", &foreground).await.unwrap().is_left());
    cluster
        .until("Deployment", "dev", "web", |w| {
            assert!(w.is_some() || cluster.list("Pod", "dev").is_empty(), "the owner goes last");
            w.is_none()
        })
        .await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "dev");
    maps.create(&PostParams::default(), &typed(json!({"metadata": {"name": "m"}}))).await.unwrap();
    assert!(maps.delete("m", &foreground).await.unwrap().is_left(), "also of what owns nothing");
    cluster.until("ConfigMap", "dev", "m", |m| m.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_by_its_policy_and_keeps_its_pod_with_the_log() {
    let bad = Behaviour::CrashLoop {
        exit_code: 42,
        after: std::time::Duration::from_secs(1),
        message: Some("migration 7 failed".into()),
    };
    let cluster = builder().rule(ImageRule::new("bad:*", bad)).build().await.unwrap();
    let client = client(&cluster);
    let jobs: Api<Job> = Api::namespaced(client.clone(), "dev");
    let policy = json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]});
    let job = json!({"metadata": {"name": "migrate"}, "spec": {"backoffLimit": 5, "podFailurePolicy": policy,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": "bad:1"}]}}}});
    jobs.create(&PostParams::default(), &typed(job)).await.unwrap();
    let failed = |j: &Value| j["status"]["conditions"].to_string().contains("\"Failed\"");
    let job = until(&cluster, "Job", "dev", "migrate", failed).await;
    let told = job["status"]["conditions"].to_string();
    assert!(
        told.contains("PodFailurePolicy") && told.contains("exit code 42 matching FailJob rule at index 0"),
        "{told}"
    );
    assert_eq!(count(&job, "/status/failed"), 1, "without another try");
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let name = text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned();
    let last = LogParams { tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(pods.logs(&name, &last).await.unwrap(), "migration 7 failed\n");
    let stamped = pods.logs(&name, &LogParams { timestamps: true, ..last }).await.unwrap();
    assert!(stamped.starts_with("2026-11-21T08:00:"), "{stamped}");
}

#[tokio::test(start_paused = true)]
async fn events_are_served_under_both_names() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    let (old, new): (Api<CoreEvent>, Api<Event>) =
        (Api::namespaced(client.clone(), "dev"), Api::namespaced(client, "dev"));
    let about = ListParams::default().fields("involvedObject.kind=Deployment");
    let core = old.list(&about).await.unwrap().items;
    assert_eq!(core.len(), 1);
    let all = new.list(&ListParams::default()).await.unwrap().items;
    let same = all.iter().find(|e| e.metadata.name == core[0].metadata.name).unwrap();
    assert_eq!(same.note, core[0].message);
    assert_eq!(same.regarding.as_ref().and_then(|r| r.kind.as_deref()), Some("Deployment"));
    assert_eq!(same.deprecated_count, Some(1));
}

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v1::Scale};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::objects::{cluster, refused, rolled_out, web};

#[tokio::test(start_paused = true)]
async fn apply_creates_changes_and_removes_what_it_no_longer_says() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let params = PatchParams::apply("pilothouse");
    let mut config = web("web:1", 2);
    config["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    api.patch("web", &params, &Patch::Apply(&config)).await.unwrap();
    rolled_out(&cluster, "web").await;
    config["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "B", "value": "3"}]);
    let applied = api.patch("web", &params, &Patch::Apply(&config)).await.unwrap();
    let container = &applied.spec.unwrap().template.spec.unwrap().containers[0];
    let env: Vec<_> = container
        .env
        .iter()
        .flatten()
        .map(|e| format!("{}={}", e.name, e.value.clone().unwrap_or_default()))
        .collect();
    assert_eq!(env, ["B=3"]);
    assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"), "defaults stay");
    let before = rolled_out(&cluster, "web").await;
    api.patch("web", &params, &Patch::Apply(&config)).await.unwrap();
    let after = cluster.get("Deployment", "dev", "web").unwrap();
    assert_eq!(
        before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"],
        "the same again changes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_field_of_another_manager_is_a_conflict_unless_forced() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let params = PatchParams::apply("pilothouse");
    api.patch("web", &params, &Patch::Apply(web("web:1", 2))).await.unwrap();
    let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let scaler = PatchParams { field_manager: Some("hpa".into()), ..PatchParams::default() };
    let scaled: Scale = api.patch_scale("web", &scaler, &scale).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(5));
    let conflict = refused(api.patch("web", &params, &Patch::Apply(web("web:1", 2))).await);
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    let causes = conflict.details.unwrap().causes;
    assert_eq!(
        (causes[0].reason.as_str(), causes[0].field.as_str()),
        ("FieldManagerConflict", ".spec.replicas")
    );
    // Leaving the field out gives it up and is no conflict.
    let mut without = web("web:2", 0);
    without["spec"].as_object_mut().unwrap().remove("replicas");
    api.patch("web", &params, &Patch::Apply(&without)).await.unwrap();
    assert_eq!(cluster.get("Deployment", "dev", "web").unwrap()["spec"]["replicas"], 5);
    let forced = api.patch("web", &params.force(), &Patch::Apply(web("web:2", 2))).await.unwrap();
    assert_eq!(forced.spec.unwrap().replicas, Some(2));
}

#[tokio::test(start_paused = true)]
async fn applying_an_unknown_field_or_without_a_manager_is_refused() {
    let (_cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let mut config: Value = web("web:1", 1);
    config["spec"]["replica"] = json!(1);
    let error = refused(api.patch("web", &PatchParams::apply("p"), &Patch::Apply(&config)).await);
    assert_eq!(
        error.message,
        "failed to create typed patch object (dev/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema"
    );
    let request = http::Request::patch("/apis/apps/v1/namespaces/dev/deployments/web")
        .header("content-type", "application/apply-patch+yaml")
        .body(b"apiVersion: apps/v1\nkind: Deployment\n".to_vec())
        .unwrap();
    let error = refused(client.request::<Deployment>(request).await);
    assert_eq!(error.code, 422);
    assert!(error.message.contains("fieldManager: Required value"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_apply_shows_the_outcome_and_keeps_the_object() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let params = PatchParams::apply("pilothouse");
    api.patch("web", &params, &Patch::Apply(web("web:1", 2))).await.unwrap();
    let dry = api.patch("web", &params.dry_run(), &Patch::Apply(web("web:2", 2))).await.unwrap();
    assert_eq!(dry.spec.unwrap().template.spec.unwrap().containers[0].image.as_deref(), Some("web:2"));
    let stored = cluster.get("Deployment", "dev", "web").unwrap();
    assert_eq!(stored.pointer("/spec/template/spec/containers/0/image"), Some(&json!("web:1")));
}

#[tokio::test(start_paused = true)]
async fn the_status_is_applied_apart_from_the_object() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    let mut config = web("web:1", 0);
    config["status"] = json!({"replicas": 7});
    api.patch("web", &PatchParams::apply("pilothouse"), &Patch::Apply(&config)).await.unwrap();
    assert_ne!(cluster.get("Deployment", "dev", "web").unwrap()["status"]["replicas"], json!(7));
}

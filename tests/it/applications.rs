//! What an application has in its clusters (T6, T7), and the links of its instances (T14).

use serde_json::{Value, json};

use crate::world::World;

/// `shop/web`: a Deployment named as a server group and its Service in `prod`.
fn pipeline() -> String {
    let labels = json!({"app": "web"});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop-prod-v001"}, "spec": {
        "replicas": 2, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "shop/web"}]}}}});
    let front = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    let manifests = format!("{web}\n---\n{front}");
    let prod = json!({"name": "prod", "namespace": "prod", "stages": [
        {"name": "Deploy", "type": "deploy-manifest", "manifests": manifests}]});
    json!({"application": "shop", "pipeline": "web", "artifacts": [{"name": "web", "image": "shop/web"}],
        "environments": [prod]})
    .to_string()
}

async fn deployed() -> World {
    let world = World::new().await;
    world.save(&pipeline()).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    world
}

async fn read(world: &World, path: &str) -> Value {
    let answer = world.get(path).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    answer.body
}

#[tokio::test(start_paused = true)]
async fn an_application_shows_its_server_groups_and_load_balancers() {
    let world = deployed().await;
    world.sim.clear_requests();
    let view = read(&world, "/v1/applications/shop/clusters").await;
    assert_eq!(
        view["places"],
        json!([{"account": "default", "namespace": "prod", "environments": ["prod"]}])
    );
    let cluster = &view["clusters"][0];
    assert_eq!((&cluster["name"], &cluster["stack"]), (&json!("shop-prod"), &json!("prod")));
    let group = &cluster["serverGroups"][0];
    assert_eq!((&group["name"], &group["sequence"]), (&json!("shop-prod-v001"), &json!(1)));
    assert_eq!((&group["replicas"]["ready"], &group["loadBalancers"]), (&json!(2), &json!(["front"])));
    assert_eq!(group["stage"], "Deploy");
    let front = &view["loadBalancers"][0];
    assert_eq!((&front["ports"], &front["selector"]), (&json!(["http 80 → 8080/TCP"]), &json!(["app=web"])));
    assert_eq!(
        (front["ready"].as_array().unwrap().len(), &front["serverGroups"]),
        (2, &json!(["shop-prod-v001"]))
    );
    // Six lists by the application's label and the endpoints of one Service; the kinds may have to be asked for first.
    let asked = world.sim.count_requests(|_| true);
    assert!(asked <= 12, "{asked} requests: {:#?}", world.sim.requests());
}

#[tokio::test(start_paused = true)]
async fn instances_have_the_links_of_their_application() {
    let world = deployed().await;
    let path = "/v1/applications/shop/instance-links";
    let links = json!({"sections": [{"heading": "Health", "links": [
        {"name": "Page", "url": ":7002/health"}, {"name": "Logs", "url": "https://logs.example/{namespace}/{name}"}]}]});
    let saved = world.put(path, &links).await;
    assert!(saved.status.is_success(), "{:#}", saved.body);
    assert_eq!(read(&world, path).await, links);

    let found = read(&world, "/v1/applications/shop/instances?cluster=shop-prod").await;
    let instances = found["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    let (one, ip) = (&instances[0], instances[0]["podIp"].as_str().unwrap());
    assert_eq!((&one["serverGroup"], &one["cluster"]), (&json!("shop-prod-v001"), &json!("shop-prod")));
    assert_eq!(
        one["links"][0],
        json!({"section": "Health", "name": "Page", "url": format!("http://{ip}:7002/health")})
    );
    assert_eq!(
        one["links"][1]["url"],
        format!("https://logs.example/prod/{}", one["name"].as_str().unwrap())
    );

    let nowhere = world.get("/v1/applications/shop/instances?cluster=shop-test").await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(
        nowhere.body["error"]["message"],
        "cluster `shop-test` of `shop` does not exist; there is `shop-prod`"
    );
    let wrong =
        json!({"sections": [{"heading": "Health", "links": [{"name": "Page", "url": "http://{ipp}/"}]}]});
    let refused = world.put(path, &wrong).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body["error"]["problems"][0]["path"], "sections[0].links[0].url");
    assert_eq!(world.get("/v1/applications/nope/clusters").await.status, 404);
}

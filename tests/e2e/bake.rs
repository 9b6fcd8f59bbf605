//! Charts and kustomizations are rendered by the real programs, and what comes out is deployed (T51).

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{House, Server, attempt, eventually};

/// A chart with a definition, an object of it, a test and hooks. What it renders depends on its values and on the cluster.
fn chart() -> Value {
    json!({
        "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\nkubeVersion: '>=1.30.0-0'\n",
        "values.yaml": "greeting: none\nreplicas: 1\n",
        "crds/toys.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: toys.shop.dev}\n\
            spec:\n  group: shop.dev\n  scope: Namespaced\n  names: {plural: toys, kind: Toy}\n  \
            versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]\n",
        "templates/toy.yaml": "apiVersion: shop.dev/v1\nkind: Toy\nmetadata: {name: {{ .Release.Name }}-bear}\nspec: {size: 1}\n",
        "templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\n\
            data:\n  greeting: {{ .Values.greeting | quote }}\n  kubernetes: {{ .Capabilities.KubeVersion.Version | quote }}\n  \
            routes: {{ .Capabilities.APIVersions.Has \"gateway.networking.k8s.io/v1/HTTPRoute\" | quote }}\n  \
            monitors: {{ .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1/ServiceMonitor\" | quote }}\n",
        "templates/web.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  \
            replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
            spec: {containers: [{name: web, image: 'shop/web:1.0.0'}]}\n",
        "templates/tests/probe.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: probe, annotations: {helm.sh/hook: test}}\n\
            spec: {containers: [{name: probe, image: 'shop/probe:1'}]}\n",
        "templates/cleanup.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cleanup, annotations: {helm.sh/hook: post-delete}}\n",
    })
}

fn with_migration(mut chart: Value) -> Value {
    chart["templates/migrate.yaml"] = json!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}\n\
         spec: {template: {spec: {restartPolicy: Never, containers: [{name: migrate, image: 'shop/web:1.0.0'}]}}}\n"
    );
    chart
}

/// A stage that renders, and one that deploys what came out.
fn pipeline(name: &str, bake: Value) -> Value {
    let mut bake = bake;
    bake["name"] = json!("Bake");
    bake["type"] = json!("bake-manifest");
    json!({
        "application": "shop", "pipeline": name,
        "parameters": [{"name": "release", "default": "tea"}],
        "environments": [{"name": "dev", "namespace": "dev", "stages": [
            bake,
            {"name": "Deploy", "type": "deploy-manifest", "dependsOn": ["Bake"], "render": true,
                "manifests": "${ stages[\"Bake\"].output.manifests }"},
        ]}],
    })
}

struct Scene {
    _house: House,
    server: Server,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let house = House::new(20)?;
        let server = house.start(&[]).await?;
        Ok(Self { _house: house, server })
    }

    /// Releases the pipeline and waits for its end.
    async fn release(&self, pipeline: &Value, parameters: Value) -> anyhow::Result<Value> {
        let api = self.server.api();
        api.send_text(Method::PUT, "/v1/pipelines", "application/yaml", &pipeline.to_string()).await?;
        let ask =
            json!({ "application": "shop", "pipeline": pipeline["pipeline"], "parameters": parameters });
        let release = api.post("/v1/releases", &ask).await?;
        let id = release["id"].as_str().context("a release has an id")?.to_owned();
        eventually("the release at rest", async || {
            let view = api.get(&format!("/v1/releases/{id}")).await?;
            Ok((view["atRest"] == true).then_some(view))
        })
        .await
    }

    async fn config(&self, name: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/namespaces/dev/configmaps/{name}");
        Ok(self.server.cluster().get(&path).await?["data"].clone())
    }

    async fn is_there(&self, path: &str) -> bool {
        self.server.cluster().get(path).await.is_ok()
    }
}

fn stage(release: &Value, name: &str) -> Value {
    let stages = attempt(release, "dev", 1)["stages"].as_array().cloned().unwrap_or_default();
    stages.into_iter().find(|stage| stage["name"] == name).unwrap_or_default()
}

#[tokio::test]
async fn a_chart_is_rendered_by_the_real_helm_for_its_cluster_and_deployed() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let bake = json!({"engine": "helm", "files": chart(), "releaseName": "${ params.release }",
        "values": {"greeting": "hello", "replicas": 2}});
    let release = scene.release(&pipeline("charted", bake), json!({})).await?;
    assert_eq!(attempt(&release, "dev", 1)["status"], "Succeeded", "{release:#}");

    let config = scene.config("tea").await?;
    let version = scene.server.cluster().get("/version").await?["gitVersion"].clone();
    assert_eq!(
        (&config["greeting"], &config["kubernetes"], &config["routes"], &config["monitors"]),
        (&json!("hello"), &version, &json!("true"), &json!("false")),
        "{config:#}"
    );
    let web = scene.server.cluster().get("/apis/apps/v1/namespaces/dev/deployments/tea").await?;
    assert_eq!(web["status"]["readyReplicas"], 2, "{web:#}");
    ensure!(
        scene.is_there("/apis/shop.dev/v1/namespaces/dev/toys/tea-bear").await,
        "a chart's definitions come first"
    );
    ensure!(
        !scene.is_there("/api/v1/namespaces/dev/pods/probe").await,
        "a test of the chart is no part of it"
    );
    ensure!(!scene.is_there("/api/v1/namespaces/dev/configmaps/cleanup").await, "nothing was uninstalled");
    let notes = stage(&release, "Bake")["output"]["notes"].clone();
    assert_eq!(
        notes,
        json!(["left out: ConfigMap dev/cleanup, a hook of the chart (post-delete)"]),
        "{release:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_chart_with_hooks_is_refused_unless_they_may_be_left_out_and_a_flag_is_no_name()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut bake =
        json!({"engine": "helm", "files": with_migration(chart()), "releaseName": "${ params.release }"});
    let refused = scene.release(&pipeline("hooked", bake.clone()), json!({})).await?;
    let reason = stage(&refused, "Bake")["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(
        reason.starts_with("Job dev/migrate is a hook of the chart (pre-install,pre-upgrade)"),
        "{refused:#}"
    );
    ensure!(
        !scene.is_there("/apis/apps/v1/namespaces/dev/deployments/tea").await,
        "nothing of it was deployed"
    );

    bake["hooks"] = json!("omit");
    let release = scene.release(&pipeline("unhooked", bake.clone()), json!({})).await?;
    assert_eq!(attempt(&release, "dev", 1)["status"], "Succeeded", "{release:#}");
    ensure!(!scene.is_there("/apis/batch/v1/namespaces/dev/jobs/migrate").await);
    let notes = stage(&release, "Bake")["output"]["notes"].to_string();
    ensure!(notes.contains("Job dev/migrate, a hook of the chart"), "{notes}");

    // What came of an expression is no flag of helm's either.
    let injected =
        scene.release(&pipeline("unhooked", bake), json!({"release": "--post-renderer=/bin/sh"})).await?;
    let reason = stage(&injected, "Bake")["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(reason.contains("`--post-renderer=/bin/sh` is no name of a Helm release"), "{injected:#}");

    // Helm's own words, where the chart is wrong.
    let broken = json!({"engine": "helm", "files": {"Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\nkubeVersion: '>=99.0.0'\n",
        "templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}});
    let refused = scene.release(&pipeline("broken", broken), json!({})).await?;
    let reason = stage(&refused, "Bake")["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(reason.starts_with("helm failed: ") && reason.contains("kubeVersion"), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn an_overlay_is_rendered_by_the_real_kustomize_and_deployed() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let files = json!({
        "kustomization.yaml": "namePrefix: dev-\nresources: [base]\n\
            configMapGenerator: [{name: settings, literals: ['address=https://shop.example']}]\n\
            patches: [{target: {kind: Deployment}, path: more.yaml}]\n",
        "more.yaml": "- {op: replace, path: /spec/replicas, value: 2}\n",
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  \
            selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
            spec: {containers: [{name: web, image: 'shop/web:1.0.0', envFrom: [{configMapRef: {name: settings}}]}]}\n",
    });
    let release = scene
        .release(&pipeline("overlaid", json!({"engine": "kustomize", "files": files})), json!({}))
        .await?;
    assert_eq!(attempt(&release, "dev", 1)["status"], "Succeeded", "{release:#}");
    let web = scene.server.cluster().get("/apis/apps/v1/namespaces/dev/deployments/dev-web").await?;
    assert_eq!(web["status"]["readyReplicas"], 2, "{web:#}");
    let from = &web["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"];
    let settings = from.as_str().context("a reference")?;
    ensure!(settings.starts_with("dev-settings-"), "{settings}");
    assert_eq!(scene.config(settings).await?["address"], "https://shop.example");
    Ok(())
}

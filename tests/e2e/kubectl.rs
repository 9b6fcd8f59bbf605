//! `kubectl` cannot tell the simulated cluster from a real one.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::harness::{House, Server, eventually, output};

const SHOP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: cart, namespace: dev, labels: {app: cart}}
data: {GREETING: hello}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: dev, labels: {app: cart}}
spec:
  selector: {app: cart}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: dev, labels: {app: cart}}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers:
        - {name: cart, image: 'shop/cart:1.0.0', ports: [{containerPort: 8080}]}
";

/// The simulated cluster's rule for images: this one ends soon after its start.
const CRASHES: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: sim-images, namespace: kube-system}
data:
  cart: '{image: \"shop/cart:1.*\", behaviour: crash-loop, message: no database}'
";

struct Scene {
    house: House,
    _server: Server,
    /// What `apply` needs to be told besides.
    apply: &'static [&'static str],
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let house = House::new(20)?;
        let server = house.start(&[]).await?;
        // Those before 1.27 check manifests themselves, by a description that API servers no longer have to serve.
        let apply: &[&str] = if minor().await? < 27 { &["--validate=false"] } else { &[] };
        Ok(Self { house, _server: server, apply })
    }

    /// Runs `kubectl` with the kubeconfig that `up` wrote, and nothing of this machine's own.
    async fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(self.house.kubeconfig())
            .arg("--cache-dir")
            .arg(self.house.path("kubectl-cache"))
            .args(args)
            .env("HOME", self.house.path("."));
        output(&mut kubectl).await
    }

    async fn apply(&self, manifests: &str) -> anyhow::Result<String> {
        let file = self.house.path("manifests.yaml");
        std::fs::write(&file, manifests).context("cannot write the manifests")?;
        let file = file.to_str().context("a plain path")?;
        self.kubectl(&[&["apply", "-f", file], self.apply].concat()).await
    }
}

/// The 32 of kubectl 1.32.
async fn minor() -> anyhow::Result<u32> {
    let said = output(Command::new("kubectl").args(["version", "--client", "--output=json"])).await?;
    let version: Value = serde_json::from_str(&said).context("kubectl's version is no JSON")?;
    let minor = version["clientVersion"]["minor"].as_str().context("kubectl's version has no minor")?;
    minor.trim_end_matches('+').parse().with_context(|| format!("kubectl's minor version is {minor:?}"))
}

#[tokio::test]
async fn manifests_are_applied_once_rolled_out_and_deleted() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let applied = scene.apply(SHOP).await?;
    for line in ["configmap/cart created", "service/cart created", "deployment.apps/cart created"] {
        ensure!(applied.contains(line), "{applied}");
    }
    let rolled =
        scene.kubectl(&["-n", "dev", "rollout", "status", "deployment/cart", "--timeout=50s"]).await?;
    ensure!(rolled.contains("successfully rolled out"), "{rolled}");

    let again = scene.apply(SHOP).await?;
    ensure!(again.lines().all(|line| line.ends_with("unchanged")) && again.lines().count() == 3, "{again}");
    let changed = scene.apply(&SHOP.replace("1.0.0", "1.1.0")).await?;
    ensure!(changed.contains("deployment.apps/cart configured"), "{changed}");
    scene.kubectl(&["-n", "dev", "rollout", "status", "deployment/cart", "--timeout=50s"]).await?;

    let deleted =
        scene.kubectl(&["-n", "dev", "delete", "deployment,service,configmap", "-l", "app=cart"]).await?;
    ensure!(deleted.contains("deployment.apps \"cart\" deleted"), "{deleted}");
    eventually("the pods' end", async || {
        let left = scene.kubectl(&["-n", "dev", "get", "pods", "-o", "name"]).await?;
        Ok(left.trim().is_empty().then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_runs_is_listed_shown_and_described() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(SHOP).await?;
    scene.kubectl(&["-n", "dev", "rollout", "status", "deployment/cart", "--timeout=50s"]).await?;

    let pods = scene.kubectl(&["get", "pods", "-A"]).await?;
    let running: Vec<&str> = pods.lines().filter(|l| l.starts_with("dev ") && l.contains(" cart-")).collect();
    ensure!(running.len() == 2, "{pods}");
    ensure!(running.iter().all(|l| l.contains("1/1") && l.contains("Running")), "{pods}");

    let text = scene.kubectl(&["-n", "dev", "get", "deploy", "cart", "-o", "json"]).await?;
    let deployment: Value = serde_json::from_str(&text).context("no JSON")?;
    assert_eq!(deployment["kind"], "Deployment");
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "shop/cart:1.0.0");

    let described = scene.kubectl(&["-n", "dev", "describe", "deploy", "cart"]).await?;
    for part in [
        "2 desired | 2 updated | 2 total | 2 available | 0 unavailable",
        "shop/cart:1.0.0",
        "ScalingReplicaSet",
    ] {
        ensure!(described.contains(part), "`{part}` is not in\n{described}");
    }
    let wide = scene.kubectl(&["-n", "dev", "get", "deploy,rs,svc,cm,endpoints", "-o", "wide"]).await?;
    ensure!(wide.contains("deployment.apps/cart") && wide.contains("service/cart"), "{wide}");
    let patched = scene.kubectl(&["-n", "dev", "scale", "deploy/cart", "--replicas=3"]).await?;
    ensure!(patched.contains("scaled"), "{patched}");
    scene.kubectl(&["-n", "dev", "rollout", "status", "deployment/cart", "--timeout=50s"]).await.map(drop)
}

#[tokio::test]
async fn an_image_that_crashes_by_a_rule_is_seen_to_crash() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(CRASHES).await?;
    scene.apply(SHOP).await?;
    eventually("the crash", async || {
        let pods = scene.kubectl(&["-n", "dev", "get", "pods"]).await?;
        Ok(pods.contains("CrashLoopBackOff").then_some(()))
    })
    .await?;
    let events = scene.kubectl(&["-n", "dev", "get", "events"]).await?;
    ensure!(events.contains("BackOff"), "{events}");
    Ok(())
}

#[tokio::test]
async fn mistakes_are_told_as_a_real_cluster_tells_them() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let missing = scene.kubectl(&["-n", "dev", "get", "deploy", "nothing"]).await.unwrap_err().to_string();
    ensure!(
        missing.contains("Error from server (NotFound): deployments.apps \"nothing\" not found"),
        "{missing}"
    );
    let wrong = scene.apply(&SHOP.replace("replicas: 2", "replicas: many")).await.unwrap_err().to_string();
    ensure!(wrong.contains("Deployment in version \"v1\" cannot be handled as a Deployment"), "{wrong}");
    let nowhere =
        scene.apply(&SHOP.replace("namespace: dev", "namespace: nowhere")).await.unwrap_err().to_string();
    ensure!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
    Ok(())
}

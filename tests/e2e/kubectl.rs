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

    /// The same for what must end with an error: all that it said.
    async fn fails(&self, args: &[&str]) -> anyhow::Result<String> {
        match self.kubectl(args).await {
            Ok(said) => anyhow::bail!("kubectl {args:?} succeeded:\n{said}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    async fn file(&self, name: &str, manifests: &str) -> anyhow::Result<String> {
        let file = self.house.path(name);
        std::fs::write(&file, manifests).context("cannot write the manifests")?;
        Ok(file.to_str().context("a plain path")?.to_owned())
    }

    /// Waits until `kind/name` in dev has rolled out.
    async fn rolled_out(&self, what: &str) -> anyhow::Result<()> {
        let said = self.kubectl(&["-n", "dev", "rollout", "status", what, "--timeout=50s"]).await?;
        ensure!(said.contains("rolled out") || said.contains("complete"), "{said}");
        Ok(())
    }

    async fn image(&self, what: &str) -> anyhow::Result<String> {
        let path = "jsonpath={.spec.template.spec.containers[0].image}";
        self.kubectl(&["-n", "dev", "get", what, "-o", path]).await
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

#[tokio::test]
async fn a_diff_shows_what_an_apply_would_change_and_two_managers_are_in_conflict() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let first = scene.file("first.yaml", SHOP).await?;
    let second = scene.file("second.yaml", &SHOP.replace("1.0.0", "1.1.0")).await?;
    let applied = scene.kubectl(&["apply", "--server-side", "-f", &first]).await?;
    ensure!(applied.contains("deployment.apps/cart serverside-applied"), "{applied}");
    scene.kubectl(&["diff", "--server-side", "-f", &first]).await.context("no difference is no error")?;
    let differs = scene.fails(&["diff", "--server-side", "-f", &second]).await?;
    ensure!(
        differs.contains("-      - image: shop/cart:1.0.0")
            && differs.contains("+      - image: shop/cart:1.1.0"),
        "{differs}"
    );
    let dry = scene.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", &second]).await?;
    ensure!(dry.contains("deployment.apps/cart serverside-applied (server dry run)"), "{dry}");
    ensure!(scene.image("deploy/cart").await? == "shop/cart:1.0.0");
    let other = ["apply", "--server-side", "--field-manager=other", "-f", &second];
    let conflict = scene.fails(&other).await?;
    ensure!(
        conflict.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.template.spec.containers[name=\"cart\"].image"),
        "{conflict}"
    );
    scene.kubectl(&[&other[..], &["--force-conflicts"]].concat()).await?;
    ensure!(scene.image("deploy/cart").await? == "shop/cart:1.1.0");
    Ok(())
}

#[tokio::test]
async fn a_rollout_is_restarted_undone_and_shown_in_its_history() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(SHOP).await?;
    scene.rolled_out("deploy/cart").await?;
    let set = scene.kubectl(&["-n", "dev", "set", "image", "deploy/cart", "cart=shop/cart:1.1.0"]).await?;
    ensure!(set.contains("deployment.apps/cart image updated"), "{set}");
    scene.rolled_out("deploy/cart").await?;
    let history = scene.kubectl(&["-n", "dev", "rollout", "history", "deploy/cart"]).await?;
    ensure!(
        history.lines().any(|l| l.starts_with("1 ")) && history.lines().any(|l| l.starts_with("2 ")),
        "{history}"
    );
    let undone = scene.kubectl(&["-n", "dev", "rollout", "undo", "deploy/cart"]).await?;
    ensure!(undone.contains("rolled back"), "{undone}");
    ensure!(scene.image("deploy/cart").await? == "shop/cart:1.0.0");
    let restarted = scene.kubectl(&["-n", "dev", "rollout", "restart", "deploy/cart"]).await?;
    ensure!(restarted.contains("deployment.apps/cart restarted"), "{restarted}");
    scene.rolled_out("deploy/cart").await?;
    let waited = ["-n", "dev", "wait", "--for=condition=Available", "deploy/cart", "--timeout=30s"];
    ensure!(scene.kubectl(&waited).await?.contains("condition met"));
    Ok(())
}

const DATABASE: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: dev}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: 'shop/db:1.0.0'}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: dev}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: 'shop/agent:1.0.0'}]}
";

#[tokio::test]
async fn stateful_sets_and_daemon_sets_go_back_to_a_former_revision() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(DATABASE).await?;
    for (what, container, image) in [("sts/db", "db", "shop/db"), ("ds/agent", "agent", "shop/agent")] {
        scene.rolled_out(what).await?;
        scene.kubectl(&["-n", "dev", "set", "image", what, &format!("{container}={image}:2.0.0")]).await?;
        scene.rolled_out(what).await?;
        scene.kubectl(&["-n", "dev", "rollout", "undo", what]).await?;
        scene.rolled_out(what).await?;
        ensure!(scene.image(what).await? == format!("{image}:1.0.0"), "{what}");
        let history = scene.kubectl(&["-n", "dev", "rollout", "history", what]).await?;
        ensure!(history.lines().any(|l| l.starts_with("3 ")), "{history}");
    }
    let orphaned = scene.kubectl(&["-n", "dev", "delete", "sts/db", "--cascade=orphan"]).await?;
    ensure!(orphaned.contains("statefulset.apps \"db\" deleted"), "{orphaned}");
    let left = scene.kubectl(&["-n", "dev", "get", "pods", "-l", "app=db", "-o", "name"]).await?;
    ensure!(left.contains("pod/db-0") && left.contains("pod/db-1"), "{left}");
    Ok(())
}

#[tokio::test]
async fn objects_are_patched_labelled_and_annotated_and_permissions_asked_for() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(SHOP).await?;
    let changes: [&[&str]; 5] = [
        &[
            "patch",
            "deploy/cart",
            "-p",
            r#"{"spec": {"template": {"spec": {"containers": [{"name": "cart", "image": "shop/cart:1.2.0"}]}}}}"#,
        ],
        &["patch", "deploy/cart", "--type=merge", "-p", r#"{"spec": {"minReadySeconds": 1}}"#],
        &[
            "patch",
            "deploy/cart",
            "--type=json",
            "-p",
            r#"[{"op": "replace", "path": "/spec/replicas", "value": 1}]"#,
        ],
        &["label", "deploy/cart", "tier=front"],
        &["annotate", "deploy/cart", "note=seen"],
    ];
    for change in changes {
        scene.kubectl(&[&["-n", "dev"], change].concat()).await?;
    }
    let text = scene.kubectl(&["-n", "dev", "get", "deploy/cart", "-o", "json"]).await?;
    let cart: Value = serde_json::from_str(&text).context("no JSON")?;
    assert_eq!(cart["spec"]["template"]["spec"]["containers"][0]["image"], "shop/cart:1.2.0");
    assert_eq!(
        (cart["spec"]["replicas"].as_i64(), cart["spec"]["minReadySeconds"].as_i64()),
        (Some(1), Some(1))
    );
    assert_eq!(
        (&cart["metadata"]["labels"]["tier"], &cart["metadata"]["annotations"]["note"]),
        (&"front".into(), &"seen".into())
    );

    ensure!(scene.kubectl(&["auth", "can-i", "delete", "pods"]).await?.trim() == "yes");
    let nobody = ["auth", "can-i", "delete", "pods", "--as=system:serviceaccount:dev:default"];
    ensure!(scene.fails(&nobody).await?.contains("no\n"));
    let list = scene.kubectl(&["auth", "can-i", "--list", "-n", "dev"]).await?;
    ensure!(list.contains("*.*"), "{list}");
    let denied = scene.fails(&["-n", "dev", "get", "pods", "--as=jane"]).await?;
    ensure!(
        denied.contains(r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "dev""#),
        "{denied}"
    );
    Ok(())
}

#[tokio::test]
async fn logs_and_events_tell_why_a_container_ended() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(CRASHES).await?;
    scene.apply(SHOP).await?;
    eventually("the log of the run before", async || {
        let previous = ["-n", "dev", "logs", "deploy/cart", "--previous", "--tail=1"];
        Ok(scene.kubectl(&previous).await.is_ok_and(|log| log == "no database\n").then_some(()))
    })
    .await?;
    // The kubelet tells of it after the container has ended, and so after its log is there.
    eventually("the warning", async || {
        let events = scene.kubectl(&["-n", "dev", "events", "--types=Warning"]).await?;
        Ok(events.contains("Back-off restarting failed container cart").then_some(()))
    })
    .await?;
    let described = scene.kubectl(&["-n", "dev", "describe", "pods", "-l", "app=cart"]).await?;
    ensure!(described.contains("Last State:") && described.contains("Exit Code:    1"), "{described}");
    Ok(())
}

/// A kind of its own with one object, a route, and a budget for the pods of the shop.
const MORE: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: dev}
spec:
  parentRefs: [{name: public}]
  hostnames: [cart.example.com]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: dev}
spec: {minAvailable: 2, selector: {matchLabels: {app: cart}}}
";

#[tokio::test]
async fn custom_resources_are_defined_and_listed_and_budgets_hold_a_drain_back() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.apply(&format!("{SHOP}---{MORE}")).await?;
    scene
        .kubectl(&["wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=30s"])
        .await?;
    scene.apply("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: dev}\nspec: {size: 3}\n").await?;
    let listed = scene.kubectl(&["-n", "dev", "get", "wd,httproutes"]).await?;
    ensure!(
        listed.contains("SIZE")
            && listed.contains("httproute.gateway.networking.k8s.io/cart   [\"cart.example.com\"]"),
        "{listed}"
    );
    let described = scene.kubectl(&["-n", "dev", "describe", "httproute", "cart"]).await?;
    ensure!(described.contains("Weight:  1") && described.contains("PathPrefix"), "{described}");

    scene.rolled_out("deploy/cart").await?;
    eventually("the budget's count", async || {
        let budget = scene.kubectl(&["-n", "dev", "describe", "pdb", "cart"]).await?;
        Ok(budget.contains("Current:              2").then_some(()))
    })
    .await?;
    let held = scene.fails(&["drain", "sim-node-1", "--ignore-daemonsets", "--timeout=3s"]).await?;
    ensure!(held.contains("Cannot evict pod as it would violate the pod's disruption budget"), "{held}");
    scene.kubectl(&["uncordon", "sim-node-1"]).await?;
    let gone = scene.kubectl(&["delete", "crd", "widgets.example.com"]).await?;
    ensure!(gone.contains("deleted"), "{gone}");
    let unknown = scene.fails(&["-n", "dev", "get", "widgets"]).await?;
    ensure!(
        unknown.contains("the server doesn't have a resource type \"widgets\"")
            || unknown.contains("NotFound"),
        "{unknown}"
    );
    Ok(())
}

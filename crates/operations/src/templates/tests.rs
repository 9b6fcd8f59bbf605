use pilothouse_domain::pipeline::{PipelineSpec, parse_pipeline};

use super::*;
use crate::stages::StageRegistry;

const APP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  ON: "yes"
  PORT: "8080"
  TEXT: |
    two
    lines: ${ not.ours }
---
apiVersion: v1
kind: Secret
metadata: {name: web-keys}
stringData: {key: hunter2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-app}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: registry}]
      containers:
        - name: web
          image: registry.example:5000/shop/web:1.0.0
          envFrom: [{secretRef: {name: web-keys}}, {secretRef: {name: extra, optional: true}}]
"#;

fn inputs() -> TemplateInputs {
    TemplateInputs {
        manifest: APP.to_owned(),
        service: "web".to_owned(),
        application: Some("shop".to_owned()),
        name: None,
        image: None,
        places: vec!["dev".parse().unwrap(), "prod=eu/shop-prod".parse().unwrap()],
        health_url: Some("https://web.{environment}.example/health?ns={namespace}".to_owned()),
        rollback: true,
    }
}

fn parsed(file: &GeneratedFile) -> PipelineSpec {
    parse_pipeline(&file.text, &StageRegistry::standard().catalog())
        .unwrap_or_else(|problems| panic!("{}: {problems}\n{}", file.name, file.text))
}

fn stages(spec: &PipelineSpec, environment: &str) -> Vec<String> {
    let stages = &spec.environment(environment).unwrap().stages;
    stages.iter().map(|s| format!("{} ({})", s.name, s.stage_type)).collect()
}

#[test]
fn the_main_pipeline_is_disabled_and_the_ways_back_are_not() {
    let made = Template::RollingUpgrade.generate(&inputs()).unwrap();
    let specs: Vec<PipelineSpec> = made.files.iter().map(parsed).collect();
    let names: Vec<(&str, bool)> = specs.iter().map(|s| (s.pipeline.as_str(), s.enabled)).collect();
    assert_eq!(names, [("web-dev-rollback", true), ("web-prod-rollback", true), ("web", false)]);
    let main = &specs[2];
    assert_eq!(main.artifacts[0].image, "registry.example:5000/shop/web");
    assert_eq!(
        stages(main, "dev"),
        [
            "Create service (deploy-manifest)",
            "Create secret (precondition)",
            "Create deployment (deploy-manifest)",
            "Verify deployment (webhook)"
        ]
    );
    assert_eq!(
        stages(main, "prod"),
        [
            "Create secret (precondition)",
            "Deploy phase 1 (deploy-manifest)",
            "Verify phase 1 (webhook)",
            "Deploy rollout phase (deploy-manifest)",
            "Finish rollout phase (deploy-manifest)",
            "Verify rollout phase (webhook)"
        ]
    );
    let prod = main.environment("prod").unwrap();
    assert_eq!((prod.cluster.as_str(), prod.namespace.as_str()), ("eu", "shop-prod"));
    assert_eq!(prod.rollback.pipeline.as_deref(), Some("web-prod-rollback"));
    let url = &prod.stages[2].options["url"];
    assert_eq!(url, "https://web.prod.example/health?ns=shop-prod");
    assert!(!made.files[2].text.contains("hunter2"));
    insta::assert_snapshot!(made.notes.join("\n"), @r#"
    the Namespace shop is left out: each environment has its own, which must be there
    Service web: its namespace shop is left out, the environment's counts
    the Secret web-keys is left out: it holds values, and pipelines are stored and shown
    these Secrets must be in the namespaces dev and shop-prod before a release: registry, web-keys (`Create secret` looks for them)
    "#);
}

#[test]
fn the_manifests_come_through_unchanged() {
    let made = Template::RollingUpgrade.generate(&inputs()).unwrap();
    let main = parsed(&made.files[2]);
    let text = main.environment("dev").unwrap().stages[0].options["manifests"].as_str().unwrap();
    let objects = pilothouse_cluster::parse_manifests(text, "dev").unwrap();
    let config = objects.iter().find(|m| m.object.kind == "ConfigMap").unwrap();
    let want = serde_json::json!({"ON": "yes", "PORT": "8080", "TEXT": "two\nlines: ${ not.ours }\n"});
    assert_eq!(config.content["data"], want);
    assert!(objects.iter().all(|m| m.object.namespace.as_deref() == Some("dev")), "each environment's own");
}

#[test]
fn without_a_health_check_ready_pods_are_counted_and_without_rollback_there_is_one_file() {
    let made = Template::RollingUpgrade
        .generate(&TemplateInputs { health_url: None, rollback: false, ..inputs() })
        .unwrap();
    let [main] = made.files.as_slice() else { panic!("one file") };
    let spec = parsed(main);
    assert_eq!(stages(&spec, "dev")[3], "Verify deployment (precondition)");
    assert!(made.notes.iter().any(|note| note.contains("count ready pods")), "{:?}", made.notes);
}

#[test]
fn what_does_not_go_together_is_told_at_once() {
    let told = |inputs: TemplateInputs| Template::RollingUpgrade.generate(&inputs).unwrap_err().to_string();
    let two = APP.replace(
        "kind: Namespace\nmetadata: {name: shop}",
        "kind: Service\nmetadata: {name: other}\nspec: {}",
    );
    let several =
        APP.replace("    spec:\n      imagePull", "    spec:\n      x: 1\n      imagePull").replace(
            "          envFrom:",
            "        - name: side\n          image: shop/side\n          envFrom:",
        );
    let wrong = [
        told(TemplateInputs { service: "wbe".to_owned(), ..inputs() }),
        told(TemplateInputs { manifest: two, service: "other".to_owned(), ..inputs() }),
        told(TemplateInputs { manifest: several, ..inputs() }),
        told(TemplateInputs { image: Some("shop/none".to_owned()), ..inputs() }),
        told(TemplateInputs { manifest: "a: [".to_owned(), places: Vec::new(), ..inputs() }),
        told(TemplateInputs {
            name: Some("x".repeat(60)),
            application: Some("Shop".to_owned()),
            health_url: Some("ftp://x".to_owned()),
            places: vec!["dev".parse().unwrap(), "dev=eu".parse().unwrap()],
            ..inputs()
        }),
        "Dev/x".parse::<Place>().unwrap_err(),
    ];
    insta::assert_snapshot!(wrong.join("\n"), @r#"
    service: there is no Service `wbe`: the manifest has web; did you mean `web`?
    service: the Service `other` has no selector, so no Deployment is behind it
    image: the Deployment runs several images: registry.example:5000/shop/web, shop/side; name the one that is released: `--image REPOSITORY`
    image: no container of the Deployment runs `shop/none`: they run registry.example:5000/shop/web
    manifest: document 1, line 1: unclosed bracket '[' at line 1, column 4
    clusters: two places are needed, and 0 are given; name where it is tried, and where it is used: `--clusters dev,prod`
    application: `Shop` is no name: lower case letters, digits and `-`
    name: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is no name: lower case letters, digits and `-`, at most 50 characters
    health-url: the scheme `ftp` is not called: use http or https
    clusters: both places are the same environment
    `Dev/x` is no place: write ENVIRONMENT, ENVIRONMENT=CLUSTER or ENVIRONMENT=CLUSTER/NAMESPACE, each of lower case letters, digits and `-`
    "#);
}

#[test]
fn places_without_a_cluster_are_told_where_they_are() {
    let places = vec!["dev".parse().unwrap(), "prod".parse().unwrap()];
    let made = Template::RollingUpgrade.generate(&TemplateInputs { places, ..inputs() }).unwrap();
    let told = "dev and prod are both in the cluster account `default`, in the namespaces dev and prod; for another write \
                `--clusters dev=CLUSTER,prod=CLUSTER`";
    assert!(made.notes.iter().any(|note| note == told), "{:?}", made.notes);
}

#[test]
fn the_way_back_binds_every_workload_that_was_deployed() {
    let job = "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web-tidy}\nspec: {schedule: '0 3 * * *', jobTemplate: \
               {spec: {template: {spec: {restartPolicy: Never, containers: [{name: tidy, image: 'registry.example:5000/shop/web'}]}}}}}\n";
    for template in [Template::RollingUpgrade, Template::Canary] {
        let made =
            template.generate(&TemplateInputs { manifest: format!("{APP}{job}"), ..inputs() }).unwrap();
        for (file, environment) in [(0, "dev"), (1, "prod")] {
            let spec = parsed(&made.files[file]);
            let update = spec.environment(environment).unwrap().stage("Update deployment").unwrap().clone();
            let manifests = update.options["manifests"].as_str().unwrap();
            assert!(manifests.contains("web-tidy") && manifests.contains("web-app"), "{manifests}");
            assert_eq!(update.options["requiredArtifacts"], serde_json::json!(["web"]));
        }
    }
}

#[test]
fn blue_green_and_canary_have_the_stages_of_the_documents_and_a_way_back_for_each_environment() {
    let phases = ["Deploy phase 1", "Verify phase 1", "Deploy rollout phase"];
    let ends = ["Finish rollout phase", "Verify rollout phase"];
    for template in [Template::BlueGreen, Template::Canary] {
        for health_url in [None, inputs().health_url] {
            let made = template.generate(&TemplateInputs { health_url, ..inputs() }).unwrap();
            let specs: Vec<PipelineSpec> = made.files.iter().map(parsed).collect();
            let enabled: Vec<(&str, bool)> = specs.iter().map(|s| (s.pipeline.as_str(), s.enabled)).collect();
            assert_eq!(enabled, [("web-dev-rollback", true), ("web-prod-rollback", true), ("web", false)]);
            for environment in &specs[2].environments {
                assert_eq!(environment.rollback.pipeline, Some(format!("web-{}-rollback", environment.name)));
            }
            let prod = specs[2].environment("prod").unwrap();
            let names: Vec<&str> = prod.stages.iter().map(|stage| stage.name.as_str()).collect();
            for name in phases.iter().chain(&ends) {
                assert!(names.contains(name), "{template:?} has no `{name}`: {names:?}");
            }
            assert_eq!(prod.stage("Deploy rollout phase").unwrap().depends_on, ["Verify phase 1"]);
        }
    }
}

#[test]
fn what_is_verified_without_a_health_check_is_the_new_version() {
    for template in [Template::BlueGreen, Template::Canary] {
        let made = template.generate(&TemplateInputs { health_url: None, ..inputs() }).unwrap();
        let spec = parsed(&made.files[2]);
        for name in ["Verify phase 1", "Verify rollout phase"] {
            let stage = spec.environment("prod").unwrap().stage(name).unwrap();
            let workload = stage.options["checks"][0]["workload"].as_str().unwrap();
            assert!(workload.contains("output.current.name"), "{template:?}, {name}: {workload}");
        }
    }
}

/// In an expression a `-` is a minus.
#[test]
fn a_service_with_a_hyphen_is_released_under_its_name() {
    let manifest = APP.replace("metadata: {name: web, namespace: shop}", "metadata: {name: web-front}");
    for template in [Template::BlueGreen, Template::Canary, Template::RollingUpgrade] {
        let service = "web-front".to_owned();
        let made = template.generate(&TemplateInputs { manifest: manifest.clone(), service, ..inputs() });
        made.unwrap().files.iter().map(parsed).for_each(drop);
    }
}

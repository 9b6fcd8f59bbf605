//! Blue-green (V5, V12, V13): prod's new version is started beside the old one, verified, and then gets all the traffic.

use super::GeneratedFile;
use super::inputs::Checked;
use super::main_file::{Model, by_snapshot, dev_before, main_file, prod_before};
use super::write::Stage;

/// The main pipeline. A rollback restores the snapshots: each version is a Deployment of its own, so an image alone does not bring one back.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let model = Model {
        name: "blue-green",
        title: "Blue-green deployment",
        how: "with the new version beside the old, which gets the traffic once it is verified",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        policy: &|_| by_snapshot(inputs),
    };
    vec![main_file(inputs, &model)]
}

/// What both versions say: the Service, what the new one is called, and that it runs the release's image.
fn version(inputs: &Checked) -> String {
    let service = &inputs.parts.service;
    format!("service: {service}\nversion: ${{ artifacts.{service}.tag }}\nrequiredArtifacts: [{service}]")
}

fn dev_stages(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    let (mut stages, before) = dev_before(inputs);
    let deployment = Some(&parts.deployment);
    stages.push(Stage::strategy("Create deployment", "blue-green", before, &version(inputs), deployment));
    stages.extend(others(inputs, "Create deployment"));
    stages.push(Stage::verify_service(inputs, &inputs.dev, "Verify deployment", "Create deployment", parts));
    stages
}

fn prod_stages(inputs: &Checked) -> Vec<Stage> {
    let (parts, prod) = (&inputs.parts, &inputs.prod);
    let (mut stages, before) = prod_before(inputs);
    stages.push(Stage::deploy("Create service", before, &parts.support, None));
    let first = "Deploy phase 1";
    let output = |key: &str| format!("${{ stages[\"{first}\"].output.{key}.name }}");
    stages.extend([
        Stage::strategy(first, "start-workload", "Create service", &version(inputs), Some(&parts.deployment)),
        Stage::ready("Verify phase 1", first, &output("current")),
        Stage::strategy(
            "Deploy rollout phase",
            "divert-traffic",
            "Verify phase 1",
            &format!("service: {}\nto: {}", parts.service, output("current")),
            None,
        ),
    ]);
    stages.extend(others(inputs, "Deploy rollout phase"));
    stages.push(Stage::verify_service(inputs, prod, "Verify rollout phase", "Deploy rollout phase", parts));
    // After the verification: as long as the old version runs, the way back is short.
    stages.push(Stage::strategy(
        "Finish rollout phase",
        "remove-old-version",
        "Verify rollout phase",
        &format!("if: ${{ stages[\"{first}\"].output.previous != null }}\nworkload: {}", output("previous")),
        None,
    ));
    stages
}

/// The workloads that are not behind the Service.
fn others(inputs: &Checked, after: &str) -> Option<Stage> {
    let others = &inputs.parts.others;
    (!others.is_empty()).then(|| Stage::deploy("Deploy the others", Some(after), others, None))
}

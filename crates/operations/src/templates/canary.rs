//! Canary (V12, V13, T5): prod's new version gets a small share of the traffic, is verified, and then takes the place of the old one.

use super::GeneratedFile;
use super::inputs::Checked;
use super::main_file::{self, Model, dev_before, prod_before};
use super::write::Stage;

/// What it makes.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let model = Model {
        name: "canary",
        title: "Canary deployment",
        how: "with a fifth of the traffic first, and all of it once that is verified",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        dev_back: dev_back(inputs),
        prod_back: prod_back(inputs),
    };
    main_file::files(inputs, &model)
}

fn dev_stages(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    let (mut stages, before) = dev_before(inputs);
    stages.push(Stage::deploy("Create deployment", Some(before), &parts.workloads(), Some(&parts.service)));
    stages.push(Stage::verify(
        inputs,
        &inputs.dev,
        "Verify deployment",
        "Create deployment",
        parts.workload(),
    ));
    stages
}

fn prod_stages(inputs: &Checked) -> Vec<Stage> {
    let (parts, prod) = (&inputs.parts, &inputs.prod);
    let (mut stages, before) = prod_before(inputs);
    let support: Vec<_> = parts.support.iter().chain(&parts.others).cloned().collect();
    stages.push(Stage::deploy("Create service", before, &support, None));
    let common = format!(
        "workload: {}\nservice: {service}\nrequiredArtifacts: [{service}]",
        parts.workload(),
        service = parts.service
    );
    let canary = |name: &str, after: &str, steps: &str| {
        let lines = format!("{common}\n{steps}");
        Stage::strategy(name, "canary", Some(after), &lines, Some(&parts.deployment))
    };
    let current = |stage: &str| format!("${{ stages[\"{stage}\"].output.current.name }}");
    stages.extend([
        canary("Deploy phase 1", "Create service", "steps: [{setWeight: 20}]\npromote: false"),
        // The canary itself: the one before goes on being ready whatever becomes of it.
        Stage::verify(inputs, prod, "Verify phase 1", "Deploy phase 1", &current("Deploy phase 1")),
        canary(
            "Deploy rollout phase",
            "Verify phase 1",
            "steps: [{setWeight: 50}, {pause: 1m}]\npromote: false",
        ),
        canary(
            "Finish rollout phase",
            "Deploy rollout phase",
            "steps: []                      # all of it, and the canary goes",
        ),
        Stage::verify(
            inputs,
            prod,
            "Verify rollout phase",
            "Finish rollout phase",
            &current("Finish rollout phase"),
        ),
    ]);
    stages
}

/// V7: the deployment with the image of the last release that succeeded there.
fn dev_back(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    vec![
        Stage::update(None, parts),
        Stage::verify(inputs, &inputs.dev, "Verify deployment", "Update deployment", parts.workload()),
    ]
}

/// The canary goes once its place is taken: until then it has a share of the traffic.
fn prod_back(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    let canary = format!("objects:\n  - {{kind: Deployment, name: {}-canary}}", parts.workload());
    vec![
        Stage::update(None, parts),
        Stage::delete("Remove canary", "Update deployment", &canary),
        Stage::verify(inputs, &inputs.prod, "Verify deployment", "Remove canary", parts.workload()),
    ]
}

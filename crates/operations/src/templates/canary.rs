//! Canary (V12, V13, T5): prod's new version gets a small share of the traffic, is verified, and then takes the place of the old one.

use super::GeneratedFile;
use super::inputs::Checked;
use super::main_file::{Model, by_snapshot, dev_before, main_file, prod_before};
use super::write::Stage;

/// The main pipeline. A rollback restores the snapshots: they know the canary and the share that it had.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let model = Model {
        name: "canary",
        title: "Canary deployment",
        how: "with a fifth of the traffic first, and all of it once that is verified",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        policy: &|_| by_snapshot(inputs),
    };
    vec![main_file(inputs, &model)]
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
        Stage::strategy(name, "canary", after, &format!("{common}\n{steps}"), Some(&parts.deployment))
    };
    stages.extend([
        canary("Deploy phase 1", "Create service", "steps: [{setWeight: 20}]\npromote: false"),
        Stage::verify(inputs, prod, "Verify phase 1", "Deploy phase 1", parts.workload()),
        canary(
            "Deploy rollout phase",
            "Verify phase 1",
            "steps: [{setWeight: 50}, {pause: 1m}]    # then all, and the canary goes",
        ),
        Stage::verify(inputs, prod, "Verify rollout phase", "Deploy rollout phase", parts.workload()),
    ]);
    stages
}

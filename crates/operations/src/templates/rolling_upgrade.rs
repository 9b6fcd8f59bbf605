//! The rolling upgrade of VMware's smart template (V6-V8, V12, V13): dev at once, prod in two phases, and a way back for each.

use super::GeneratedFile;
use super::inputs::Checked;
use super::main_file::{self, Model, dev_before, prod_before};
use super::write::Stage;

/// What it makes.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let model = Model {
        name: "rolling-upgrade",
        title: "Rolling upgrade",
        how: "in two phases, first one pod, then all",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        dev_back: dev_back(inputs),
        prod_back: prod_back(inputs),
    };
    main_file::files(inputs, &model)
}

/// V12.
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

/// V13.
fn prod_stages(inputs: &Checked) -> Vec<Stage> {
    let (parts, prod) = (&inputs.parts, &inputs.prod);
    let phase = parts.phase_name();
    let (mut stages, before) = prod_before(inputs);
    let first: Vec<_> = parts.support.iter().cloned().chain([parts.phase(1)]).collect();
    stages.extend([
        Stage::deploy("Deploy phase 1", before, &first, Some(&parts.service)),
        Stage::verify(inputs, prod, "Verify phase 1", "Deploy phase 1", &phase),
        Stage::deploy(
            "Deploy rollout phase",
            Some("Verify phase 1"),
            &parts.workloads(),
            Some(&parts.service),
        ),
        Stage::deploy("Finish rollout phase", Some("Deploy rollout phase"), &[parts.phase(0)], None),
        Stage::verify(inputs, prod, "Verify rollout phase", "Finish rollout phase", parts.workload()),
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

fn prod_back(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    vec![
        Stage::deploy("Remove phase 1", None, &[parts.phase(0)], None),
        Stage::update(Some("Remove phase 1"), parts),
        Stage::verify(inputs, &inputs.prod, "Verify deployment", "Update deployment", parts.workload()),
    ]
}

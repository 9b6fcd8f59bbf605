//! The rolling upgrade of VMware's smart template (V6-V8, V12, V13): dev at once, prod in two phases, and a way back for each.

use super::GeneratedFile;
use super::inputs::{Checked, Place};
use super::main_file::{Model, dev_before, main_file, prod_before};
use super::write::{Stage, environment};

/// The main pipeline, after those that take it back.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let mut files = Vec::new();
    if inputs.rollback {
        files.push(rollback(inputs, &inputs.dev, &dev_back(inputs)));
        files.push(rollback(inputs, &inputs.prod, &prod_back(inputs)));
    }
    let model = Model {
        name: "rolling-upgrade",
        title: "Rolling upgrade",
        how: "in two phases, first one pod, then all",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        policy: &|place| policy(inputs, place),
    };
    files.push(main_file(inputs, &model));
    files
}

/// What takes a failed deployment back.
fn policy(inputs: &Checked, place: &Place) -> String {
    if !inputs.rollback {
        return String::new();
    }
    format!(
        "rollback:\n  policy: on_failure\n  causes: [stage_failed]        # also approval_rejected, gate_failed, canceled\n  \
         pipeline: {}\n",
        inputs.rollback_name(place)
    )
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
        Stage::patch("Update deployment", None, parts.workload(), &parts.service),
        Stage::verify(inputs, &inputs.dev, "Verify deployment", "Update deployment", parts.workload()),
    ]
}

fn prod_back(inputs: &Checked) -> Vec<Stage> {
    let parts = &inputs.parts;
    vec![
        Stage::deploy("Remove phase 1", None, &[parts.phase(0)], None),
        Stage::patch("Update deployment", Some("Remove phase 1"), parts.workload(), &parts.service),
        Stage::verify(inputs, &inputs.prod, "Verify deployment", "Update deployment", parts.workload()),
    ]
}

fn rollback(inputs: &Checked, place: &Place, stages: &[Stage]) -> GeneratedFile {
    let Checked { application, name, parts, .. } = inputs;
    let (artifact, image) = (&parts.service, &parts.image);
    let own = inputs.rollback_name(place);
    let text = format!(
        "# Takes {application}/{name} back in {}: it runs with what the last release that succeeded there carries. Before there is one,\n\
         # a rollback restores what was there before the deployment.\n\
         application: {application}\n\
         pipeline: {own}\n\
         description: Takes {artifact} back to its earlier version.\n\
         \n\
         artifacts:\n  - name: {artifact}\n    image: {image}\n\
         \n\
         environments:\n{}",
        place.environment,
        environment(place, "", stages),
    );
    GeneratedFile { name: format!("{own}.yaml"), text }
}

//! Blue-green (V5, V12, V13): prod's new version is started beside the old one, verified, and then gets all the traffic.

use serde_json::Value;

use super::GeneratedFile;
use super::inputs::{Checked, Place};
use super::main_file::{self, Model, dev_before, prod_before};
use super::write::Stage;

/// What it makes.
pub(super) fn files(inputs: &Checked) -> Vec<GeneratedFile> {
    let model = Model {
        name: "blue-green",
        title: "Blue-green deployment",
        how: "with the new version beside the old, which gets the traffic once it is verified",
        dev: dev_stages(inputs),
        prod: prod_stages(inputs),
        dev_back: back(inputs, &inputs.dev),
        prod_back: back(inputs, &inputs.prod),
    };
    main_file::files(inputs, &model)
}

/// The label by which the rollback finds what its pipeline started.
const PIPELINE: &str = "pilothouse.dev/pipeline";

/// What both versions say: the Service, what the new one is called, and that it runs the release's image.
fn version(inputs: &Checked) -> String {
    let service = &inputs.parts.service;
    let tag = tag(inputs, "");
    format!("service: {service}\nversion: ${{ {tag} }}\nrequiredArtifacts: [{service}]")
}

/// The tag of the image that is released, or with `of` of that which is taken back, as an expression.
fn tag(inputs: &Checked, of: &str) -> String {
    let artifact = &inputs.parts.service;
    // A `-` would be a minus.
    match artifact.contains('-') {
        true => format!("{of}artifacts[\"{artifact}\"].tag"),
        false => format!("{of}artifacts.{artifact}.tag"),
    }
}

/// The name of the workload that a stage has started, or that was there before it.
fn output(stage: &str, key: &str) -> String {
    format!("${{ stages[\"{stage}\"].output.{key}.name }}")
}

/// The Deployment that each version is made of.
fn deployment(inputs: &Checked) -> Value {
    let mut deployment = inputs.parts.deployment.clone();
    deployment["metadata"]["labels"][PIPELINE] = Value::from(inputs.name.as_str());
    deployment
}

fn dev_stages(inputs: &Checked) -> Vec<Stage> {
    let (mut stages, before) = dev_before(inputs);
    let create = "Create deployment";
    let deployment = deployment(inputs);
    stages.push(Stage::strategy(create, "blue-green", Some(before), &version(inputs), Some(&deployment)));
    stages.extend(others(inputs, create));
    stages.push(Stage::verify(inputs, &inputs.dev, "Verify deployment", create, &output(create, "current")));
    stages
}

fn prod_stages(inputs: &Checked) -> Vec<Stage> {
    let (parts, prod) = (&inputs.parts, &inputs.prod);
    let (mut stages, before) = prod_before(inputs);
    stages.push(Stage::deploy("Create service", before, &parts.support, None));
    let first = "Deploy phase 1";
    let (current, previous) = (output(first, "current"), output(first, "previous"));
    let deployment = deployment(inputs);
    stages.extend([
        Stage::strategy(first, "start-workload", Some("Create service"), &version(inputs), Some(&deployment)),
        Stage::ready("Verify phase 1", first, &current),
        Stage::strategy(
            "Deploy rollout phase",
            "divert-traffic",
            Some("Verify phase 1"),
            &format!("service: {}\nto: {current}", parts.service),
            None,
        ),
    ]);
    stages.extend(others(inputs, "Deploy rollout phase"));
    stages.push(Stage::verify(inputs, prod, "Verify rollout phase", "Deploy rollout phase", &current));
    // After the verification: as long as the old version runs, the way back is short. The same version deployed again is its own
    // predecessor.
    let output = format!("stages[\"{first}\"].output");
    let lines = format!(
        "if: ${{ {output}.previous != null && {output}.previous.name != {output}.current.name }}\nworkload: {previous}"
    );
    stages.push(Stage::strategy(
        "Finish rollout phase",
        "remove-old-version",
        Some("Verify rollout phase"),
        &lines,
        None,
    ));
    stages
}

/// V7: the version of the last release that succeeded there gets the traffic back, be it still there or not; then the one that
/// failed goes, if it never got any.
fn back(inputs: &Checked, place: &Place) -> Vec<Stage> {
    let update = "Update deployment";
    let deployment = deployment(inputs);
    let mut stages = vec![Stage::strategy(update, "blue-green", None, &version(inputs), Some(&deployment))];
    stages.extend(others(inputs, update));
    let failed = tag(inputs, "rollback.");
    let which = format!(
        "if: ${{ {failed} != {} }}\nkinds: [Deployment]\nlabels:\n  {PIPELINE}: {}\n  version: ${{ {failed} }}",
        tag(inputs, ""),
        inputs.name
    );
    stages.push(Stage::delete("Remove the failed version", update, &which));
    let last = "Remove the failed version";
    stages.push(Stage::verify(inputs, place, "Verify deployment", last, &output(update, "current")));
    stages
}

/// The workloads that are not behind the Service.
fn others(inputs: &Checked, after: &str) -> Option<Stage> {
    let others = &inputs.parts.others;
    (!others.is_empty()).then(|| Stage::deploy("Deploy the others", Some(after), others, None))
}

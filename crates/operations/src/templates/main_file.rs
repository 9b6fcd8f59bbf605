//! The main pipeline's file, which all templates share.

use super::GeneratedFile;
use super::inputs::{Checked, Place};
use super::write::{Stage, environment};

/// What differs from template to template.
pub(super) struct Model {
    /// The template's name: `rolling-upgrade`.
    pub(super) name: &'static str,
    /// The same for people, with what it does in prod: "Rolling upgrade", "in two phases".
    pub(super) title: &'static str,
    pub(super) how: &'static str,
    pub(super) dev: Vec<Stage>,
    pub(super) prod: Vec<Stage>,
    /// How each of them is taken back (V6, V7).
    pub(super) dev_back: Vec<Stage>,
    pub(super) prod_back: Vec<Stage>,
}

/// The main pipeline, after the rollback pipelines that it names (V6).
pub(super) fn files(inputs: &Checked, model: &Model) -> Vec<GeneratedFile> {
    let mut files = Vec::new();
    if inputs.rollback {
        files.push(rollback(inputs, &inputs.dev, &model.dev_back));
        files.push(rollback(inputs, &inputs.prod, &model.prod_back));
    }
    files.push(main_file(inputs, model));
    files
}

/// The file. It is not enabled (V11).
fn main_file(inputs: &Checked, model: &Model) -> GeneratedFile {
    let Checked { application, name, dev, prod, parts, .. } = inputs;
    let (artifact, image) = (&parts.service, &parts.image);
    let Model { name: template, title, how, .. } = model;
    let text = format!(
        "# {title} of {application}/{artifact}: {dev} at once, {prod} {how}.\n\
         # Made by `pilothouse template {template}`. It is not enabled: review it, apply it, then\n\
         #   pilothouse pipeline enable {application} {name}\n\
         #   pilothouse release start {application} {name} --artifact {artifact}=TAG --watch\n\
         application: {application}\n\
         pipeline: {name}\n\
         description: {title} of {artifact}.\n\
         enabled: false                     # as it is first saved; afterwards `pilothouse pipeline enable` and `disable` decide\n\
         \n\
         artifacts:\n  - name: {artifact}\n    image: {image}\n\
         \n\
         # Nothing starts it but people. To start it with each push, make a hook, and add:\n\
         #   triggers:\n\
         #     - {{name: push, type: registry, hook: HOOK, image: {image}}}\n\
         \n\
         environments:\n{}{}",
        environment(dev, &policy(inputs, dev), &model.dev),
        environment(prod, &format!("after: [{}]\n{}", dev.environment, policy(inputs, prod)), &model.prod),
        dev = dev.environment,
        prod = prod.environment,
    );
    GeneratedFile { name: format!("{name}.yaml"), text }
}

/// What takes a failed deployment back: lines of the environment.
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

/// The rollback pipeline of an environment. It is enabled (V11).
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

/// V12: what dev has before its deployment, and the stage that this comes after.
pub(super) fn dev_before(inputs: &Checked) -> (Vec<Stage>, &'static str) {
    let parts = &inputs.parts;
    let mut stages = vec![Stage::deploy("Create service", None, &parts.support, None)];
    if parts.secrets.is_empty() {
        return (stages, "Create service");
    }
    stages.push(Stage::secrets("Create secret", Some("Create service"), &parts.secrets));
    (stages, "Create secret")
}

/// The Secrets that prod's pods need are looked for before anything else; gives the stage that follows comes after.
pub(super) fn prod_before(inputs: &Checked) -> (Vec<Stage>, Option<&'static str>) {
    match inputs.parts.secrets.as_slice() {
        [] => (Vec::new(), None),
        secrets => (vec![Stage::secrets("Create secret", None, secrets)], Some("Create secret")),
    }
}

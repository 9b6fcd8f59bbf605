//! The main pipeline's file, which all templates share.

use super::GeneratedFile;
use super::inputs::{Checked, Place};
use super::write::{Stage, environment};

/// What differs from template to template.
pub(super) struct Model<'a> {
    /// The template's name: `rolling-upgrade`.
    pub(super) name: &'static str,
    /// The same for people, with what it does in prod: "Rolling upgrade", "in two phases".
    pub(super) title: &'static str,
    pub(super) how: &'static str,
    pub(super) dev: Vec<Stage>,
    pub(super) prod: Vec<Stage>,
    /// What takes a failed deployment back there: lines of the environment.
    pub(super) policy: &'a dyn Fn(&Place) -> String,
}

/// The file. It is not enabled (V11).
pub(super) fn main_file(inputs: &Checked, model: &Model<'_>) -> GeneratedFile {
    let Checked { application, name, dev, prod, parts, .. } = inputs;
    let (artifact, image) = (&parts.service, &parts.image);
    let Model { name: template, title, how, policy, .. } = model;
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
        environment(dev, &policy(dev), &model.dev),
        environment(prod, &format!("after: [{}]\n{}", dev.environment, policy(prod)), &model.prod),
        dev = dev.environment,
        prod = prod.environment,
    );
    GeneratedFile { name: format!("{name}.yaml"), text }
}

/// A rollback by the snapshots: what the strategy moved is moved back in the right order.
pub(super) fn by_snapshot(inputs: &Checked) -> String {
    match inputs.rollback {
        true => "rollback:\n  policy: on_failure          # what was there before is restored, in the order that keeps the traffic served\n  \
                 causes: [stage_failed]        # also approval_rejected, gate_failed, canceled\n"
            .to_owned(),
        false => String::new(),
    }
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

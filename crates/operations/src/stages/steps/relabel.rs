//! Gives the pods of a ReplicaSet the labels by which Services find them, or takes them away (T41, T42).

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_cluster::{Carry, Cluster, ObjectRef};
use pilothouse_domain::duration::Span;

use super::carry_out::{Outcome, options};
use crate::OperationError;
use crate::stages::StageContext;

/// Between two looks whether the controller has seen the template.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// First the template, so that no pod comes with the former labels, then the pods.
pub(super) async fn relabel(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    (object, labels): (&ObjectRef, &BTreeMap<String, String>),
    carry: Carry,
    within: Span,
) -> Result<Outcome, OperationError> {
    match carry {
        Carry::All => cluster.label_template(object, &options(stage, true), labels, true).await?,
        Carry::AtMost(0) => cluster.label_template(object, &options(stage, true), labels, false).await?,
        // Those that replace pods get traffic as before; what are too many then is counted again at the next step.
        Carry::AtMost(_) => {}
    }
    let done = cluster.label_pods(object, labels, carry).await?;
    let written: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let told = match carry {
        Carry::All => format!("the {} pods of {object} carry {}", done.carrying, written.join(",")),
        Carry::AtMost(0) => format!("no pod of {object} carries {}", written.join(",")),
        Carry::AtMost(_) => format!("{} pods of {object} carry {}", done.carrying, written.join(",")),
    };
    if done.settled {
        return Ok(Outcome::Done(told));
    }
    tokio::time::sleep(LOOK_AGAIN.min(within.as_duration())).await;
    Ok(Outcome::pending(format!("{told}; its controller has not seen its labels yet")))
}

/// What it does, for people.
pub(super) fn describe(object: &ObjectRef, carry: Carry) -> String {
    match carry {
        Carry::All => format!("enable {object}"),
        Carry::AtMost(0) => format!("disable {object}"),
        Carry::AtMost(most) => format!("leave {most} pods of {object} enabled"),
    }
}

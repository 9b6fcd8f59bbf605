//! The state machines: the files that are deployed to AWS, with this process's names in their placeholders.

use std::collections::BTreeMap;

/// The name of the state machine that runs a deployment attempt.
pub const DEPLOYMENT: &str = "deployment";
/// The name of the state machine that runs a stage.
pub const STAGE: &str = "stage";

/// A state machine as it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Its definition in the States Language, placeholders filled in.
    pub text: String,
}

/// Both definitions, the one that the other starts first.
#[must_use]
pub fn definitions(region: &str, account: &str) -> [Definition; 2] {
    let function = |name: &str| format!("arn:aws:lambda:{region}:{account}:function:{name}");
    let values = BTreeMap::from([
        ("AdvanceDeploymentFunctionArn", function("advance-deployment")),
        ("RunStageFunctionArn", function("run-stage")),
        ("StageStateMachineArn", format!("arn:aws:states:{region}:{account}:stateMachine:{STAGE}")),
    ]);
    [
        fill(STAGE, include_str!("../../../statemachines/stage.asl.json"), &values),
        fill(DEPLOYMENT, include_str!("../../../statemachines/deployment.asl.json"), &values),
    ]
}

fn fill(name: &'static str, text: &str, values: &BTreeMap<&str, String>) -> Definition {
    let text =
        values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(&format!("${{{key}}}"), value));
    Definition { name, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_has_a_value() {
        for definition in definitions("us-east-1", "000000000000") {
            assert!(!definition.text.contains("${"), "{}", definition.name);
        }
    }
}

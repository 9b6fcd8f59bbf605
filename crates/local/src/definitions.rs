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

/// How often one execution looks at a stage before another goes on: each look is at most seven events of a history that
/// has room for 25,000, and a try that failed counts as a look. At twenty seconds a look that is some fourteen hours.
pub const LOOKS_PER_EXECUTION: u32 = 2_500;

/// Both definitions, the one that the other starts first.
#[must_use]
pub fn definitions(region: &str, account: &str, looks_per_execution: u32) -> [Definition; 2] {
    let function = |name: &str| format!("arn:aws:lambda:{region}:{account}:function:{name}");
    let values = BTreeMap::from([
        ("AdvanceDeploymentFunctionArn", function("advance-deployment")),
        ("RunStageFunctionArn", function("run-stage")),
        ("LooksPerExecution", looks_per_execution.to_string()),
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
        for definition in definitions("us-east-1", "000000000000", LOOKS_PER_EXECUTION) {
            assert!(!definition.text.contains("${"), "{}", definition.name);
        }
    }
}

//! `manual-judgment`: a person looks, and chooses how to go on (T35, H16).

use pilothouse_domain::approval::names_of;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{Approver, MOST_APPROVERS, Order, StageScope, StageTypeInfo};
use pilothouse_domain::problem::{Problem, did_you_mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Begun, Question, StageContext, StageEnd, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "manual-judgment";

/// What a `manual-judgment` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// What to look at, and what the answer decides. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The answers to choose from; later stages read the chosen one as `stages["…"].output.input`. None: approve or reject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Who may answer: any of these. `[{role: approver}]` when absent.
    #[serde(default = "approvers")]
    #[schemars(length(min = 1, max = MOST_APPROVERS))]
    pub approvers: Vec<Approver>,
    /// How many different people must approve; 1 when absent, and all of them in turn with `order: in_sequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub required: Option<u32>,
    /// Whether the approvers are asked all at once or one after the other.
    #[serde(default, skip_serializing_if = "Order::is_default")]
    pub order: Order,
    /// Whether the one who started the release, or the deployment by hand, may answer; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_approval: Option<bool>,
}

fn approvers() -> Vec<Approver> {
    vec![Approver::Role("approver".to_owned())]
}

/// The roles that may decide.
const ROLES: [&str; 3] = ["approver", "operator", "admin"];

/// Asks a person. No answer in time is a failure.
#[derive(Debug, Clone, Copy)]
pub struct ManualJudgment;

impl StageType for ManualJudgment {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Waits until a person approves, rejects, or chooses an answer.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T35, H16, A24"
    }

    fn undone(&self) -> &'static str {
        "Nothing: it changes nothing."
    }

    fn timeout(&self, _: &Value) -> Span {
        Span::from_secs(7 * 86_400)
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(async move { Ok(ask(stage.options()?)) })
    }

    fn answered(&self, _: &StageContext<'_>, answer: Answer) -> StageEnd {
        end(answer)
    }
}

fn ask(options: Options) -> Begun {
    let who = match options.order {
        Order::InSequence => names_of(&options.approvers).replace(", ", ", then "),
        Order::Any => names_of(&options.approvers).replace(", ", " or "),
    };
    let question = Question {
        approvers: options.approvers,
        inputs: options.inputs,
        instructions: options.instructions,
        required: options.required.unwrap_or(1),
        order: options.order,
        self_approval: options.self_approval.unwrap_or(true),
    };
    Begun::Await { question: Some(question), progress: format!("waits for an answer of {who}") }
}

fn end(answer: Answer) -> StageEnd {
    match answer {
        Answer::Approved { by, input, comment } => {
            StageEnd::succeeded(json!({ "by": by, "input": input, "comment": comment }))
        }
        Answer::Rejected { by, comment } => StageEnd {
            output: json!({ "by": by, "input": null, "comment": comment }),
            ..StageEnd::failed(format!("rejected by {by}"))
        },
        Answer::TimedOut => StageEnd::failed("nobody answered before the deadline"),
        Answer::Skipped { by } => {
            StageEnd::failed(format!("{by} skipped it, but a judgment needs an answer"))
        }
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    for (index, input) in parsed.inputs.iter().enumerate() {
        let path = format!("inputs[{index}]");
        if input.trim().is_empty() {
            problems.push(Problem::new(path, "an answer cannot be empty"));
        } else if parsed.inputs[..index].contains(input) {
            problems.push(Problem::new(path, format!("the answer `{input}` is there twice")));
        }
    }
    if parsed.approvers.is_empty() {
        problems.push(
            Problem::new("approvers", "nobody could answer")
                .with_hint("name a role or a user, or leave it out"),
        );
    }
    problems
        .extend(parsed.approvers.iter().enumerate().filter_map(|(index, who)| approver_problem(index, who)));
    problems.extend(quorum(&parsed));
    problems
}

/// Named people can give no more answers than they are; in sequence everybody is asked, once.
fn quorum(options: &Options) -> Option<Problem> {
    let mut users: Vec<&Approver> =
        options.approvers.iter().filter(|a| matches!(a, Approver::User(_))).collect();
    let (named, listed) = (users.len(), options.approvers.len());
    users.sort_by_key(|user| user.to_string());
    users.dedup();
    if options.order == Order::InSequence {
        if users.len() < named {
            return Some(Problem::new("approvers", "a user has two turns, and answers once"));
        }
        let all = options.required.is_none_or(|n| usize::try_from(n) == Ok(listed));
        let message = format!("in sequence all {listed} approvers are asked");
        return (!all).then(|| Problem::new("required", message).with_hint("leave `required` out"));
    }
    let required = options.required?;
    let reachable = named < listed || usize::try_from(required).is_ok_and(|n| n <= users.len());
    let message = format!("{required} answers are required, but only {} may answer", users.len());
    (!reachable && listed > 0).then(|| Problem::new("required", message))
}

/// What is wrong with one approver, the `index`th of its list.
pub(crate) fn approver_problem(index: usize, who: &Approver) -> Option<Problem> {
    match who {
        Approver::Role(role) if check::has_expression(role) || ROLES.contains(&role.as_str()) => None,
        Approver::Role(role) => {
            let path = format!("approvers[{index}].role");
            let hint =
                did_you_mean(role, ROLES).unwrap_or_else(|| format!("use one of {}", ROLES.join(", ")));
            Some(Problem::new(path, format!("the role `{role}` cannot decide")).with_hint(hint))
        }
        Approver::User(name) if name.trim().is_empty() => {
            Some(Problem::new(format!("approvers[{index}].user"), "the name is empty"))
        }
        Approver::User(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_domain::stage::StageStatus;

    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn answers_and_approvers_are_checked_when_the_pipeline_is_saved() {
        for fine in [
            json!({}),
            json!({"instructions": "Fine for ${ params.replicas }?", "inputs": ["go", "stop"]}),
            json!({"approvers": [{"user": "ann"}, {"role": "operator"}], "required": 3, "selfApproval": false}),
            json!({"approvers": [{"user": "ann"}, {"role": "operator"}], "order": "in_sequence"}),
        ] {
            assert_eq!(problems(&ManualJudgment, &fine), "");
        }
        let all = [
            json!({"inputs": ["go", "", "go"], "approvers": []}),
            json!({"approvers": [{"role": "aprover"}, {"role": "viewer"}, {"user": " "}]}),
            json!({"instructions": "${ params."}),
            json!({"approvers": [{"user": "ann"}, {"user": "ann"}], "required": 2}),
            json!({"approvers": [{"user": "ann"}, {"user": "ann"}], "order": "in_sequence"}),
            json!({"approvers": [{"user": "ann"}, {"role": "admin"}], "order": "in_sequence", "required": 1}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&ManualJudgment, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        inputs[1]: an answer cannot be empty
        inputs[2]: the answer `go` is there twice
        approvers: nobody could answer; name a role or a user, or leave it out
        approvers[0].role: the role `aprover` cannot decide; did you mean `approver`?
        approvers[1].role: the role `viewer` cannot decide; use one of approver, operator, admin
        approvers[2].user: the name is empty
        instructions: `${` has no closing `}`; write `$${` for a literal `${` (at character 1)
        required: 2 answers are required, but only 1 may answer
        approvers: a user has two turns, and answers once
        required: in sequence all 2 approvers are asked; leave `required` out
        ");
    }

    #[test]
    fn approvers_are_asked_when_nobody_is_named() {
        let Begun::Await { question: Some(question), progress } =
            ask(serde_json::from_value(json!({})).unwrap())
        else {
            panic!("it asks")
        };
        assert_eq!(question.approvers, [Approver::Role("approver".to_owned())]);
        assert_eq!(progress, "waits for an answer of role approver");
    }

    #[test]
    fn the_answer_is_the_output_and_a_no_or_silence_is_a_failure() {
        let go = end(Answer::Approved {
            by: "ann".into(),
            input: Some("go".into()),
            comment: Some("fine".into()),
        });
        let output = json!({"by": "ann", "input": "go", "comment": "fine"});
        assert_eq!((go.status, go.output), (StageStatus::Succeeded, output));
        let reason = |answer| end(answer).status.reason().map(str::to_owned);
        assert_eq!(reason(Answer::Rejected { by: "bob".into(), comment: None }).unwrap(), "rejected by bob");
        assert_eq!(reason(Answer::TimedOut).unwrap(), "nobody answered before the deadline");
    }
}

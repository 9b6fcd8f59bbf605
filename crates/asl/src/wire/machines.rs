//! `CreateStateMachine` and its kin.

use serde_json::{Value, json};

use super::request::Request;
use super::{Answer, Refused, date};
use crate::{Engine, Error, Problem, StateMachine};

pub(super) fn create(engine: &Engine, request: &Request) -> Answer {
    check_type(request)?;
    let name = request.required("name")?;
    let definition = request.required("definition")?;
    let machine = engine.create_state_machine_as(name, definition, request.required("roleArn")?)?;
    Ok(json!({"stateMachineArn": &*machine.arn, "creationDate": date(machine.created_ms)}))
}

pub(super) fn update(engine: &Engine, request: &Request) -> Answer {
    let arn = request.required("stateMachineArn")?;
    let (definition, role) = (request.text("definition")?, request.text("roleArn")?);
    if definition.is_none() && role.is_none() {
        return Err(Refused {
            status: 400,
            code: "MissingRequiredParameter",
            message: "Either the definition, the role ARN, the LoggingConfiguration, or the \
                      TracingConfiguration must be specified"
                .to_owned(),
            reason: None,
        });
    }
    let machine = engine.update_state_machine_as(arn, definition, role)?;
    Ok(json!({"updateDate": date(engine.now_ms()), "revisionId": machine.revision.to_string()}))
}

pub(super) fn describe(engine: &Engine, request: &Request) -> Answer {
    let machine = engine.describe_state_machine(request.required("stateMachineArn")?)?;
    Ok(described(&machine))
}

pub(super) fn describe_for_execution(engine: &Engine, request: &Request) -> Answer {
    let execution = engine.describe_execution(request.required("executionArn")?)?;
    let machine = engine.describe_state_machine(&execution.state_machine_arn)?;
    let mut document = described(&machine);
    if let Value::Object(members) = &mut document {
        let created = members.remove("creationDate");
        members.remove("status");
        members.remove("type");
        members.insert("updateDate".to_owned(), created.unwrap_or_default());
    }
    Ok(document)
}

fn described(machine: &StateMachine) -> Value {
    json!({
        "stateMachineArn": &*machine.arn,
        "name": &*machine.name,
        "status": "ACTIVE",
        "definition": &*machine.definition,
        "roleArn": &*machine.role_arn,
        "type": "STANDARD",
        "creationDate": date(machine.created_ms),
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
        "tracingConfiguration": {"enabled": false},
        "revisionId": machine.revision.to_string(),
    })
}

pub(super) fn list(engine: &Engine, request: &Request) -> Answer {
    let limit = request.max_results(100)?;
    let from = usize::try_from(request.next_token()?.unwrap_or(0)).unwrap_or(usize::MAX);
    let machines = engine.list_state_machines();
    let page = machines.iter().skip(from).take(limit).map(|machine| {
        json!({
            "stateMachineArn": &*machine.arn,
            "name": &*machine.name,
            "type": "STANDARD",
            "creationDate": date(machine.created_ms),
        })
    });
    let mut document = json!({"stateMachines": page.collect::<Vec<_>>()});
    let next = from.saturating_add(limit);
    if next < machines.len() {
        document["nextToken"] = next.to_string().into();
    }
    Ok(document)
}

pub(super) fn validate(_: &Engine, request: &Request) -> Answer {
    check_type(request)?;
    let limit = request.max_results(100)?;
    let problems = match Engine::validate_definition(request.required("definition")?) {
        Ok(()) => Vec::new(),
        Err(Error::InvalidDefinition { problems }) => problems,
        Err(other) => return Err(other.into()),
    };
    Ok(json!({
        "result": if problems.is_empty() { "OK" } else { "FAIL" },
        "diagnostics": problems.iter().take(limit).map(diagnostic).collect::<Vec<_>>(),
        "truncated": problems.len() > limit,
    }))
}

fn diagnostic(problem: &Problem) -> Value {
    let mut document = json!({"severity": "ERROR", "code": problem.code, "message": problem.message});
    if !problem.path.is_empty() {
        document["location"] = problem.path.as_str().into();
    }
    document
}

fn check_type(request: &Request) -> Result<(), Refused> {
    match request.text("type")? {
        None | Some("STANDARD") => Ok(()),
        Some(other) => Err(Refused {
            status: 400,
            code: "StateMachineTypeNotSupported",
            message: format!("the type {other} is not supported by this engine: use STANDARD"),
            reason: None,
        }),
    }
}

//! The integrations: what a Task's `Resource` names.

use std::sync::Arc;

/// What a task calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Integration {
    /// A plain function ARN: the arguments are the payload, the payload is the result.
    Function(Arc<str>),
    /// `lambda:invoke`
    Invoke(Pattern),
    /// `states:startExecution`
    StartExecution(Pattern),
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The answer of the call.
    Response,
    /// The end of the job, whose output is text.
    Sync,
    /// The end of the job, whose output is JSON.
    SyncJson,
    /// An answer to the task token.
    Token,
}

/// The integrations that exist here, for messages and the README.
pub(crate) const SUPPORTED: [&str; 7] = [
    "arn:aws:lambda:<region>:<account>:function:<name>",
    "arn:aws:states:::lambda:invoke",
    "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "arn:aws:states:::states:startExecution",
    "arn:aws:states:::states:startExecution.sync",
    "arn:aws:states:::states:startExecution.sync:2",
    "arn:aws:states:::states:startExecution.waitForTaskToken",
];

impl Integration {
    /// Reads a resource; the error is the message of the refusal.
    pub(crate) fn parse(resource: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "The resource '{resource}' is not supported by this engine; it has: {}",
                SUPPORTED.join(", ")
            )
        };
        let parts: Vec<&str> = resource.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, rest] = parts.as_slice() else {
            return Err(format!("Value is not a valid resource ARN: '{resource}'"));
        };
        if !partition.starts_with("aws") {
            return Err(format!("Value is not a valid resource ARN: '{resource}'"));
        }
        match (*service, region.is_empty() && account.is_empty(), *rest) {
            ("lambda", false, function) if function.starts_with("function:") => {
                Ok(Self::Function(resource.into()))
            }
            ("states", true, "lambda:invoke") => Ok(Self::Invoke(Pattern::Response)),
            ("states", true, "lambda:invoke.waitForTaskToken") => Ok(Self::Invoke(Pattern::Token)),
            ("states", true, "states:startExecution") => Ok(Self::StartExecution(Pattern::Response)),
            ("states", true, "states:startExecution.sync") => Ok(Self::StartExecution(Pattern::Sync)),
            ("states", true, "states:startExecution.sync:2") => Ok(Self::StartExecution(Pattern::SyncJson)),
            ("states", true, "states:startExecution.waitForTaskToken") => {
                Ok(Self::StartExecution(Pattern::Token))
            }
            _ => Err(refused()),
        }
    }

    pub(crate) fn pattern(&self) -> Pattern {
        match self {
            Self::Function(_) => Pattern::Response,
            Self::Invoke(pattern) | Self::StartExecution(pattern) => *pattern,
        }
    }

    /// `resourceType` of its events.
    pub(crate) fn service(&self) -> &'static str {
        match self {
            Self::Function(_) | Self::Invoke(_) => "lambda",
            Self::StartExecution(_) => "states",
        }
    }

    /// `resource` of its events.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Function(_) | Self::Invoke(Pattern::Response | Pattern::Sync | Pattern::SyncJson) => {
                "invoke"
            }
            Self::Invoke(Pattern::Token) => "invoke.waitForTaskToken",
            Self::StartExecution(Pattern::Response) => "startExecution",
            Self::StartExecution(Pattern::Sync) => "startExecution.sync",
            Self::StartExecution(Pattern::SyncJson) => "startExecution.sync:2",
            Self::StartExecution(Pattern::Token) => "startExecution.waitForTaskToken",
        }
    }

    /// The arguments that must be given, and those that may be.
    pub(crate) fn arguments(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Function(_) => (&[], &[]),
            Self::Invoke(_) => (&["FunctionName"], &["Payload", "Qualifier", "InvocationType"]),
            Self::StartExecution(_) => (&["StateMachineArn"], &["Input", "Name", "TraceHeader"]),
        }
    }
}

//! A receiver calls back, with the URL that its call brought it: signed, for one run, until the run's deadline, and once (T38).

use jiff::Timestamp;
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::stage::StageRun;
use pilothouse_domain::trigger::redact;
use pilothouse_store::Transaction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::NAME;
use super::action::{Action, CallbackStatus, CalledBack};
use crate::approvals::{LinkKey, Signed};
use crate::secrets::SecretValue;
use crate::wake::answer;
use crate::{Context, OperationError};

/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 2000;
/// The most data, in bytes of JSON: it is kept in the run's record, and read by each later stage.
const MOST_DATA: usize = 32 * 1024;

/// What the URL says of itself; short names, as it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "s")]
    run: StageRunId,
    #[serde(rename = "a")]
    at: AttemptRef,
    #[serde(rename = "n")]
    stage: String,
    /// Seconds since 1970.
    #[serde(rename = "e")]
    expires: i64,
}

impl Signed for Claims {
    const PURPOSE: &'static [u8] = b"pilothouse stage callback 1\n";
}

/// The URL that the receiver of this run's call can call back. It is the same each time, and stored nowhere.
///
/// # Errors
/// [`OperationError::Conflicting`] when there is no key to sign it with, or no address that is reached from outside.
pub(super) async fn url(context: &Context, run: &StageRun) -> Result<SecretValue, OperationError> {
    let key = LinkKey::read(context).await?;
    let base = context.public_url.as_deref().ok_or_else(|| {
        let how = "set PILOTHOUSE_PUBLIC_URL to where its API is reached from the receiver";
        OperationError::Conflicting(format!("this installation does not know what can be called back: {how}"))
    })?;
    let claims = Claims {
        run: run.id.clone(),
        at: run.at.clone(),
        stage: run.stage.clone(),
        expires: run.deadline.as_second(),
    };
    Ok(SecretValue::made(format!("{base}/callbacks/{}", key.sign(&claims)?)))
}

/// What a receiver says when it calls back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallBack {
    /// What it came to.
    pub status: CallbackStatus,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What later stages read as `output.completion.data`; 32 KiB at most.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// Takes what a receiver says, and wakes the stage that waits for it; gives the run that it is for. The first word counts; the same
/// word again is taken as the call repeated.
///
/// # Errors
/// [`OperationError::NotFound`] for a token that is not ours; [`OperationError::Conflicting`] when the stage is at its end, its time is
/// over, or it was called back before with something else; [`OperationError::Invalid`] for too much.
pub async fn call_back(context: &Context, token: &str, ask: &CallBack) -> Result<StageRun, OperationError> {
    let key = LinkKey::read(context).await?;
    // Only what we signed is worth a look at what came with it.
    let claims: Claims = key.verify(token).ok_or_else(unknown)?;
    let said = checked(ask, context.now())?;
    for _ in 0..20 {
        let run = context.store.stage_run(&claims.at, &claims.stage).await?;
        let run = run.filter(|run| run.record.id == claims.run && run.record.stage_type == NAME);
        let run = run.ok_or_else(unknown)?;
        let Some(next) = heard(&run.record, &said)? else { return Ok(run.record) };
        if claims.expires < context.now().as_second() {
            return Err(OperationError::Conflicting(format!(
                "cannot call back: the time of stage `{}` was over at {:.0}",
                claims.stage, run.record.deadline
            )));
        }
        if context.commit(Transaction::new().replace(&run, &next)).await? {
            answer(context, &claims.at, &Awaited::Answer { stage: claims.stage }).await?;
            return Ok(next);
        }
    }
    Err(OperationError::Contended(format!("stage `{}`", claims.stage)))
}

fn unknown() -> OperationError {
    OperationError::NotFound {
        what: "what this URL calls back".to_owned(),
        hint: "call the URL of the header `pilothouse-callback` unchanged".to_owned(),
    }
}

fn checked(ask: &CallBack, at: Timestamp) -> Result<CalledBack, OperationError> {
    let invalid = |path: &str, why: String| OperationError::Invalid(Problems::from(Problem::new(path, why)));
    if ask.message.as_ref().is_some_and(|message| message.chars().count() > LONGEST_MESSAGE) {
        return Err(invalid("message", format!("the message is longer than {LONGEST_MESSAGE} characters")));
    }
    let data = redact(&ask.data, &[]);
    let length = data.to_string().len();
    if length > MOST_DATA {
        return Err(invalid("data", format!("{length} bytes are more than the {MOST_DATA} that are kept")));
    }
    Ok(CalledBack { status: ask.status, message: ask.message.clone(), data, at })
}

/// The run after its receiver said this; `None` when it said the same before.
fn heard(run: &StageRun, said: &CalledBack) -> Result<Option<StageRun>, OperationError> {
    let refuse = |why: String| Err(OperationError::Conflicting(format!("cannot call back: {why}")));
    let Some(mut action) = Action::of(run) else {
        return refuse(format!("stage `{}` has not called yet", run.stage));
    };
    match &action.called_back {
        Some(before) if before.repeats(said) => return Ok(None),
        Some(before) => return refuse(format!("this URL was used at {:.0}", before.at)),
        None if run.status.is_terminal() => {
            return refuse(format!("stage `{}` is {}", run.stage, run.status.name()));
        }
        None => {}
    }
    action.called_back = Some(said.clone());
    Ok(Some(StageRun { action: action.value()?, ..run.clone() }))
}

//! Approvals: listed for those who may decide, decided (A15, T35).

use axum::Json;
use axum::extract::State;
use pilothouse_domain::ids::ApprovalId;
use pilothouse_domain::token::{Permission, Principal};
use pilothouse_operations::{Context, DecideApproval, decide_approval};

use crate::api::{ApprovalView, CurrentState, Decide, List, ListApprovals};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments, page_size, release_id};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/approvals", "listApprovals", "List the open approvals that the caller may decide.")
            .query::<ListApprovals>()
            .answers::<List<ApprovalView>>(200, "The approvals.")
            .handled_by(list),
        Route::post("/v1/releases/{release}/approvals/{approval}/approve", "approve", "Approve.")
            .needs(Permission::Decide)
            .may_take::<Decide>()
            .answers::<ApprovalView>(200, "The approval as it stands now.")
            .handled_by(approve),
        Route::post("/v1/releases/{release}/approvals/{approval}/reject", "reject", "Reject.")
            .needs(Permission::Decide)
            .may_take::<Decide>()
            .answers::<ApprovalView>(200, "The approval as it stands now.")
            .handled_by(reject),
    ]
}

async fn list(
    State(context): State<Context>,
    Caller(who): Caller,
    Params(ask): Params<ListApprovals>,
) -> Result<Json<List<ApprovalView>>, Failure> {
    let cursor = ask.cursor.map(Into::into);
    let page = context.store.open_approvals(&who, page_size(ask.limit, 50), cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(Json(List { items: page.items.iter().map(|a| ApprovalView::from(&a.record)).collect(), next }))
}

async fn approve(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<Decide>,
) -> Result<Json<ApprovalView>, Failure> {
    decide(&context, &who, path, true, ask).await
}

async fn reject(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<Decide>,
) -> Result<Json<ApprovalView>, Failure> {
    decide(&context, &who, path, false, ask).await
}

async fn decide(
    context: &Context,
    who: &Principal,
    (release, approval): (String, String),
    approve: bool,
    ask: Decide,
) -> Result<Json<ApprovalView>, Failure> {
    let approval: ApprovalId = approval.parse().map_err(|_| {
        let shown: String = approval.chars().take(60).collect();
        Failure::not_found(&format!("approval `{shown}`"), "an id begins with `apr_`; see GET /v1/approvals")
    })?;
    let decision = DecideApproval {
        release: release_id(&release)?,
        approval,
        approve,
        comment: ask.comment,
        input: ask.input,
    };
    match decide_approval(context, who, &decision).await {
        Ok(decided) => Ok(Json(ApprovalView::from(&decided))),
        Err(error) => Err(explain(context, &decision, error.into()).await),
    }
}

/// A refusal by the present state says how the approval stands and the deployment that asked for it.
async fn explain(context: &Context, decision: &DecideApproval, failure: Failure) -> Failure {
    if !failure.is_conflict() {
        return failure;
    }
    let Ok(Some(approval)) = context.store.approval(&decision.release, &decision.approval).await else {
        return failure;
    };
    let attempt = context.store.attempt(&approval.record.at).await.ok().flatten();
    let pair = attempt.as_ref().map(|a| a.record.state.pair());
    failure.with_current(CurrentState {
        release: None,
        environment: Some(approval.record.at.environment.clone()),
        environment_status: None,
        attempt: Some(approval.record.at.number),
        status: pair.map(|(status, _)| status),
        operation_status: pair.map(|(_, operation)| operation),
        approval: Some(approval.record.status_summary()),
    })
}

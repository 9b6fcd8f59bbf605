//! Approvals: listed for those who may decide, decided (A15, T35).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pilothouse_domain::approval::Via;
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::token::{Permission, Principal};
use pilothouse_operations::{
    Context, DecideApproval, MakeLink, decide_approval, make_link, reassign_approval,
};

use crate::api::{ApprovalView, CreateLink, CurrentState, Decide, IssuedLink, List, ListApprovals, Reassign};
use crate::auth::Caller;
use crate::client::{Client, Origin};
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
        Route::post("/v1/releases/{release}/approvals/{approval}/reassign", "reassign", "Ask others.")
            .needs(Permission::Decide)
            .takes::<Reassign>()
            .answers::<ApprovalView>(200, "The approval as it stands now.")
            .handled_by(reassign),
        Route::post(
            "/v1/releases/{release}/approvals/{approval}/links",
            "makeLink",
            "Make a single-use link.",
        )
        .needs(Permission::Decide)
        .takes::<CreateLink>()
        .answers::<IssuedLink>(201, "The link: shown once, kept nowhere.")
        .handled_by(create_link),
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
    client: Client,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<Decide>,
) -> Result<Json<ApprovalView>, Failure> {
    decide(&context, &who, client, path, true, ask).await
}

async fn reject(
    State(context): State<Context>,
    Caller(who): Caller,
    client: Client,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<Decide>,
) -> Result<Json<ApprovalView>, Failure> {
    decide(&context, &who, client, path, false, ask).await
}

async fn decide(
    context: &Context,
    who: &Principal,
    client: Client,
    path: (String, String),
    approve: bool,
    ask: Decide,
) -> Result<Json<ApprovalView>, Failure> {
    let (release, approval) = ids(&path)?;
    let decision = DecideApproval {
        release,
        approval,
        approve,
        comment: ask.comment.filter(|comment| !comment.trim().is_empty()),
        input: ask.input,
        defer_until: ask.defer_until,
        saw: ask.saw,
        via: Via::Api { address: client.address },
    };
    match decide_approval(context, who, &decision).await {
        Ok(decided) => Ok(Json(ApprovalView::from(&decided))),
        Err(error) => Err(explain(context, &decision.release, &decision.approval, error.into()).await),
    }
}

async fn reassign(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<Reassign>,
) -> Result<Json<ApprovalView>, Failure> {
    let (release, approval) = ids(&path)?;
    match reassign_approval(&context, &who, &release, &approval, &ask.approvers).await {
        Ok(changed) => Ok(Json(ApprovalView::from(&changed))),
        Err(error) => Err(explain(&context, &release, &approval, error.into()).await),
    }
}

async fn create_link(
    State(context): State<Context>,
    Caller(who): Caller,
    Origin(origin): Origin,
    Segments(path): Segments<(String, String)>,
    JsonBody(ask): JsonBody<CreateLink>,
) -> Result<(StatusCode, Json<IssuedLink>), Failure> {
    let (release, approval) = ids(&path)?;
    let CreateLink { person, actions, expires_in } = ask;
    let wanted = MakeLink { release, approval, person, actions, expires_in };
    let made = match make_link(&context, &who, &wanted).await {
        Ok(made) => made,
        Err(error) => return Err(explain(&context, &wanted.release, &wanted.approval, error.into()).await),
    };
    let issued = IssuedLink {
        id: made.link.id,
        person: made.link.person,
        actions: made.link.actions,
        expires_at: made.link.expires_at,
        url: format!("{origin}/links/{}", made.token),
    };
    Ok((StatusCode::CREATED, Json(issued)))
}

fn ids((release, approval): &(String, String)) -> Result<(ReleaseId, ApprovalId), Failure> {
    let approval: ApprovalId = approval.parse().map_err(|_| {
        let shown: String = approval.chars().take(60).collect();
        Failure::not_found(&format!("approval `{shown}`"), "an id begins with `apr_`; see GET /v1/approvals")
    })?;
    Ok((release_id(release)?, approval))
}

/// A refusal by the present state says how the approval stands and the deployment that asked for it.
pub(super) async fn explain(
    context: &Context,
    release: &ReleaseId,
    id: &ApprovalId,
    failure: Failure,
) -> Failure {
    if !failure.is_conflict() {
        return failure;
    }
    let Ok(Some(approval)) = context.store.approval(release, id).await else {
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

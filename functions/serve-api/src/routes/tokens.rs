//! API tokens (T1).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pilothouse_domain::token::Permission;
use pilothouse_operations::Context;
use pilothouse_operations::tokens::{create_token, list_tokens, revoke_token};

use crate::api::{CreateToken, IssuedToken, List, TokenView};
use crate::auth::Caller;
use crate::extract::{JsonBody, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/tokens", "createToken", "Make a token.")
            .takes::<CreateToken>()
            .answers::<IssuedToken>(201, "The token and its secret, shown this once.")
            .handled_by(create),
        Route::get("/v1/tokens", "listTokens", "List tokens, by name.")
            .needs(Permission::Administer)
            .answers::<List<TokenView>>(200, "The tokens.")
            .handled_by(list),
        Route::delete("/v1/tokens/{token}", "revokeToken", "Revoke a token: its next use is refused.")
            .handled_by(revoke),
    ]
}

async fn create(
    State(context): State<Context>,
    Caller(who): Caller,
    JsonBody(ask): JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Failure> {
    let made = create_token(&context, &ask.name, ask.role, &who.name).await?;
    let issued = IssuedToken { token: TokenView::from(&made.token), secret: made.secret };
    Ok((StatusCode::CREATED, Json(issued)))
}

async fn list(State(context): State<Context>) -> Result<Json<List<TokenView>>, Failure> {
    let tokens = list_tokens(&context).await?;
    Ok(Json(List::whole(tokens.iter().map(TokenView::from).collect())))
}

async fn revoke(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    revoke_token(&context, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

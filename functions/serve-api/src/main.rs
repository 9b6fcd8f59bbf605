//! Wires the API to the Lambda runtime.

use pilothouse_function_kit::{context_from_env, init_logs};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    init_logs();
    lambda_http::run(pilothouse_serve_api::router(context_from_env().await?)).await
}

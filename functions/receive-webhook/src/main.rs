//! Wires the function to the Lambda runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    pilothouse_function_kit::init_logs();
    let context = pilothouse_function_kit::context_from_env().await?;
    lambda_http::run(pilothouse_receive_webhook::service(context)).await
}

//! Wires the function to the Lambda runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    pilothouse_function_kit::serve("notify", |context, event| async move {
        pilothouse_notify::handle(&context, event).await
    })
    .await
}

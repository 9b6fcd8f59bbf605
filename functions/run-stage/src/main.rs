//! Wires the function to the Lambda runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    pilothouse_function_kit::serve("run_stage", |context, event| async move {
        pilothouse_run_stage::handle(&context, event).await
    })
    .await
}

//! What an SDK error means for the caller: is it final, contention, throttling, or an answer that never came.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::StoreError;
use crate::error::Cause;

/// A request that was not carried out, or may not have been.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another transaction holds one of the items, or appended to the same timeline first.
    Contended { what: String },
    /// Too many requests.
    Throttled(Cause),
    /// No answer, or an internal error: it may have been carried out.
    Unavailable(Cause),
    /// The request itself is not accepted.
    Refused(Cause),
}

impl Failure {
    /// The error that the caller sees once no further try is left.
    pub(crate) fn into_error(self, operation: &'static str, tries: u32) -> StoreError {
        match self {
            Self::Contended { what } => StoreError::Contended { what, tries },
            Self::Throttled(source) => StoreError::Throttled { operation, source },
            Self::Unavailable(source) => StoreError::Unavailable { operation, source },
            Self::Refused(source) => StoreError::Refused { operation, source },
        }
    }
}

/// What `error` means, whatever the operation.
pub(crate) fn classify<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    match code {
        "TransactionConflictException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException" => Failure::Contended { what: "the same item".into() },
        "ThrottlingException"
        | "Throttling"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => Failure::Throttled(error.into()),
        "InternalServerError" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Failure::Unavailable(error.into())
        }
        _ => match &error {
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
                Failure::Unavailable(error.into())
            }
            SdkError::ServiceError(context) if context.raw().status().is_server_error() => {
                Failure::Unavailable(error.into())
            }
            _ => Failure::Refused(error.into()),
        },
    }
}

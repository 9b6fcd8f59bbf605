//! In-process transports for the AWS SDKs.

//! What the Lambda mains share: configuration, clients, tracing, stable error names.

//! An embedded Step Functions engine: Amazon States Language with JSONata.

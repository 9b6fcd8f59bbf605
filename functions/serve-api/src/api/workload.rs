//! What runs for a stage (H9-H12).

pub use pilothouse_domain::evidence::{Instance, InstanceContainer, KeyEvent, Replicas, WorkloadReport};
pub use pilothouse_operations::StageWorkloads;

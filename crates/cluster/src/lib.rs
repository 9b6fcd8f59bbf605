//! Kubernetes actions, snapshots and rollout status.

//! The whole system in one process: engine, table, cluster and handlers wired together.

//! Use cases: load records, ask the domain, write, say what to do next.

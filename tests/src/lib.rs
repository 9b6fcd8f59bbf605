//! Integration, end-to-end and simulation tests of the whole system.

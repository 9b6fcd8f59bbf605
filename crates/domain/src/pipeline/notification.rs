//! A notification of the pipeline: who is told of what, and how.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::schema::FREE_NAME;
use crate::notification::Topic;

/// Somebody who is told what happens in the pipeline's releases (T4, T12).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSpec {
    /// The notification's name, unique in the pipeline: stages refer to it in `notify`.
    #[schemars(regex(pattern = FREE_NAME), length(max = 100))]
    pub name: String,
    /// How it is delivered: the name of a channel type.
    #[serde(rename = "type")]
    pub channel: String,
    /// What it is told of, or `"*"` for everything; when absent, only what happens in the stages that name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Interest>,
    /// Only what happens in these environments; in all, and to the release as a whole, when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// The keys of the channel's type.
    #[serde(flatten)]
    #[schemars(skip)]
    pub options: Map<String, Value>,
}

impl NotificationSpec {
    /// Whether it is told of `topic` in `environment` (`None`: of the release as a whole).
    #[must_use]
    pub fn hears(&self, topic: Topic, environment: Option<&str>) -> bool {
        let here = self.environments.is_empty()
            || environment.is_some_and(|name| self.environments.iter().any(|known| known == name));
        let wanted = |interest: &Interest| match interest {
            Interest::Everything(_) => true,
            Interest::Topic(one) => *one == topic,
        };
        here && self.on.iter().any(wanted)
    }
}

/// What somebody wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Interest {
    /// One topic.
    Topic(Topic),
    /// Everything.
    Everything(Star),
}

/// `"*"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Star {
    /// Everything.
    #[serde(rename = "*")]
    Everything,
}

/// The topics and `"*"` as one list of choices, so that a wrong one is told its nearest.
impl JsonSchema for Interest {
    fn schema_name() -> Cow<'static, str> {
        "Interest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Topic::json_schema(generator);
        if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
            choices.push(json!({ "description": "Everything.", "type": "string", "const": "*" }));
        }
        schema
    }
}

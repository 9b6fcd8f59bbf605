use super::*;
use serde_json::json;

fn problems(definition: &Value) -> Vec<String> {
    match Machine::compile(&definition.to_string()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(Problem::to_string).collect(),
    }
}

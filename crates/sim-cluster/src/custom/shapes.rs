//! How the lists and maps of a custom resource merge: atomic, unless its schema says otherwise.

use std::collections::HashMap;

use serde_json::Value;

use crate::{fields::Shape, json};

/// The shapes that differ from the rule, by the names of a field and of its parent.
#[derive(Debug, Default)]
pub(crate) struct Shapes(HashMap<(String, String), Shape>);

impl Shapes {
    pub(crate) fn of(schema: Option<&Value>) -> Self {
        let mut shapes = Self::default();
        if let Some(schema) = schema {
            shapes.collect("", "", schema);
        }
        shapes
    }

    fn collect(&mut self, parent: &str, name: &str, schema: &Value) {
        let shape = match json::text(schema, "/x-kubernetes-list-type") {
            "map" => {
                let keys =
                    json::items(schema, "/x-kubernetes-list-map-keys").iter().filter_map(Value::as_str);
                let keys: Vec<&'static str> =
                    keys.map(|k| &*Box::leak(k.to_owned().into_boxed_str())).collect();
                Some(Shape::Keyed(Vec::leak(keys)))
            }
            "set" => Some(Shape::Set),
            _ if json::text(schema, "/x-kubernetes-map-type") == "atomic" => Some(Shape::Atomic),
            _ => None,
        };
        if let Some(shape) = shape {
            self.0.insert((parent.to_owned(), name.to_owned()), shape);
        }
        for (field, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.collect(name, field, property);
        }
        // Elements of a list have the list as the parent of their fields; see `fields::schema`.
        if let Some(items) = schema.get("items") {
            for (field, property) in items.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                self.collect(name, field, property);
            }
        }
    }

    /// The shape of `value`, the field `name` within `parent`.
    pub(crate) fn shape(&self, parent: &str, name: &str, value: &Value) -> Shape {
        if let Some(shape) = self.0.get(&(parent.to_owned(), name.to_owned())) {
            return *shape;
        }
        match (value, name) {
            (Value::Array(_), "finalizers") if parent == "metadata" => Shape::Set,
            (Value::Array(_), "ownerReferences") if parent == "metadata" => Shape::Keyed(&["uid"]),
            (Value::Array(_), _) => Shape::Atomic,
            _ => Shape::Granular,
        }
    }
}

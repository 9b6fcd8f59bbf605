//! A spanned tree against a JSON Schema: keys, types, values. Every problem has its line and the nearest valid name.

use serde_json::{Map, Value};

use super::path::{Path, Step};
use super::report::Report;
use super::scalar;
use super::tree::{Data, Node};
use crate::problem::{did_you_mean, nearest};
use crate::trigger::looks_like_secret;

type Schema = Map<String, Value>;

/// Checks a tree against a schema whose references stay within it.
pub(super) fn check(root: &Node, schema: &Value, report: &mut Report) {
    Walker { root: schema, report }.check(root, schema, &Path::default());
}

struct Walker<'s, 'r> {
    root: &'s Value,
    report: &'r mut Report,
}

/// The schemas that apply to one node together, once references are followed and alternatives chosen.
#[derive(Default)]
struct Rules<'s> {
    parts: Vec<&'s Schema>,
    /// The keys of the alternatives of which none could be chosen, which was reported: one may be meant by them.
    elsewhere: Vec<&'s str>,
    /// The key that would have chosen it, if that is what is missing.
    tag: Option<&'s str>,
}

impl<'s> Walker<'s, '_> {
    fn check(&mut self, node: &Node, schema: &'s Value, path: &Path) {
        let mut rules = Rules::default();
        self.gather(node, schema, path, &mut rules);
        let hidden = is_private(path);
        for part in &rules.parts {
            if let Some(expected) = scalar::wrong_type(node, part, hidden) {
                self.report.add(node.at, path, expected.message, expected.hint);
                return;
            }
        }
        for part in &rules.parts {
            for (message, hint) in scalar::problems(node, part) {
                self.report.add(node.at, path, message, hint);
            }
        }
        match &node.data {
            Data::Map(_) => self.check_map(node, &rules, path),
            Data::List(items) => {
                let schema = rules.parts.iter().find_map(|part| part.get("items"));
                for (index, item) in items.iter().enumerate() {
                    if let Some(schema) = schema {
                        self.check(item, schema, &path.index(index));
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows references and chooses among alternatives.
    fn gather(&mut self, node: &Node, schema: &'s Value, path: &Path, rules: &mut Rules<'s>) {
        let Value::Object(part) = schema else { return };
        rules.parts.push(part);
        if let Some(target) = part.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.root.pointer(target.trim_start_matches('#'))
        {
            self.gather(node, target, path, rules);
        }
        for all in part.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.gather(node, all, path, rules);
        }
        for alternatives in ["oneOf", "anyOf"] {
            if let Some(branches) = part.get(alternatives).and_then(Value::as_array) {
                self.choose(node, branches, path, rules);
            }
        }
    }

    fn choose(&mut self, node: &Node, branches: &'s [Value], path: &Path, rules: &mut Rules<'s>) {
        let consts: Option<Vec<&str>> =
            branches.iter().map(|branch| branch.get("const").and_then(Value::as_str)).collect();
        if let Some(options) = consts {
            if let Some((message, hint)) = scalar::not_an_option(node, &options) {
                self.report.add(node.at, path, message, hint);
            }
            return;
        }
        let fitting: Vec<&'s Value> = branches.iter().filter(|branch| self.takes(branch, node)).collect();
        match fitting.as_slice() {
            [only] => self.gather(node, only, path, rules),
            [] => match branches.iter().find(|branch| branch.get("type").is_none_or(|name| name != "null")) {
                Some(first)
                    if branches.len() <= 2 && branches.iter().any(|branch| branch["type"] == "null") =>
                {
                    self.gather(node, first, path, rules);
                }
                _ => {
                    let expected: Vec<&str> =
                        branches.iter().filter_map(|branch| self.type_of(branch)).collect();
                    let (message, hint) = scalar::expected_found(&expected, node, is_private(path));
                    self.report.add(node.at, path, message, hint);
                }
            },
            several => self.choose_map(node, several, path, rules),
        }
    }

    /// Chooses among alternatives that are maps: by the key whose value differs, or by the one key that each requires.
    fn choose_map(&mut self, node: &Node, branches: &[&'s Value], path: &Path, rules: &mut Rules<'s>) {
        let Some(tag) = tag_of(branches) else {
            return self.choose_by_key(node, branches, path, rules);
        };
        let value_of = |branch: &&'s Value| branch["properties"][tag]["const"].as_str();
        let options: Vec<&str> = branches.iter().filter_map(value_of).collect();
        let Some(value) = node.get(tag) else {
            self.note_keys(branches, rules);
            rules.tag = Some(tag);
            // The map itself may require the tag, and then reports it with the other missing keys.
            if !rules.parts.iter().any(|part| requires(part).any(|key| key == tag)) {
                let hint = format!("it is one of {}", scalar::listed(&options));
                self.report.add(node.at, path, format!("the key `{tag}` is missing"), Some(hint));
            }
            return;
        };
        match branches.iter().find(|branch| value_of(branch) == value.text()) {
            Some(branch) => self.gather(node, branch, path, rules),
            None => {
                self.note_keys(branches, rules);
                if let Some((message, hint)) = scalar::not_an_option(value, &options) {
                    self.report.add(value.at, &path.key(tag), message, hint);
                }
            }
        }
    }

    fn choose_by_key(&mut self, node: &Node, branches: &[&'s Value], path: &Path, rules: &mut Rules<'s>) {
        let key_of = |branch: &&'s Value| branch.as_object().and_then(|part| requires(part).next());
        let options: Vec<&str> = branches.iter().filter_map(key_of).collect();
        let chosen: Vec<&&'s Value> = branches
            .iter()
            .filter(|branch| key_of(branch).is_some_and(|key| node.get(key).is_some()))
            .collect();
        match chosen.as_slice() {
            [only] => self.gather(node, only, path, rules),
            _ => {
                self.note_keys(branches, rules);
                let unknown = node.entries().iter().filter(|entry| !options.contains(&entry.key.as_str()));
                let hint =
                    unknown.filter_map(|entry| did_you_mean(&entry.key, options.iter().copied())).next();
                let message = format!("expected exactly one of the keys {}", scalar::listed(&options));
                self.report.add(node.at, path, message, hint);
            }
        }
    }

    /// Notes the keys that any of these alternatives has.
    fn note_keys(&self, branches: &[&'s Value], rules: &mut Rules<'s>) {
        for branch in branches {
            let target = branch.get("$ref").and_then(Value::as_str);
            let target = target.and_then(|target| self.root.pointer(target.trim_start_matches('#')));
            let parts = [Some(*branch), target].into_iter().flatten();
            let properties = parts.filter_map(|part| part.get("properties")?.as_object());
            rules.elsewhere.extend(properties.flat_map(|keys| keys.keys().map(String::as_str)));
        }
    }

    fn check_map(&mut self, node: &Node, rules: &Rules<'s>, path: &Path) {
        let properties: Vec<(&str, &'s Value)> = rules
            .parts
            .iter()
            .filter_map(|part| part.get("properties").and_then(Value::as_object))
            .flat_map(|properties| properties.iter().map(|(key, schema)| (key.as_str(), schema)))
            .collect();
        let others = rules
            .parts
            .iter()
            .find_map(|part| part.get("additionalProperties"))
            .filter(|rule| **rule != Value::Bool(false));
        let mut meant = Vec::new();
        for entry in node.entries() {
            // A tag's key stands in several parts: in the common one and in the chosen one.
            let schemas: Vec<&'s Value> =
                properties.iter().filter(|(key, _)| *key == entry.key).map(|(_, schema)| *schema).collect();
            let below = path.key(&entry.key);
            match (schemas.as_slice(), others) {
                ([], Some(schema)) => self.check(&entry.value, schema, &below),
                ([], None) if !properties.is_empty() => {
                    let free = properties
                        .iter()
                        .map(|(key, _)| *key)
                        .chain(rules.tag)
                        .filter(|key| node.get(key).is_none());
                    let free: Vec<&str> = free.collect();
                    let near = nearest(&entry.key, free.iter().copied());
                    meant.extend(near);
                    // It may belong to the alternative that could not be chosen.
                    if !rules.elsewhere.contains(&entry.key.as_str()) {
                        self.report.add(
                            entry.at,
                            &below,
                            "unknown key",
                            unknown_key_hint(&entry.key, near, &free),
                        );
                    }
                }
                (schemas, _) => schemas.iter().for_each(|schema| self.check(&entry.value, schema, &below)),
            }
        }
        self.check_required(node, rules, &meant, path);
    }

    /// Reports missing keys, but not those that are there under a misspelt name.
    fn check_required(&mut self, node: &Node, rules: &Rules<'s>, meant: &[&str], path: &Path) {
        let mut missing: Vec<&str> = rules.parts.iter().flat_map(|part| requires(part)).collect();
        missing.retain(|key| node.get(key).is_none() && !meant.contains(key));
        missing.dedup();
        for key in missing {
            self.report.add(node.at, path, format!("the key `{key}` is missing"), None);
        }
    }

    /// Whether a schema takes values of the node's type at all.
    fn takes(&self, schema: &Value, node: &Node) -> bool {
        match self.type_of(schema) {
            Some(name) => scalar::is_type(node, name),
            None => true,
        }
    }

    fn type_of<'v>(&self, schema: &'v Value) -> Option<&'v str>
    where
        's: 'v,
    {
        if let Some(name) = schema.get("type").and_then(Value::as_str) {
            return Some(name);
        }
        let target = self.root.pointer(schema.get("$ref")?.as_str()?.trim_start_matches('#'))?;
        match target.get("type").and_then(Value::as_str) {
            Some(name) => Some(name),
            None => target.get("oneOf")?.as_array()?.first().and_then(|branch| self.type_of(branch)),
        }
    }
}

/// The key that has another constant in each alternative.
fn tag_of<'s>(branches: &[&'s Value]) -> Option<&'s str> {
    let properties = branches.first()?.get("properties")?.as_object()?;
    let has_const =
        |key: &str| branches.iter().all(|branch| branch["properties"][key].get("const").is_some());
    properties.keys().map(String::as_str).find(|key| has_const(key))
}

fn requires(part: &Schema) -> impl Iterator<Item = &str> {
    part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn unknown_key_hint(key: &str, near: Option<&str>, free: &[&str]) -> Option<String> {
    match near {
        _ if key == "<<" => Some("merge keys are not part of YAML 1.2: write the keys out".to_owned()),
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if free.is_empty() || free.len() > 12 => None,
        None => Some(format!("other keys are {}", scalar::listed(free))),
    }
}

/// Whether the value at a place may be a secret, so that no message repeats it.
fn is_private(path: &Path) -> bool {
    matches!(path.0.last(), Some(Step::Key(key)) if looks_like_secret(key))
}

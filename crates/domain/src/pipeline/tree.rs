//! A YAML text as a tree that knows its lines: the YAML 1.2 core schema, bounded, with problems instead of surprises.

use std::collections::HashMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use super::surrogates;
use crate::problem::Problem;

/// The longest text, in bytes.
pub(super) const LONGEST: usize = 1024 * 1024;
/// The deepest nesting.
const DEEPEST: usize = 40;
/// The most values, with those that aliases repeat.
const MOST_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) data: Data,
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value of the core schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Null,
    Bool(bool),
    /// A number, and how it was written: `1.10` is not the text "1.1".
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) value: Node,
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, if this is a map.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Data::Map(entries) = &self.data { entries } else { &[] }
    }

    /// The items, if this is a list.
    pub(super) fn items(&self) -> &[Self] {
        if let Data::List(items) = &self.data { items } else { &[] }
    }

    /// The text, if this is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Data::Text(text) = &self.data { Some(text) } else { None }
    }

    /// The items of the list at `key`, or nothing.
    pub(super) fn list(&self, key: &str) -> &[Self] {
        self.get(key).map_or(&[], Self::items)
    }

    /// The text at `key`, or nothing.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }

    /// The same value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            Data::Number(number, _) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => {
                let fields: Map<String, Value> =
                    entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
                Value::Object(fields)
            }
        }
    }

    /// How many levels the value has.
    fn height(&self) -> usize {
        let below = match &self.data {
            Data::List(items) => items.iter().map(Self::height).max(),
            Data::Map(entries) => entries.iter().map(|entry| entry.value.height()).max(),
            _ => None,
        };
        1 + below.unwrap_or(0)
    }

    /// How many values it has, itself included.
    fn size(&self) -> usize {
        1 + match &self.data {
            Data::List(items) => items.iter().map(Self::size).sum(),
            Data::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
            _ => 0,
        }
    }
}

/// Reads one YAML document. Duplicate keys are collected, with the tree of their first values; anything else that
/// makes the text unreadable ends it.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    if text.len() > LONGEST {
        return (None, vec![Problem::new("", format!("the file is longer than {} KiB", LONGEST / 1024))]);
    }
    let mut builder = Builder::default();
    let outcome = builder.run(&surrogates::resolve(text));
    let mut problems = builder.duplicates;
    match (outcome, builder.root) {
        (Err(problem), _) => {
            problems.push(problem);
            (None, problems)
        }
        (Ok(()), Some(node)) if !matches!(node.data, Data::Null) => (Some(node), problems),
        (Ok(()), _) => (None, vec![Problem::new("", "the file is empty").at(1, 1)]),
    }
}

/// A collection whose end has not been met.
struct Open {
    anchor: usize,
    at: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: HashMap<String, Place>, key: Option<(String, Place)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    duplicates: Vec<Problem>,
}

impl Builder {
    /// Takes the parser's events one by one, so that depth and size are checked before anything grows.
    fn run(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new(StrInput::new(text));
        loop {
            match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => return Ok(()),
                Some(Ok((event, span))) => self.take(event, place(span))?,
                Some(Err(error)) => {
                    let at = marker(error.marker().line(), error.marker().col());
                    return Err(refuse(at, format!("this is not YAML: {}", error.info())));
                }
            }
        }
    }

    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(refuse(at, "the file has a second document")
                    .with_hint("put each pipeline into a file of its own"))
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), index: HashMap::new(), key: None };
                self.begin(Open { anchor, at, content }, tag.as_deref())
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Open { anchor, at, content: Content::List(Vec::new()) }, tag.as_deref())
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(),
            Event::Scalar(text, style, anchor, tag) => {
                if self.awaits_key() {
                    return self.key(text.into_owned(), at);
                }
                let data = scalar(text.as_ref(), style, tag.as_deref(), at)?;
                self.add(Node { at, data }, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, tag: Option<&Tag>) -> Result<(), Problem> {
        refuse_tag(tag, open.at)?;
        if self.awaits_key() {
            return Err(refuse(open.at, "a key must be text, not a list or a map"));
        }
        if self.open.len() >= DEEPEST {
            return Err(refuse(open.at, format!("the file is nested more than {DEEPEST} deep")));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.content {
            Content::List(items) => Data::List(items),
            Content::Map { entries, .. } => Data::Map(entries),
        };
        self.add(Node { at: open.at, data }, open.anchor)
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: String, at: Place) -> Result<(), Problem> {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some((text, at));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(refuse(at, "an alias stands within its own anchor"));
        };
        if self.awaits_key() {
            return Err(refuse(at, "a key must be text, not an alias"));
        }
        if self.open.len() + node.height() > DEEPEST {
            return Err(refuse(at, format!("with its aliases the file is nested more than {DEEPEST} deep")));
        }
        self.count(node.size(), at)?;
        let node = Node { at, ..self.anchors[&anchor].clone() };
        self.place(node);
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.count(1, node.at)?;
        if anchor > 0 {
            self.count(node.size(), node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node);
        Ok(())
    }

    fn count(&mut self, more: usize, at: Place) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(refuse(
                at,
                format!("the file has more than {MOST_NODES} values, with those its aliases repeat"),
            ));
        }
        Ok(())
    }

    fn place(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, index, key } => {
                let Some((key, at)) = key.take() else { return };
                if let Some(first) = index.get(&key) {
                    let message = format!("the key `{key}` is already in line {}", first.line);
                    self.duplicates.push(refuse(at, message).with_hint("remove one of the two"));
                } else {
                    index.insert(key.clone(), at);
                    entries.push(Entry { key, at, value: node });
                }
            }
        }
    }
}

/// A scalar by the core schema. `on`, `yes` and `01:30` are text there.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Result<Data, Problem> {
    let is_text = |tag: &Tag| tag.is_yaml_core_schema() && tag.suffix == "str";
    if style != ScalarStyle::Plain || tag.is_some_and(is_text) {
        return Ok(Data::Text(text.to_owned()));
    }
    refuse_tag(tag, at)?;
    if text.is_empty() {
        return Ok(Data::Null);
    }
    Ok(match Scalar::parse_from_cow(text.into()) {
        Scalar::Null => Data::Null,
        Scalar::Boolean(flag) => Data::Bool(flag),
        Scalar::Integer(number) => Data::Number(number.into(), text.to_owned()),
        Scalar::FloatingPoint(number) => match Number::from_f64(*number) {
            Some(number) => Data::Number(number, text.to_owned()),
            None => {
                return Err(refuse(at, format!("`{text}` is not a finite number"))
                    .with_hint("quote it if it is text"));
            }
        },
        Scalar::String(text) => Data::Text(text.into_owned()),
    })
}

/// Tags other than those of the core schema have no meaning here.
fn refuse_tag(tag: Option<&Tag>, at: Place) -> Result<(), Problem> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(refuse(at, format!("the tag `{tag}` has no meaning here")))
        }
        _ => Ok(()),
    }
}

fn refuse(at: Place, message: impl Into<String>) -> Problem {
    Problem::new("", message).at(at.line, at.column)
}

fn place(span: Span) -> Place {
    marker(span.start.line(), span.start.col())
}

/// The parser counts lines from 1 and columns from 0.
fn marker(line: usize, column: usize) -> Place {
    Place {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column + 1).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json(text: &str) -> Value {
        let (node, problems) = read(text);
        assert_eq!(problems, []);
        node.unwrap().to_json()
    }

    fn refused(text: &str) -> String {
        read(text).1.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        assert_eq!(
            json("[on, yes, 0x10, 1.50, ~, '1', 010, true, 1e3, 2026-11-21, !!str 1, \"\"]"),
            json!(["on", "yes", 16, 1.5, null, "1", 10, true, 1000.0, "2026-11-21", "1", ""])
        );
        assert_eq!(json("{\"a\":\t[1, \"x\\n\\u00e9\", null]}"), json!({"a": [1, "x\né", null]}));
        assert_eq!(
            json("a: &x {b: 1}\nc: *x\n1: |\n  two\n  lines\n"),
            json!({"a": {"b": 1}, "c": {"b": 1}, "1": "two\nlines\n"})
        );
    }

    #[test]
    fn places_count_from_one() {
        let node = read("a:\n  - b: x\n").0.unwrap();
        let inner = &node.list("a")[0];
        assert_eq!(inner.entries()[0].at, Place { line: 2, column: 5 });
        assert_eq!(inner.entries()[0].value.at, Place { line: 2, column: 8 });
    }

    #[test]
    fn every_duplicate_key_is_shown_with_both_lines() {
        insta::assert_snapshot!(refused("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n"), @r#"
        line 3: the key `a` is already in line 1; remove one of the two
        line 4: the key `d` is already in line 4; remove one of the two
        "#);
    }

    #[test]
    fn what_is_not_one_document_of_the_core_schema_is_refused() {
        let texts = [
            "",
            "# only a comment\n",
            "a: 1\n---\nb: 2\n",
            "a: [1",
            "a: !env X",
            "a: .inf",
            "? [a]\n: 1",
            "a: &x [*x]",
            "\tb: 1",
            "a: *none",
        ];
        let all: Vec<String> = texts.iter().map(|text| refused(text)).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        line 1: the file is empty
        line 1: the file is empty
        line 2: the file has a second document; put each pipeline into a file of its own
        line 2: this is not YAML: while parsing a flow sequence, expected ',' or ']'
        line 1: the tag `!env` has no meaning here
        line 1: `.inf` is not a finite number; quote it if it is text
        line 1: a key must be text, not a list or a map
        line 1: an alias stands within its own anchor

        line 1: this is not YAML: while parsing node, found unknown anchor
        "#);
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let laughs = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
            let before = i - 1;
            format!("{text}a{i}: &a{i} [*a{before}, *a{before}]\n")
        });
        assert!(refused(&laughs).contains("more than"), "{}", refused(&laughs));
        for open in ["[", "{a: ", "- ", "? "] {
            let deep = refused(&open.repeat(200_000));
            assert!(deep.contains("nested more than") || deep.contains("not"), "{open}: {deep}");
        }
        assert!(refused(&"x".repeat(LONGEST + 1)).contains("longer than 1024 KiB"));
        assert!(refused(&format!("[{}]", "1,".repeat(200_000))).contains("more than 100000 values"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[ab:\\-\\[\\]{},#&*!|>'\"%@?~\n\t 01.é]{0,80}") {
            let _ = read(&text);
        }
    }
}

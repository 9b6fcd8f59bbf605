//! CEL: reading one expression, with bounds on what it may cost.

use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use cel::{Context, Env};

use super::references::Walk;
use super::{ROOTS, convert};
use crate::problem::did_you_mean;

/// The longest expression, in bytes.
const LONGEST: usize = 2000;
/// The deepest expression. The interpreter takes up to 40 KB of stack a level in a debug build; 24 fit twice in a thread's 2 MiB.
const DEEPEST: usize = 24;
/// Loops within loops: two are at most quadratic.
const MOST_LOOPS: usize = 2;

/// The functions that an expression may call. Others are refused when the expression is read, not when it runs.
const FUNCTIONS: [&str; 15] = [
    "bytes",
    "contains",
    "double",
    "endsWith",
    "int",
    "matches",
    "max",
    "min",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "hasValue",
    "orValue",
];

/// The standard environment without types of our own, made once.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Why an expression was refused, and the byte within it.
pub(super) struct Refused {
    pub(super) byte: usize,
    pub(super) message: String,
}

/// An expression that was read, and what it refers to. It may start from the names in `more` too.
pub(super) fn read(source: &str, more: &[&str]) -> Result<(IdedExpr, Walk), Refused> {
    let whole = |message: String| Refused { byte: 0, message };
    if source.trim().is_empty() {
        return Err(whole("the expression is empty".to_owned()));
    }
    if source.len() > LONGEST {
        return Err(whole(format!("the expression is longer than {LONGEST} bytes")));
    }
    // This parser and not the crate's first: ANTLR's takes 200 KB of stack for each bracket.
    let parser = PrattParser::default()
        .max_recursion_depth(32)
        .error_reporting_limit(1)
        .error_recovery_limit(1)
        .max_expression_node_count(2000);
    let expression = parser.parse(source).map_err(|errors| match errors.errors.first() {
        Some(error) => Refused { byte: byte_of(source, error.pos), message: plain(&error.msg) },
        None => whole("the expression cannot be read".to_owned()),
    })?;
    let walk = Walk::of(&expression);
    check(&walk, more).map_err(whole)?;
    Ok((expression, walk))
}

fn check(walk: &Walk, more: &[&str]) -> Result<(), String> {
    if walk.depth > DEEPEST {
        return Err(format!("the expression is nested more than {DEEPEST} deep"));
    }
    if walk.loops > MOST_LOOPS {
        return Err(format!("more than {MOST_LOOPS} loops stand within one another"));
    }
    let or = |hint: Option<String>, otherwise: String| hint.unwrap_or(otherwise);
    let roots = [more, &ROOTS].concat();
    if let Some(reference) = walk.references.iter().find(|reference| !roots.contains(&reference.root())) {
        let hint = or(
            did_you_mean(reference.root(), roots.iter().copied()),
            format!("names start with one of {}", roots.join(", ")),
        );
        return Err(format!("unknown name `{}`; {hint}", reference.root()));
    }
    let is_name = |name: &&String| name.starts_with(|c: char| c.is_ascii_alphabetic());
    if let Some(name) = walk.functions.iter().filter(is_name).find(|name| !FUNCTIONS.contains(&name.as_str()))
    {
        let hint = or(did_you_mean(name, FUNCTIONS), format!("there are {}", FUNCTIONS.join(", ")));
        return Err(format!("unknown function `{name}`; {hint}"));
    }
    Ok(())
}

/// The parser's message without what only its author understands.
fn plain(message: &str) -> String {
    let message = message.trim_start_matches("Syntax error: ").replace("'<EOF>'", "<EOF>");
    if let Some(expected) = message.strip_prefix("mismatched input <EOF> expecting ") {
        return format!("the expression ends too early: expected {expected}");
    }
    match message.strip_suffix(" expecting <EOF>") {
        Some(found) => found.replace("mismatched input", "unexpected"),
        None => message,
    }
}

/// The byte of a position given as line and column, both from 1, the column in bytes.
fn byte_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    (before + column).min(source.len())
}

/// The value of an expression in a scope, an object whose keys are the roots.
pub(super) fn run(
    expression: &IdedExpr,
    roots: &[&str],
    scope: &serde_json::Value,
) -> Result<cel::Value, cel::ExecutionError> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    for root in roots {
        if let Some(value) = scope.get(root) {
            context.add_variable_from_value(*root, convert::to_cel(value));
        }
    }
    context.resolve(expression)
}

//! The functions that Step Functions adds to JSONata, and the ones it replaces.

use std::cell::Cell;
use std::rc::Rc;

use jsonata_core::evaluator::{Evaluator, EvaluatorError, HostFnResult};
use jsonata_core::value::JValue;

use super::analysis::Analysis;
use super::convert::from_jsonata;
use crate::digest;
use crate::rng::Rng;

/// The most elements of a `$range`; AWS accepts 360,145.
const MAX_RANGE: f64 = 360_145.0;

/// Registers those of the functions that the expression mentions.
pub(super) fn register(evaluator: &mut Evaluator, analysis: &Analysis, rng: &Rc<Cell<Rng>>, now_ms: i64) {
    let reads = analysis.reads.iter().map(|(name, _)| &**name);
    for name in analysis.functions.iter().map(|name| &**name).chain(reads) {
        let rng = Rc::clone(rng);
        // Registering can only fail for names that take part in JSONata's compiled path; none of these does.
        let registered = match name {
            "partition" => evaluator.register_fn_override(name, partition),
            "range" => evaluator.register_fn_override(name, range),
            "hash" => evaluator.register_fn_override(name, hash),
            "parse" => evaluator.register_fn_override(name, parse),
            "eval" => evaluator.register_fn_override(name, |_: &[JValue]| {
                Err(EvaluatorError::TypeError("T1006: Attempted to invoke a non-function".to_owned()))
            }),
            "uuid" => evaluator
                .register_fn_override(name, move |_: &[JValue]| Ok(draw(&rng, |rng| rng.uuid()).into())),
            "random" => evaluator.register_fn_override(name, move |args: &[JValue]| Ok(random(&rng, args))),
            "shuffle" => evaluator.register_fn_override(name, move |args: &[JValue]| Ok(shuffle(&rng, args))),
            "millis" => evaluator.register_fn_override(name, move |_: &[JValue]| Ok(JValue::from(now_ms))),
            "now" => evaluator.register_fn_override(name, move |args: &[JValue]| now(now_ms, args)),
            _ => Ok(()),
        };
        if let Err(error) = registered {
            tracing::warn!(function = name, %error, "a jsonata function keeps its built-in meaning");
        }
    }
}

fn draw<T>(cell: &Cell<Rng>, pick: impl FnOnce(&mut Rng) -> T) -> T {
    let mut rng = cell.get();
    let picked = pick(&mut rng);
    cell.set(rng);
    picked
}

fn refused(message: &str) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.to_owned())
}

/// A number argument, rounded towards zero. `None`: not given.
fn whole(function: &str, args: &[JValue], index: usize) -> Result<Option<f64>, EvaluatorError> {
    match args.get(index) {
        None | Some(JValue::Undefined) => Ok(None),
        Some(JValue::Number(number)) => Ok(Some(number.trunc())),
        Some(_) => Err(refused(&format!(
            "T0410: Argument {} of function \"{function}\" does not match function signature",
            index + 1
        ))),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1 and rounded")]
fn partition(args: &[JValue]) -> HostFnResult {
    let items = match args.first() {
        None | Some(JValue::Undefined) => return Ok(JValue::Undefined),
        Some(JValue::Array(items)) => items.to_vec(),
        Some(single) => vec![single.clone()],
    };
    match whole("partition", args, 1)? {
        Some(size) if size >= 1.0 && !items.is_empty() => {
            let chunks = items.chunks(size as usize).map(|chunk| JValue::array(chunk.to_vec()));
            Ok(JValue::array(chunks.collect()))
        }
        _ => Ok(JValue::Undefined),
    }
}

fn range(args: &[JValue]) -> HostFnResult {
    let (start, end, step) = (whole("range", args, 0)?, whole("range", args, 1)?, whole("range", args, 2)?);
    let (Some(start), Some(end), Some(step)) = (start, end, step) else { return Ok(JValue::Undefined) };
    if step == 0.0 || (end - start) * step < 0.0 {
        return Ok(JValue::Undefined);
    }
    let steps = ((end - start) / step).trunc();
    if steps >= MAX_RANGE {
        return Err(refused("Expression evaluation memory limit exceeded"));
    }
    let mut items = Vec::new();
    let mut index = 0.0;
    while index <= steps {
        items.push(JValue::Number(step.mul_add(index, start)));
        index += 1.0;
    }
    match items.as_slice() {
        [single] => Ok(single.clone()),
        _ => Ok(JValue::array(items)),
    }
}

fn hash(args: &[JValue]) -> HostFnResult {
    let (Some(data), Some(algorithm)) = (args.first(), args.get(1)) else { return Ok(JValue::Undefined) };
    if data.is_undefined() || algorithm.is_undefined() {
        return Ok(JValue::Undefined);
    }
    let text = match data {
        JValue::String(text) => text.to_string(),
        other => other.to_json_string().map_err(|error| refused(&format!("$hash: {error}")))?,
    };
    let algorithm = algorithm.as_str().unwrap_or_default();
    digest::hex_digest(algorithm, text.as_bytes())
        .map(JValue::from)
        .ok_or_else(|| refused(&format!("$hash: unknown algorithm '{algorithm}'")))
}

fn parse(args: &[JValue]) -> HostFnResult {
    match args.first() {
        None | Some(JValue::Undefined) => Ok(JValue::Undefined),
        Some(JValue::String(text)) => serde_json::from_str::<serde_json::Value>(text)
            .map(JValue::from)
            .map_err(|error| refused(&format!("$parse: the string is not JSON: {error}"))),
        Some(_) => Err(refused("T0410: Argument 1 of function \"parse\" does not match function signature")),
    }
}

fn random(rng: &Cell<Rng>, args: &[JValue]) -> JValue {
    let unit = match args.first().and_then(JValue::as_f64) {
        Some(seed) => Rng::new(seed.to_bits(), "random").unit(),
        None => draw(rng, Rng::unit),
    };
    JValue::Number(unit)
}

/// Fisher-Yates over the seeded generator, so that a run can be repeated.
fn shuffle(rng: &Cell<Rng>, args: &[JValue]) -> JValue {
    let Some(JValue::Array(items)) = args.first() else {
        return args.first().cloned().unwrap_or(JValue::Undefined);
    };
    let mut items = items.to_vec();
    for last in (1..items.len()).rev() {
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let pick = usize::try_from(draw(rng, Rng::next_u64) % bound).unwrap_or(last);
        items.swap(last, pick);
    }
    JValue::array(items)
}

/// `$now(picture?, timezone?)` at the time of the engine's clock.
fn now(now_ms: i64, args: &[JValue]) -> HostFnResult {
    let call = match args.len() {
        0 => "$fromMillis($ms)",
        1 => "$fromMillis($ms, $picture)",
        _ => "$fromMillis($ms, $picture, $zone)",
    };
    let ast = jsonata_core::parser::parse(call).map_err(|error| refused(&error.to_string()))?;
    let mut context = jsonata_core::evaluator::Context::new();
    context.bind("ms".to_owned(), JValue::from(now_ms));
    for (name, value) in ["picture", "zone"].into_iter().zip(args) {
        context.bind(name.to_owned(), value.clone());
    }
    let formatted = Evaluator::with_context(context).evaluate(&ast, &JValue::Undefined)?;
    debug_assert!(from_jsonata(&formatted).is_ok() || formatted.is_undefined());
    Ok(formatted)
}

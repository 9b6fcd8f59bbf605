use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn evaluated(text: &str) -> Result<Value, String> {
    let scope = json!({
        "params": {"replicas": "2", "odd-name": "x"},
        "trigger": {"type": "registry", "pusher": null, "artifact": {"digest": "sha256:ab"}},
        "artifacts": {"web": {"tag": "1.0.0"}},
        "stages": {"Smoke test": {"webhook": {"statusCode": 200, "ratio": 0.5, "big": 18_446_744_073_709_551_615_u64}}},
        "release": {"labels": {"b": 1, "a": [true, null]}},
    });
    Template::parse(text).and_then(|template| template.evaluate(&scope)).map_err(|error| error.to_string())
}

#[rstest]
#[case("no expression", json!("no expression"))]
#[case("", json!(""))]
#[case("${ params.replicas }", json!("2"))]
#[case("${ params.replicas != \"0\" }", json!(true))]
#[case("${ int(params.replicas) + 1 }", json!(3))]
#[case("${ params['odd-name'] }", json!("x"))]
#[case("${ stages[\"Smoke test\"].webhook.statusCode == 200 }", json!(true))]
#[case("${ stages[\"Smoke test\"].webhook.statusCode + 1 }", json!(201))]
#[case("${ stages[\"Smoke test\"].webhook.ratio * 2.0 }", json!(1.0))]
#[case("${ stages[\"Smoke test\"].webhook.big }", json!(18_446_744_073_709_551_615_u64))]
#[case("${ trigger.artifact.digest }", json!("sha256:ab"))]
#[case("${ trigger.pusher }", json!(null))]
#[case("${ release.labels }", json!({"a": [true, null], "b": 1}))]
#[case("labels: ${ release.labels }", json!("labels: {\"a\":[true,null],\"b\":1}"))]
#[case("web:${ artifacts.web.tag } x${ params.replicas }", json!("web:1.0.0 x2"))]
#[case("a $${ literal } and ${ '}' }", json!("a ${ literal } and }"))]
#[case("${ [1, 2, 3].filter(n, n > 1).map(n, n * 2) }", json!([4, 6]))]
#[case("${ has(params.missing) ? params.missing : 'none' }", json!("none"))]
#[case("${ params.replicas in ['1', '2'] && artifacts.web.tag.matches('^1[.]') }", json!(true))]
#[case("${ type(1) == int }", json!(true))]
fn expressions_have_values(#[case] text: &str, #[case] expected: Value) {
    assert_eq!(evaluated(text), Ok(expected));
}

#[test]
fn what_is_undefined_is_named() {
    let texts = [
        "${ params.replics }",
        "n: ${ stages[\"Smok test\"].webhook }",
        "${ stages[\"Smoke test\"].webhook.body }",
        "${ environment.name }",
        "${ params[trigger.type] }",
        "a ${ trigger.pusher }",
        "${ params.replicas + 1 }",
        "${ 1 / 0 }",
        "${ 0.0 / 0.0 }",
        "${ [1][2] }",
        "${ params < 1 }",
        "${ b'x' }",
        "${ int('x') }",
        "${ size(1) }",
    ];
    let errors: Vec<String> = texts.iter().map(|text| evaluated(text).unwrap_err()).collect();
    insta::assert_snapshot!(errors.join("\n"), @r#"
    `params.replics` is undefined; did you mean `replicas`? (at character 3)
    `stages["Smok test"]` is undefined; did you mean `Smoke test`? (at character 6)
    `stages["Smoke test"].webhook.body` is undefined (at character 3)
    `environment` is undefined (at character 3)
    the key `registry` is undefined (at character 3)
    the expression is null, which has no text (at character 5)
    the operator `add` has no result for string and int; convert with `int(…)` or `string(…)` (at character 3)
    division by zero (at character 3)
    the value is not a finite number (at character 3)
    the index is out of bounds (at character 3)
    found no matching overload for '_<_' applied to '(map, int)' (at character 3)
    a value of type bytes cannot be used; convert it with `string(…)` (at character 3)
    the function `int` failed (at character 3)
    found no matching overload for 'size' applied to '(int)' (at character 3)
    "#);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let texts = [
        "${ }",
        "é ${ 1 + }",
        "${ params.x",
        "${ 'abc }",
        "${ a ? b }",
        "${ 1 2 }",
        "${ param.x }",
        "${ secrets.x }",
        "${ siz('a') }",
        "${ [1].map(x, [1].map(y, [1].map(z, z))) }",
    ];
    let errors: Vec<String> =
        texts.iter().map(|text| Template::parse(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    the expression is empty (at character 3)
    the expression ends too early: expected expression (at character 10)
    `${` has no closing `}`; write `$${` for a literal `${` (at character 1)
    `${` has no closing `}`; write `$${` for a literal `${` (at character 1)
    expected ':' in conditional expression (at character 10)
    unexpected '2' (at character 6)
    unknown name `param`; did you mean `params`? (at character 3)
    unknown name `secrets`; names start with one of params, artifacts, trigger, release, environment, stages, approvals, rollback (at character 3)
    unknown function `siz`; did you mean `size`? (at character 3)
    more than 2 loops stand within one another (at character 3)
    ");
}

#[rstest]
#[case("1+", "1")]
#[case("a.", "a")]
#[case("!", "true")]
#[case("-", "1")]
#[case("(", "1")]
#[case("[", "1")]
#[case("{'a':", "1")]
#[case("true?1:", "2")]
#[case("params[", "1")]
#[case("size(", "1")]
#[case("'a'==", "'a'")]
#[case("[1].map(x,", "1")]
fn deep_expressions_are_refused_without_a_deep_stack(#[case] repeated: &str, #[case] last: &str) {
    let closing = match repeated {
        "{'a':" => "}",
        _ if repeated.contains('(') => ")",
        _ if repeated.contains('[') => "]",
        _ => "",
    };
    for count in [1, 5, 10, 20, 40, 100, 1900 / repeated.len()] {
        let text = format!("${{ {}{last}{} }}", repeated.repeat(count), closing.repeat(count));
        if let Ok(template) = Template::parse(&text) {
            let _ = template.evaluate(&json!({}));
        }
    }
}

#[test]
fn roots_are_those_that_are_free() {
    let template =
        Template::parse("${ params.a } ${ [1].map(params, params) } ${ stages.map(s, s + release.n) }")
            .unwrap();
    assert_eq!(template.roots().into_iter().collect::<Vec<_>>(), ["params", "release", "stages"]);
    let names: Vec<_> = template.references().map(|r| r.path.join("/")).collect();
    assert_eq!(names, ["params/a", "stages", "release/n"]);
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
        let _ = evaluated(&text);
    }

    #[test]
    fn any_expression_is_evaluated_or_refused(tokens in prop::collection::vec(
        prop::sample::select(vec![
            "params", ".", "x", "[", "]", "(", ")", "{", "}", "'a'", "\"", "1", "+", "-", "!", "?", ":", ",", "&&", "in",
            ".map(", "r'", "\\", "b'\\x", "0x", "1e999", "9223372036854775808", "has(", "//", "\n", "é", "\u{0}",
        ]), 0..40)) {
        let _ = evaluated(&format!("${{{}}}", tokens.concat()));
    }
}

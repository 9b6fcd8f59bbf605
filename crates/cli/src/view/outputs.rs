//! What a stage found or named, in one line, where that is what people look for (T34, T38).

use pilothouse_serve_api::api::StageView;
use serde_json::Value;

/// The longest line, in characters: `--json` has all of it.
const LONGEST: usize = 160;

/// One line below a stage whose output is for people too; none below any other.
pub(super) fn shown(stage: &StageView) -> Option<String> {
    let text = match stage.stage_type.as_str() {
        "variables" => {
            let values = stage.output.as_object().filter(|values| !values.is_empty())?;
            let named: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            named.join(", ")
        }
        "webhook" => called(&stage.output)?,
        _ => return None,
    };
    Some(shortened(&text))
}

/// `http://ci/build answered 202; http://ci/status/7 said done`
fn called(output: &Value) -> Option<String> {
    let answer = |call: &Value| {
        let url = call["url"].as_str()?;
        Some(format!("{url} answered {}", call["statusCode"]))
    };
    let first = answer(&output["webhook"])?;
    let last = &output["completion"];
    let then = match (last["status"].as_str(), last["url"].as_str()) {
        (Some(status), Some(url)) => format!("; {url} said {status}"),
        (Some(status), None) => format!("; called back with {status}"),
        _ => String::new(),
    };
    let message = last["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
    Some(format!("{first}{then}{message}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_serve_api::api::StageState;
    use serde_json::json;

    use super::*;
    use crate::view::samples;

    fn line(stage_type: &str, output: Value) -> Option<String> {
        let stage = samples::stage("Names", StageState::Succeeded, None, 0, Some(1));
        shown(&StageView { stage_type: stage_type.to_owned(), output, ..stage })
    }

    #[test]
    fn variables_and_calls_are_shown_and_what_is_long_is_cut() {
        let named = line("variables", json!({"tier": "gold", "n": 3, "zones": ["a"]}));
        assert_eq!(named.unwrap(), r#"tier = "gold", n = 3, zones = ["a"]"#);
        let webhook = json!({"url": "http://ci/build", "statusCode": 202, "body": {}});
        assert_eq!(line("webhook", json!({"webhook": webhook})).unwrap(), "http://ci/build answered 202");
        let polled = json!({"url": "http://ci/7", "status": "done", "message": null});
        assert_eq!(
            line("webhook", json!({"webhook": webhook, "completion": polled})).unwrap(),
            "http://ci/build answered 202; http://ci/7 said done"
        );
        let told = json!({"status": "failed", "message": "no disk"});
        assert_eq!(
            line("webhook", json!({"webhook": webhook, "completion": told})).unwrap(),
            "http://ci/build answered 202; called back with failed: no disk"
        );
        assert_eq!(line("variables", json!({"x": "y".repeat(300)})).unwrap().chars().count(), LONGEST + 1);
        assert_eq!((line("wait", json!({"waited": "1s"})), line("variables", Value::Null)), (None, None));
    }
}

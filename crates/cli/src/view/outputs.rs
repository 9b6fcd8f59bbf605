//! What a stage found, named or moved, in one line, where that is what people look for (H13-H15, T34, T38).

use pilothouse_serve_api::api::StageView;
use serde_json::Value;

/// The longest line, in characters: `--json` has all of it.
const LONGEST: usize = 160;

/// One line below a stage whose output is for people too; none below any other.
pub(crate) fn shown(stage: &StageView) -> Option<String> {
    let text = match stage.stage_type.as_str() {
        "variables" => {
            let values = stage.output.as_object().filter(|values| !values.is_empty())?;
            let named: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            named.join(", ")
        }
        "webhook" => called(&stage.output)?,
        "divert-traffic" | "blue-green" => diverted(&stage.output)?,
        "start-workload" => {
            let [previous, current] =
                ["previous", "current"].map(|which| stage.output[which]["name"].as_str());
            format!("{} → {}", previous.unwrap_or("nothing"), current?)
        }
        "remove-old-version" => {
            let workload = &stage.output["workload"];
            format!("{} in {} is removed", workload["name"].as_str()?, workload["namespace"].as_str()?)
        }
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

/// `shop in prod: v1 → v2`, `shop-canary in prod: shop → shop-canary, 20 %`
fn diverted(output: &Value) -> Option<String> {
    let text = |key: &str| output[key].as_str().filter(|text| !text.is_empty());
    let weight = output["weight"].as_u64().map(|percent| format!(", {percent} %")).unwrap_or_default();
    let (from, to) = (text("from").unwrap_or("nothing"), text("to")?);
    Some(format!("{} in {}: {from} → {to}{weight}", text("service")?, text("namespace")?))
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
        let moved = json!({"service": "shop", "namespace": "prod", "from": "v1", "to": "v2", "previous": {}});
        assert_eq!(line("blue-green", moved.clone()).unwrap(), "shop in prod: v1 → v2");
        let first = json!({"service": "shop", "namespace": "prod", "from": null, "to": "v1"});
        assert_eq!(line("blue-green", first).unwrap(), "shop in prod: nothing → v1");
        let mut part = moved;
        part["weight"] = json!(20);
        assert_eq!(line("divert-traffic", part).unwrap(), "shop in prod: v1 → v2, 20 %");
        let started = json!({"previous": {"name": "web-v1"}, "current": {"name": "web-v2"}});
        assert_eq!(line("start-workload", started).unwrap(), "web-v1 → web-v2");
        let removed = json!({"workload": {"name": "web-v1", "namespace": "prod"}});
        assert_eq!(line("remove-old-version", removed).unwrap(), "web-v1 in prod is removed");
        assert_eq!(line("divert-traffic", Value::Null), None, "it has not come so far");
        assert_eq!(line("variables", json!({"x": "y".repeat(300)})).unwrap().chars().count(), LONGEST + 1);
        assert_eq!((line("wait", json!({"waited": "1s"})), line("variables", Value::Null)), (None, None));
    }
}

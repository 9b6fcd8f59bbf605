use super::*;

fn poll(more: &Value) -> Poll {
    let mut poll = json!({
        "url": "http://ci.dev/7", "status": "job.state", "success": ["done", "true"], "failure": ["broken"],
        "progress": "percent",
    });
    poll.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(poll).unwrap()
}

fn answered(status: u16, body: Value) -> Answered {
    Answered { url: "http://ci.dev/7".to_owned(), status, body, truncated: false, named: None }
}

fn seen(status: u16, body: Value) -> Seen {
    judge(&poll(&json!({})), answered(status, body), None)
}

#[test]
fn only_what_the_stage_names_is_an_end() {
    let done = seen(200, json!({"job": {"state": "done"}}));
    assert!(matches!(done, Seen::Done { ref status, .. } if status == "done"), "{done:?}");
    assert!(matches!(seen(203, json!({"job": {"state": true}})), Seen::Done { .. }), "scalars are texts");
    assert!(matches!(seen(200, json!({"job": {"state": "broken"}})), Seen::Failed { .. }));
    let told = |body| match seen(200, body) {
        Seen::Running { told } => told,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(json!({"job": {"state": "busy"}, "percent": 40})), "said `busy`, 40");
    assert_eq!(told(json!({"job": {"state": "DONE"}})), "said `DONE`", "as it is written");
    assert_eq!(told(json!({"job": {}})), "gave nothing at `job.state`");
    assert_eq!(told(json!("<html>")), "gave an answer that is no JSON at `job.state`");
}

#[test]
fn a_status_that_can_never_be_seen_is_a_failure_and_one_that_cannot_be_seen_now_is_none() {
    for code in [408, 425, 429, 500, 503] {
        assert!(matches!(seen(code, Value::Null), Seen::Again { .. }), "{code}");
    }
    for code in [400, 401, 403, 404, 410] {
        let Seen::Refused { reason, .. } = seen(code, Value::Null) else { panic!("{code}") };
        assert_eq!(reason, format!("GET http://ci.dev/7 answered {code}"));
    }
    let Seen::Refused { reason, .. } = seen(302, Value::Null) else { panic!("a redirect") };
    assert_eq!(reason, "GET http://ci.dev/7 answered 302, and redirects are not followed");
}

#[test]
fn an_answer_names_a_status_at_its_own_host_and_no_other() {
    let options: Options = serde_json::from_value(json!({"url": "https://ci.dev/build?x=1"})).unwrap();
    let at = |from: Value, named: Option<&str>, body: Value| {
        let mut poll = poll(&json!({"urlFrom": from}));
        poll.url = None;
        let named = named.map(str::to_owned);
        status_url(&options, &poll, &Answered { named, ..answered(202, body) })
    };
    let header = || json!({"header": "Location"});
    assert_eq!(at(header(), Some("/queue/7"), Value::Null).unwrap(), "https://ci.dev/queue/7");
    assert_eq!(at(header(), Some("https://ci.dev/7"), Value::Null).unwrap(), "https://ci.dev/7");
    let body = json!({"links": [{"status": "status/7"}]});
    assert_eq!(at(json!({"body": "links[0].status"}), None, body).unwrap(), "https://ci.dev/status/7");
    let refused = [
        at(header(), Some("https://evil.dev/7"), Value::Null),
        at(header(), Some("http://ci.dev/7"), Value::Null),
        at(header(), Some("http://169.254.169.254/"), Value::Null),
        at(header(), Some("file:///etc/passwd"), Value::Null),
        at(header(), None, Value::Null),
        at(json!({"body": "links"}), None, json!({"links": {}})),
    ];
    let shown: Vec<String> = refused.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    POST https://ci.dev/build?x=1 answered 202, but it names a status at another place, https://evil.dev: write the URL as `waitFor.poll.url` if it is right
    POST https://ci.dev/build?x=1 answered 202, but it names a status at another place, http://ci.dev: write the URL as `waitFor.poll.url` if it is right
    POST https://ci.dev/build?x=1 answered 202, but `http://169.254.169.254/`: 169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this installation does not call
    POST https://ci.dev/build?x=1 answered 202, but `file:///etc/passwd`: the scheme `file` is not called: use http or https
    POST https://ci.dev/build?x=1 answered 202, but its answer has no header `Location`
    POST https://ci.dev/build?x=1 answered 202, but its answer has no text at `links`
    "#);
}

#[test]
fn a_receiver_that_called_back_is_the_end_also_before_its_answer_was_read() {
    let options: Options =
        serde_json::from_value(json!({"url": "http://ci.dev/build", "waitFor": {"callback": {}}})).unwrap();
    let at = jiff::Timestamp::UNIX_EPOCH;
    let said = |status, message: Option<&str>| {
        let message = message.map(str::to_owned);
        let called_back = Some(CalledBack { status, message, data: json!({"image": "7"}), at });
        ended(&options, &Action { attempts: 0, next: at, called: None, called_back }).unwrap()
    };
    let end = said(CallbackStatus::Succeeded, None);
    assert_eq!(end.output["completion"]["data"]["image"], "7");
    let end = said(CallbackStatus::Failed, Some("no disk"));
    let reason = "the receiver of POST http://ci.dev/build called back: failed: no disk";
    assert_eq!(end.status.reason(), Some(reason));
    let action = Action { attempts: 0, next: at, called: None, called_back: None };
    assert_eq!(ended(&options, &action), None);
}

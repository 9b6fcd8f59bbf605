use super::*;
use serde_json::json;

const TWO: &str = r#"# a comment
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  port: "8080"
---
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  resourceVersion: "12"
spec:
  template:
    spec:
      volumes:
      - name: keys
        secret: {secretName: keys, defaultMode: 0640}
status: {replicas: 1}
"#;

#[test]
fn documents_get_their_place_and_their_namespace() {
    let manifests = parse_manifests(TWO, "dev").unwrap();
    let names: Vec<String> = manifests.iter().map(|m| m.object.to_string()).collect();
    assert_eq!(names, ["ConfigMap dev/settings", "Deployment shop/web"]);
    assert_eq!(manifests[0].content["metadata"]["namespace"], "dev");
    assert_eq!(manifests[0].line, 3);
    assert_eq!(manifests[1].line, 11);
}

#[test]
fn file_modes_are_octal_as_kubectl_reads_them() {
    let manifests = parse_manifests(TWO, "dev").unwrap();
    assert_eq!(
        manifests[1].content["spec"]["template"]["spec"]["volumes"][0]["secret"]["defaultMode"],
        0o640
    );
}

#[test]
fn what_only_the_server_writes_is_dropped() {
    let web = &parse_manifests(TWO, "dev").unwrap()[1].content;
    assert_eq!(web["status"], Value::Null);
    assert_eq!(web["metadata"]["resourceVersion"], Value::Null);
}

#[test]
fn json_and_lists_are_read_too() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    ]});
    let manifests = parse_manifests(&list.to_string(), "dev").unwrap();
    assert_eq!(manifests[0].object.namespace, None);
    assert_eq!(manifests[1].object.namespace.as_deref(), Some("dev"));
}

#[test]
fn numbers_and_texts_keep_their_types() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '1', b: \"true\", c: plain}\nbinary: 12\nyes: true\n";
    let content = &parse_manifests(text, "dev").unwrap()[0].content;
    assert_eq!(content["data"], json!({"a": "1", "b": "true", "c": "plain"}));
    assert_eq!(content["binary"], 12);
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    let error =
        parse_manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: Service\n", "dev")
            .unwrap_err();
    assert_eq!((error.document, error.line), (2, 5));
    assert!(error.to_string().contains("`apiVersion` is missing"), "{error}");
    let error = parse_manifests("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n", "dev")
        .unwrap_err();
    assert!(error.problem.contains("generateName"), "{error}");
    let error = parse_manifests("just text", "dev").unwrap_err();
    assert!(error.problem.contains("expected an object"), "{error}");
    assert!(parse_manifests("# nothing\n", "dev").unwrap_err().problem.contains("no object"));
}

#[test]
fn malformed_text_is_refused_with_its_line() {
    let error =
        parse_manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: [a\n", "dev")
            .unwrap_err();
    assert_eq!(error.document, 2, "{error}");
    assert!(error.line >= 5, "{error}");
    let error = parse_manifests("kind: a\nkind: b\n", "dev").unwrap_err();
    assert_eq!(error.line, 2, "{error}");
    assert!(error.problem.to_lowercase().contains("duplicate"), "{error}");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (previous, next) in
        ["a", "b", "c", "d", "e", "f", "g"].iter().zip(["b", "c", "d", "e", "f", "g", "h"])
    {
        let row = vec![format!("*{previous}"); 10].join(",");
        text.push_str(&format!("{next}: &{next} [{row}]\n"));
    }
    assert!(parse_manifests(&text, "dev").is_err());
}

#[test]
fn the_same_object_twice_is_refused() {
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n";
    let error = parse_manifests(&format!("{one}{one}"), "dev").unwrap_err();
    assert!(error.problem.contains("already in document 1"), "{error}");
}

#[test]
fn the_texts_of_a_secret_are_encoded_as_the_server_stores_them() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==, b: eA==}\nstringData: {a: hunter2}\n";
    let content = parse_manifests(text, "dev").unwrap().remove(0).content;
    assert_eq!(content["data"], json!({"a": "aHVudGVyMg==", "b": "eA=="}));
    assert_eq!(content.get("stringData"), None);
    let wrong = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: 1}\n";
    let content = parse_manifests(wrong, "dev").unwrap().remove(0).content;
    assert_eq!(content["stringData"], json!({"a": 1}), "what is wrong is the server's to refuse");
}

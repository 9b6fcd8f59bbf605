use super::*;
use crate::stages::check::tests::problems;

fn options(value: Value) -> Options {
    serde_json::from_value(value).unwrap()
}

fn web() -> ObjectRef {
    ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web")
}

#[test]
fn a_number_a_change_a_share_and_the_maximum_are_understood() {
    let scaler = Scaler { object: web(), min: 2, max: 12, live: Value::Null };
    let of = |value: Value, now| {
        let mut value = value;
        value["workload"] = json!("web");
        wanted(&options(value), &web(), now, Some(&scaler))
    };
    assert_eq!(of(json!({"replicas": 5}), 3), Ok(5));
    assert_eq!(of(json!({"replicas": "7"}), 3), Ok(7));
    assert_eq!(of(json!({"by": 2}), 3), Ok(5));
    assert_eq!(of(json!({"by": "-1"}), 3), Ok(2));
    // Rounded up: of 3 and half as many again are 5, and half of 3 are 2.
    assert_eq!((of(json!({"by": "50%"}), 3), of(json!({"by": "-50%"}), 3)), (Ok(5), Ok(2)));
    assert_eq!((of(json!({"by": "-50%"}), 1), of(json!({"by": "-100%"}), 3)), (Ok(1), Ok(0)));
    assert_eq!(of(json!({"to": "maximum"}), 3), Ok(12));
    assert_eq!((of(json!({"by": -5, "min": 1}), 3), of(json!({"by": 9, "max": 4}), 3)), (Ok(1), Ok(4)));
    assert_eq!(
        of(json!({"by": -5}), 3).unwrap_err(),
        "Deployment dev/web has 3 pods, and this would make them -2: it must be 0 to 10000; `min` and `max` bound it"
    );
    let alone = wanted(&options(json!({"workload": "web", "to": "maximum"})), &web(), 3, None).unwrap_err();
    assert!(
        alone.starts_with("`to: maximum` needs a HorizontalPodAutoscaler of Deployment dev/web"),
        "{alone}"
    );
}

#[test]
fn what_cannot_be_meant_is_told_on_save() {
    for fine in [
        json!({"workload": "web", "replicas": 5}),
        json!({"workload": {"kind": "StatefulSet", "name": "db", "namespace": "x"}, "by": "-25%", "min": 1, "max": 9}),
        json!({"workload": "${ params.replicas }", "replicas": "${ params.replicas }"}),
        json!({"workload": "web", "to": "maximum", "autoscaler": "adjust"}),
    ] {
        assert_eq!(problems(&Scale, &fine), "");
    }
    let all = [
        json!({"workload": "web"}),
        json!({"workload": " ", "replicas": 5, "by": 1}),
        json!({"workload": {"kind": "DaemonSet", "name": "agent"}, "replicas": 1}),
        json!({"workload": "web", "replicas": -1}),
        json!({"workload": "web", "replicas": "many"}),
        json!({"workload": "web", "by": "half"}),
        json!({"workload": "web", "by": "-150%"}),
        json!({"workload": "web", "by": 1, "min": 3, "max": 2}),
        json!({"workload": "web", "by": 1, "max": 4_000_000}),
        json!({"workload": "web", "replicas": "${ params.count }"}),
    ];
    let shown: Vec<String> = all.iter().map(|options| problems(&Scale, options)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    there must be exactly one of `replicas`, `by` and `to`; write `replicas: 5`, `by: 50%` or `to: maximum`
    workload: the name is empty
    there must be exactly one of `replicas`, `by` and `to`; write `replicas: 5`, `by: 50%` or `to: maximum`
    workload.kind: a DaemonSet is none of Deployment, StatefulSet, ReplicaSet; a DaemonSet has a pod on each of its nodes: change its `nodeSelector`
    replicas: -1 is no number of pods: write 0 to 10000
    replicas: `many` is no number of pods: write 0 to 10000
    by: `half` is no change of a number of pods: write `2`, `-1`, `50%` or `-25%`
    by: `-150%` is no change of a number of pods: write `2`, `-1`, `50%` or `-25%`
    min: 3 is more than `max`, which is 2
    max: 4000000 is no number of pods: write 0 to 10000
    replicas: the pipeline has no parameter `count`
    ");
}

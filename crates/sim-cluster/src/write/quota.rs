//! ResourceQuotas and LimitRanges: what a namespace may hold.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    json,
    kinds::Kind,
    status::{ApiError, ApiResult},
    store::Tx,
    strategy::parse_quantity,
};

/// Amounts by the names that quotas have for them.
type Amounts = BTreeMap<String, f64>;

fn parsed(value: &Value) -> f64 {
    value.as_str().and_then(parse_quantity).or_else(|| value.as_f64()).unwrap_or(0.0)
}

/// Whether amounts of this name are counted in cores (and shown in thousandths) or bytes, not in pieces.
fn is_compute(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
}

/// An amount as Kubernetes writes it.
fn shown(name: &str, amount: f64) -> String {
    const MI: f64 = 1024.0 * 1024.0;
    #[expect(clippy::cast_possible_truncation, reason = "amounts are far below 2^53")]
    let whole = amount.round() as i64;
    if name.ends_with("cpu") && (amount - amount.round()).abs() > 1e-9 {
        return format!("{:.0}m", amount * 1000.0);
    }
    if name.ends_with("memory") && amount >= MI && (amount % MI).abs() < 1e-6 {
        let (gi, mi) = (amount / (1024.0 * MI), amount / MI);
        return if (gi - gi.round()).abs() < 1e-9 { format!("{gi:.0}Gi") } else { format!("{mi:.0}Mi") };
    }
    whole.to_string()
}

/// What an object takes.
fn taken_by(kind: &Kind, object: &Value) -> Amounts {
    let mut amounts = Amounts::new();
    amounts.insert(format!("count/{}", kind.resource), 1.0);
    match kind.plural {
        "pods" => {
            if matches!(json::text(object, "/status/phase"), "Succeeded" | "Failed") {
                return amounts;
            }
            amounts.insert("pods".to_owned(), 1.0);
            for container in json::items(object, "/spec/containers") {
                for part in ["requests", "limits"] {
                    for (resource, amount) in
                        json::map(container, &format!("/resources/{part}")).into_iter().flatten()
                    {
                        *amounts.entry(format!("{part}.{resource}")).or_default() += parsed(amount);
                    }
                }
            }
            for plain in ["cpu", "memory"] {
                if let Some(amount) = amounts.get(&format!("requests.{plain}")).copied() {
                    amounts.insert(plain.to_owned(), amount);
                }
            }
        }
        "services"
        | "configmaps"
        | "secrets"
        | "persistentvolumeclaims"
        | "resourcequotas"
        | "replicationcontrollers" => {
            amounts.insert(kind.plural.to_owned(), 1.0);
        }
        _ => {}
    }
    amounts
}

impl Tx<'_> {
    /// What the objects of a namespace take of what a quota limits.
    pub(crate) fn quota_usage(&self, quota: &Value) -> BTreeMap<String, String> {
        let used = self.used(quota);
        let hard = json::map(quota, "/spec/hard").into_iter().flatten();
        hard.map(|(name, _)| (name.clone(), shown(name, used.get(name).copied().unwrap_or(0.0)))).collect()
    }

    fn used(&self, quota: &Value) -> Amounts {
        let limited: Vec<&String> =
            json::map(quota, "/spec/hard").into_iter().flatten().map(|(name, _)| name).collect();
        let concerns = |kind: &Kind| {
            kind.is("pods")
                || limited
                    .iter()
                    .any(|l| **l == kind.plural || l.strip_prefix("count/") == Some(kind.resource.as_str()))
        };
        let mut used = Amounts::new();
        for kind in self.kinds().into_iter().filter(|k| k.namespaced && concerns(k)) {
            for object in self.list(&kind.resource, json::namespace(quota)) {
                for (name, amount) in taken_by(kind, &object) {
                    *used.entry(name).or_default() += amount;
                }
            }
        }
        used
    }

    /// Refuses a new object that no quota has room for.
    pub(super) fn admit_quota(&self, kind: &Kind, object: &Value) -> ApiResult<()> {
        for quota in self.list("resourcequotas", json::namespace(object)) {
            let hard = json::map(&quota, "/spec/hard").cloned().unwrap_or_default();
            if kind.is("pods") {
                must_specify(kind, object, &quota, hard.keys())?;
            }
            let (asked, used) = (taken_by(kind, object), self.used(&quota));
            let (mut requested, mut present, mut limited) = (Vec::new(), Vec::new(), Vec::new());
            for (name, limit) in &hard {
                let Some(more) = asked.get(name) else { continue };
                let have = used.get(name).copied().unwrap_or(0.0);
                if have + more > parsed(limit) + 1e-9 {
                    requested.push(format!("{name}={}", shown(name, *more)));
                    present.push(format!("{name}={}", shown(name, have)));
                    limited.push(format!(
                        "{name}={}",
                        limit.as_str().map_or_else(|| limit.to_string(), str::to_owned)
                    ));
                }
            }
            if !requested.is_empty() {
                let why = format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    json::name(&quota),
                    requested.join(","),
                    present.join(","),
                    limited.join(",")
                );
                return Err(ApiError::forbidden(kind, json::name(object), &why));
            }
        }
        Ok(())
    }

    /// Gives a new pod's containers what LimitRanges say they have by default, and refuses those beyond their bounds.
    pub(super) fn admit_limits(&self, kind: &Kind, pod: &mut Value) -> ApiResult<()> {
        let (ns, name) = (json::namespace(pod).to_owned(), json::name(pod).to_owned());
        for range in self.list("limitranges", &ns) {
            for limit in
                json::items(&range, "/spec/limits").iter().filter(|l| json::text(l, "/type") == "Container")
            {
                for container in json::items_mut(pod, "/spec/containers") {
                    for (from, to) in [("default", "limits"), ("defaultRequest", "requests")] {
                        for (resource, amount) in json::map(limit, &format!("/{from}")).into_iter().flatten()
                        {
                            let slot = json::map_mut(container, &format!("/resources/{to}"));
                            slot.entry(resource.clone()).or_insert_with(|| amount.clone());
                        }
                    }
                    check_bounds(limit, container).map_err(|why| ApiError::forbidden(kind, &name, &why))?;
                }
            }
        }
        Ok(())
    }
}

fn check_bounds(limit: &Value, container: &Value) -> Result<(), String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    for (resource, most) in json::map(limit, "/max").into_iter().flatten() {
        match container.pointer(&format!("/resources/limits/{resource}")) {
            None => {
                return Err(format!(
                    "maximum {resource} usage per Container is {}.  No limit is specified",
                    text(most)
                ));
            }
            Some(given) if parsed(given) > parsed(most) => {
                return Err(format!(
                    "maximum {resource} usage per Container is {}, but limit is {}",
                    text(most),
                    text(given)
                ));
            }
            Some(_) => {}
        }
    }
    for (resource, least) in json::map(limit, "/min").into_iter().flatten() {
        match container.pointer(&format!("/resources/requests/{resource}")) {
            None => {
                return Err(format!(
                    "minimum {resource} usage per Container is {}.  No request is specified",
                    text(least)
                ));
            }
            Some(given) if parsed(given) < parsed(least) => {
                return Err(format!(
                    "minimum {resource} usage per Container is {}, but request is {}",
                    text(least),
                    text(given)
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A quota on compute makes every container say how much it wants.
fn must_specify<'a>(
    kind: &Kind,
    pod: &Value,
    quota: &Value,
    limited: impl Iterator<Item = &'a String>,
) -> ApiResult<()> {
    let mut missing = Vec::new();
    for name in limited.filter(|n| is_compute(n)) {
        let (part, resource) = name.split_once('.').unwrap_or(("requests", name));
        let lacking: Vec<_> = json::items(pod, "/spec/containers")
            .iter()
            .filter(|c| c.pointer(&format!("/resources/{part}/{resource}")).is_none())
            .map(|c| json::text(c, "/name"))
            .collect();
        if !lacking.is_empty() {
            missing.push(format!("{name} for: {}", lacking.join(",")));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("failed quota: {}: must specify {}", json::name(quota), missing.join("; "));
    Err(ApiError::forbidden(kind, json::name(pod), &why))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn amounts_are_shown_as_kubernetes_shows_them() {
        assert_eq!(shown("pods", 3.0), "3");
        assert_eq!(shown("requests.cpu", 1.5), "1500m");
        assert_eq!(shown("limits.memory", 1024.0 * 1024.0 * 1024.0), "1Gi");
        assert_eq!(shown("limits.memory", 1536.0 * 1024.0 * 1024.0), "1536Mi");
    }
}

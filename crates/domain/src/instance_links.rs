//! Links from an instance to what else knows about it: its health page, its logs, its dashboard (T14).
//!
//! An application has sections with a heading, and each has links. A link's URL has variables in braces, which stand for
//! attributes of the instance. It is a whole URL, or only what comes after the instance's address: `/health` (at the
//! application's default port, 80), or `:7002/health`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::{InstanceLink, InstanceView};
use crate::problem::{Problem, did_you_mean};

/// The most sections, and the most links of one section.
const MOST: usize = 20;
/// The longest heading or name, in characters.
const LONGEST_NAME: usize = 100;
/// The longest URL, in bytes.
const LONGEST_URL: usize = 2048;

/// The variables that a URL may have.
pub const VARIABLES: [&str; 13] = [
    "ip",
    "name",
    "namespace",
    "node",
    "nodeIp",
    "status",
    "zone",
    "region",
    "application",
    "cluster",
    "serverGroup",
    "account",
    "image",
];

/// The links of an application's instances, as they are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceLinks {
    /// The port of a URL that begins with `/`; `80` when absent.
    #[serde(default = "http", skip_serializing_if = "is_http")]
    pub default_port: u16,
    /// The sections, in the order in which they are shown.
    pub sections: Vec<LinkSection>,
}

/// Links under one heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkSection {
    /// The heading.
    pub heading: String,
    /// The links, in the order in which they are shown.
    pub links: Vec<LinkTemplate>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkTemplate {
    /// What it is called.
    pub name: String,
    /// `https://logs.example/?pod={name}`, `/health` or `:7002/health`.
    pub url: String,
}

/// The record of an application's links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedLinks {
    /// The application.
    pub application: String,
    /// The links.
    pub links: InstanceLinks,
    /// Who saved them last.
    pub saved_by: String,
    /// When.
    pub saved_at: Timestamp,
}

impl Default for InstanceLinks {
    fn default() -> Self {
        Self { default_port: http(), sections: Vec::new() }
    }
}

const fn http() -> u16 {
    80
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_http(port: &u16) -> bool {
    *port == 80
}

impl InstanceLinks {
    /// Everything that is wrong with them.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.default_port == 0 {
            problems.push(Problem::new("defaultPort", "0 is no port").with_hint("use 1 to 65535"));
        }
        if self.sections.len() > MOST {
            problems.push(Problem::new("sections", format!("there are more than {MOST}")));
        }
        for (s, section) in self.sections.iter().enumerate() {
            let at = format!("sections[{s}]");
            problems.extend(name_problem(format!("{at}.heading"), &section.heading));
            if section.links.len() > MOST {
                problems.push(Problem::new(format!("{at}.links"), format!("there are more than {MOST}")));
            }
            for (l, link) in section.links.iter().enumerate() {
                let at = format!("{at}.links[{l}]");
                problems.extend(name_problem(format!("{at}.name"), &link.name));
                problems.extend(url_problem(&format!("{at}.url"), &link.url));
            }
        }
        problems
    }

    /// The links of one instance. A link with a variable that the instance has no value for, such as its address before it has one,
    /// is left out.
    #[must_use]
    pub fn of(&self, application: &str, instance: &InstanceView) -> Vec<InstanceLink> {
        let all =
            self.sections.iter().flat_map(|section| section.links.iter().map(move |link| (section, link)));
        all.filter_map(|(section, link)| {
            let url = self.url(&link.url, &|variable| value(variable, application, instance))?;
            Some(InstanceLink { section: section.heading.clone(), name: link.name.clone(), url })
        })
        .collect()
    }

    fn url(&self, template: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let address = match template {
            _ if template.starts_with('/') => format!("http://{{ip}}:{}", self.default_port),
            _ if template.starts_with(':') => "http://{ip}".to_owned(),
            _ => String::new(),
        };
        let whole = format!("{address}{template}");
        let mut url = String::new();
        for part in parts(&whole).ok()? {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Variable(name) => url.push_str(&encoded(name, &value(name)?)),
            }
        }
        Some(url)
    }
}

fn name_problem(path: String, name: &str) -> Option<Problem> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    (!fits).then(|| {
        Problem::new(path, format!("`{}` cannot be shown", name.escape_default()))
            .with_hint(format!("use 1 to {LONGEST_NAME} characters, without line breaks"))
    })
}

fn url_problem(path: &str, url: &str) -> Option<Problem> {
    let problem = |message: String, hint: &str| Some(Problem::new(path, message).with_hint(hint));
    if url.len() > LONGEST_URL || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return problem(
            "it has spaces or line breaks, or is too long".to_owned(),
            "write `%20` for a space, and at most 2048 characters",
        );
    }
    let parts = match parts(url) {
        Ok(parts) => parts,
        Err(rest) => {
            return problem(format!("the brace in `{rest}` is not closed"), "write variables as `{ip}`");
        }
    };
    for part in &parts {
        if let Part::Variable(name) = part
            && !VARIABLES.contains(name)
        {
            let hint = did_you_mean(name, VARIABLES).unwrap_or_else(|| {
                format!("there is {}", VARIABLES.map(|name| format!("{{{name}}}")).join(", "))
            });
            return problem(format!("there is no variable `{{{name}}}`"), &hint);
        }
    }
    if let Some(after) = url.strip_prefix(':') {
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let rest = &after[digits.len()..];
        let is_port = digits.parse::<u16>().is_ok_and(|port| port > 0);
        if !is_port || !(rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            return problem(format!("`{url}` does not begin with a port"), "write `:7002/health`");
        }
        return None;
    }
    let host = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    match host {
        _ if url.starts_with('/') && !url.starts_with("//") => None,
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => None,
        _ => problem(
            format!("`{url}` is no URL"),
            "begin it with `http://`, `https://`, `/` (the instance's default port) or `:PORT`",
        ),
    }
}

enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// The parts of a template; the rest of it from a brace that is not closed.
fn parts(template: &str) -> Result<Vec<Part<'_>>, &str> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { return Err(&rest[text.len()..]) };
        parts.push(Part::Text(text));
        parts.push(Part::Variable(name));
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// What a variable stands for; `None` when the instance has no such value.
fn value(variable: &str, application: &str, view: &InstanceView) -> Option<String> {
    let instance = &view.instance;
    match variable {
        "ip" => instance.pod_ip.clone(),
        "name" => Some(instance.name.clone()),
        "namespace" => Some(view.namespace.clone()),
        "node" => instance.node.clone(),
        "nodeIp" => instance.host_ip.clone(),
        "status" => Some(instance.status.clone()),
        "zone" => instance.zone.clone(),
        "region" => instance.region.clone(),
        "application" => Some(application.to_owned()),
        "cluster" => Some(view.cluster.clone()),
        "serverGroup" => Some(view.server_group.clone()),
        "account" => Some(view.account.clone()),
        "image" => instance.containers.iter().find(|c| c.role == "container").map(|c| c.image.clone()),
        _ => None,
    }
}

/// A value as it may stand in a URL. Addresses stand where a host does: those of IPv6 in brackets.
fn encoded(variable: &str, value: &str) -> String {
    if matches!(variable, "ip" | "nodeIp") && value.contains(':') {
        return format!("[{value}]");
    }
    value
        .bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn links(urls: &[&str]) -> InstanceLinks {
        let links: Vec<_> = urls.iter().map(|url| json!({"name": "Link", "url": url})).collect();
        serde_json::from_value(json!({"sections": [{"heading": "Health", "links": links}]})).unwrap()
    }

    fn instance(ip: Option<&str>) -> InstanceView {
        serde_json::from_value(json!({
            "cluster": "shop-prod", "serverGroup": "shop-prod-v001", "account": "west", "namespace": "prod",
            "name": "web-1", "status": "Running", "ready": true, "podIp": ip, "region": "eu-west-1",
            "containers": [{"name": "web", "role": "container", "image": "shop/web:1", "ready": true, "restarts": 0, "state": "running"}]
        }))
        .unwrap()
    }

    #[test]
    fn a_url_is_whole_or_begins_at_the_instance() {
        let links = links(&[
            "/health",
            ":7002/health",
            "https://logs.example/{region}/{namespace}?pod={name}&image={image}",
            "https://nodes.example/{node}",
        ]);
        assert_eq!(links.problems(), []);
        let of = |ip| links.of("shop", &instance(ip)).into_iter().map(|link| link.url).collect::<Vec<_>>();
        assert_eq!(
            of(Some("10.0.0.7")),
            [
                "http://10.0.0.7:80/health",
                "http://10.0.0.7:7002/health",
                "https://logs.example/eu-west-1/prod?pod=web-1&image=shop%2Fweb%3A1",
            ]
        );
        assert_eq!(of(Some("fd00::7"))[1], "http://[fd00::7]:7002/health");
        // Before it has an address, what begins at it leads nowhere.
        assert_eq!(of(None).len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_to_do() {
        let told = |url: &str| {
            links(&[url]).problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            told("http://{namspace}/"),
            "sections[0].links[0].url: there is no variable `{namspace}`; did you mean `namespace`?"
        );
        assert!(told("http://{ip").contains("the brace in `{ip` is not closed"));
        assert!(told(":70000/x").contains("does not begin with a port"));
        assert!(told("javascript:alert(1)").contains("is no URL; begin it with `http://`"));
        assert!(told("//evil.example/x").contains("is no URL"));
        assert!(told("http://x/a b").contains("%20"));
        let nameless = InstanceLinks {
            default_port: 0,
            sections: vec![LinkSection { heading: " ".into(), links: Vec::new() }],
        };
        let paths: Vec<String> = nameless.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["defaultPort", "sections[0].heading"]);
    }
}

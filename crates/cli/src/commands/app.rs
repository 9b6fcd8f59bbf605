//! `pilothouse app` and `pilothouse instances`: what an application has in its clusters (T6, T7), and the links of its
//! instances (T14).

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pilothouse_domain::instance_links::{LinkSection, LinkTemplate};
use pilothouse_serve_api::api::{
    ApplicationInstances, ApplicationView, InstanceLinks, InstanceView, List, LoadBalancerView,
    PipelineSummary, ServerGroupView,
};

use super::Session;
use crate::args::Source;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::output::table;
use crate::view::{ago, instances};

/// What can be done with applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// List the applications that have pipelines.
    Ls,
    /// Show what an application has in its clusters, as it is now.
    Show {
        /// The application.
        application: String,
    },
    /// See and edit the links of an application's instances.
    #[command(subcommand)]
    Links(LinksCommand),
}

/// What can be done with links. A URL may have variables: `{ip}`, `{name}`, `{namespace}`, `{node}`, `{region}`, …
#[derive(Debug, Subcommand)]
pub(crate) enum LinksCommand {
    /// Show the links.
    Show {
        /// The application.
        application: String,
    },
    /// Add a link, or change where it leads.
    Add {
        /// The application.
        application: String,
        /// The heading that it stands under.
        section: String,
        /// What it is called.
        name: String,
        /// `https://logs.example/?pod={name}`, `/health` (at the default port, 80) or `:7002/health`.
        url: String,
    },
    /// Remove a link, or a whole section.
    Rm {
        /// The application.
        application: String,
        /// The heading.
        section: String,
        /// The link; the whole section when absent.
        name: Option<String>,
    },
    /// Save all links from a JSON file, as `show --json` prints them.
    Set {
        /// The application.
        application: String,
        /// The file; `-` for standard input.
        #[arg(short, long)]
        file: Source,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InstancesArgs {
    /// The application.
    application: String,
    /// Only those of this cluster: `shop-prod`.
    #[arg(long)]
    cluster: Option<String>,
}

pub(crate) async fn run(session: &Session, command: AppCommand) -> Result<(), Failure> {
    match command {
        AppCommand::Ls => list(session).await,
        AppCommand::Show { application } => show(session, &application).await,
        AppCommand::Links(command) => links(session, command).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = Request::get(&["v1", "pipelines"]).query("limit", Some(100)).query("cursor", cursor);
        let page: Reply<List<PipelineSummary>> = session.client.send(request).await?;
        for pipeline in page.body.items {
            found.entry(pipeline.application).or_default().push(pipeline.pipeline);
        }
        cursor = page.body.next;
        if cursor.is_none() {
            break;
        }
    }
    let json = serde_json::to_value(&found).unwrap_or_default();
    session.output.answer(&json, || {
        let rows = found.iter().map(|(name, pipelines)| vec![name.clone(), pipelines.join(", ")]).collect();
        table(&["application", "pipelines"], rows, "no applications yet; save a pipeline first")
    });
    Ok(())
}

async fn show(session: &Session, application: &str) -> Result<(), Failure> {
    let path = ["v1", "applications", application, "clusters"];
    let reply: Reply<ApplicationView> = session.client.send(Request::get(&path)).await?;
    let now = session.now();
    session.output.answer(&reply.json, || described(&reply.body, now));
    Ok(())
}

fn described(view: &ApplicationView, now: Timestamp) -> String {
    let places = view
        .places
        .iter()
        .map(|place| format!("{}/{} ({})", place.account, place.namespace, place.environments.join(", ")));
    let groups = view.clusters.iter().flat_map(|cluster| {
        let place = format!("{}/{}", cluster.account, cluster.namespace);
        cluster.server_groups.iter().enumerate().map(move |(index, group)| {
            let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
            let mut row = vec![first(&place), first(&cluster.name)];
            row.extend(group_row(group, now));
            row
        })
    });
    let headings = [
        "place",
        "cluster",
        "server group",
        "kind",
        "ready",
        "autoscaling",
        "load balancers",
        "images",
        "created",
    ];
    let mut text = format!("runs in {}\n\n", places.collect::<Vec<_>>().join(", "));
    text += &table(
        &headings,
        groups.collect(),
        "nothing of it runs: what Pilothouse deploys is found by its label",
    );
    if !view.load_balancers.is_empty() {
        let rows = view.load_balancers.iter().map(balancer_row).collect();
        let headings = ["load balancer", "type", "selector", "ports", "ready", "not ready", "server groups"];
        text += &format!("\n\n{}", table(&headings, rows, ""));
    }
    for note in &view.notes {
        text += &format!("\n{note}");
    }
    text
}

fn group_row(group: &ServerGroupView, now: Timestamp) -> Vec<String> {
    let scaled = group.autoscaling.as_ref();
    vec![
        group.name.clone(),
        group.kind.clone(),
        format!("{}/{}", group.replicas.ready, group.replicas.wanted),
        scaled.map_or_else(|| "-".to_owned(), |s| format!("{} to {}", s.least, s.most)),
        or_dash(&group.load_balancers),
        group.images.iter().map(|image| short(image)).collect::<Vec<_>>().join(", "),
        group.created.map_or_else(|| "-".to_owned(), |at| ago(now, at)),
    ]
}

/// An image with the beginning of its digest.
fn short(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@{}", digest.chars().take(12).collect::<String>()),
        None => image.to_owned(),
    }
}

fn balancer_row(balancer: &LoadBalancerView) -> Vec<String> {
    vec![
        format!("{}/{}/{}", balancer.account, balancer.namespace, balancer.name),
        balancer.kind.clone(),
        or_dash(&balancer.selector),
        or_dash(&balancer.ports),
        balancer.ready.len().to_string(),
        balancer.not_ready.len().to_string(),
        or_dash(&balancer.server_groups),
    ]
}

fn or_dash(all: &[String]) -> String {
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

pub(crate) async fn list_instances(session: &Session, args: InstancesArgs) -> Result<(), Failure> {
    let request = Request::get(&["v1", "applications", &args.application, "instances"]);
    let request = request.query("cluster", args.cluster);
    let reply: Reply<ApplicationInstances> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || instances_in_words(&reply.body, now));
    Ok(())
}

fn instances_in_words(found: &ApplicationInstances, now: Timestamp) -> String {
    let mut groups: Vec<(String, Vec<&InstanceView>)> = Vec::new();
    for view in &found.instances {
        let heading = format!("{}/{} {} · {}", view.account, view.namespace, view.cluster, view.server_group);
        match groups.last_mut().filter(|(last, _)| *last == heading) {
            Some((_, members)) => members.push(view),
            None => groups.push((heading, vec![view])),
        }
    }
    let mut parts: Vec<String> = groups
        .iter()
        .map(|(heading, members)| {
            let pods: Vec<_> = members.iter().map(|view| view.instance.clone()).collect();
            let links = members.iter().flat_map(|view| {
                let name = &view.instance.name;
                view.links
                    .iter()
                    .map(move |link| format!("{name}  {} · {}: {}", link.section, link.name, link.url))
            });
            let lines: Vec<String> =
                [heading.clone(), instances(&pods, now)].into_iter().chain(links).collect();
            lines.join("\n")
        })
        .collect();
    if parts.is_empty() {
        parts.push("no instances".to_owned());
    }
    parts.extend(found.notes.iter().cloned());
    parts.join("\n\n")
}

async fn links(session: &Session, command: LinksCommand) -> Result<(), Failure> {
    let (application, change) = match command {
        LinksCommand::Show { application } => {
            let reply = read_links(session, &application).await?;
            session.output.answer(&reply.json, || links_in_words(&reply.body));
            return Ok(());
        }
        LinksCommand::Set { application, file } => {
            let (text, _) = super::pipeline::read(&file)?;
            let links: InstanceLinks = serde_json::from_str(&text).map_err(|error| {
                Failure::new(
                    Kind::Invalid,
                    format!("the links are not as `show --json` prints them: {error}"),
                )
            })?;
            (application, links)
        }
        LinksCommand::Add { application, section, name, url } => {
            let mut links = read_links(session, &application).await?.body;
            put(&mut links, section, LinkTemplate { name, url });
            (application, links)
        }
        LinksCommand::Rm { application, section, name } => {
            let mut links = read_links(session, &application).await?.body;
            remove(&mut links, &section, name.as_deref())?;
            (application, links)
        }
    };
    let path = ["v1", "applications", &application, "instance-links"];
    let reply: Reply<InstanceLinks> = session.client.send(Request::put(&path).json(&change)).await?;
    session.output.answer(&reply.json, || links_in_words(&reply.body));
    Ok(())
}

async fn read_links(session: &Session, application: &str) -> Result<Reply<InstanceLinks>, Failure> {
    session.client.send(Request::get(&["v1", "applications", application, "instance-links"])).await
}

/// Adds the link, in the place of one of the same name.
fn put(links: &mut InstanceLinks, heading: String, link: LinkTemplate) {
    let at = links.sections.iter().position(|section| section.heading == heading);
    let at = at.unwrap_or_else(|| {
        links.sections.push(LinkSection { heading, links: Vec::new() });
        links.sections.len() - 1
    });
    let all = &mut links.sections[at].links;
    match all.iter_mut().find(|known| known.name == link.name) {
        Some(known) => *known = link,
        None => all.push(link),
    }
}

fn remove(links: &mut InstanceLinks, heading: &str, name: Option<&str>) -> Result<(), Failure> {
    let missing = |what: String| Failure::new(Kind::NotFound, what);
    let at = links.sections.iter().position(|section| section.heading == heading);
    let at = at.ok_or_else(|| missing(format!("there is no section `{heading}`")))?;
    if let Some(name) = name {
        let all = &mut links.sections[at].links;
        let before = all.len();
        all.retain(|link| link.name != name);
        if all.len() == before {
            return Err(missing(format!("there is no link `{name}` in `{heading}`")));
        }
    }
    if name.is_none() || links.sections[at].links.is_empty() {
        links.sections.remove(at);
    }
    Ok(())
}

fn links_in_words(links: &InstanceLinks) -> String {
    let rows = links.sections.iter().flat_map(|section| {
        section.links.iter().map(|link| vec![section.heading.clone(), link.name.clone(), link.url.clone()])
    });
    table(
        &["section", "link", "url"],
        rows.collect(),
        "no links yet; add one with `pilothouse app links add`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_put_in_place_and_taken_out_with_their_last_section() {
        let mut links = InstanceLinks::default();
        let link = |url: &str| LinkTemplate { name: "Health".into(), url: url.into() };
        put(&mut links, "Checks".into(), link("/health"));
        put(&mut links, "Checks".into(), link(":7002/health"));
        assert_eq!(links_in_words(&links).lines().last().unwrap(), "Checks   Health  :7002/health");
        assert!(
            remove(&mut links, "Checks", Some("nope")).is_err() && remove(&mut links, "nope", None).is_err()
        );
        remove(&mut links, "Checks", Some("Health")).unwrap();
        assert_eq!(links, InstanceLinks::default());
    }
}

//! `deploy-server-group`: deploys a new version of a cluster beside the others, and lets it take over (T5, T7, T46 on Kubernetes).

use pilothouse_cluster::{Cluster, bind_artifacts};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use pilothouse_domain::server_group::{ClusterName, Sequence, ServerGroupName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::deploy_manifest::DeployManifest;
use super::server_groups::manifest::Template;
use super::server_groups::strategy::{Strategy, Succession, Terms, part};
use super::server_groups::{
    Group, Halt, KIND, Services, groups_in, moves, namespace, planned, selector_of, target,
};
use super::steps::{Plan, Planned, Step};
use super::{StageContext, StageType, Stepped, check, rollout};

/// The name in `type:`.
pub const NAME: &str = "deploy-server-group";

/// Stands for the environment's namespace while a pipeline is checked: it can be no real one.
const SOME_NAMESPACE: &str = "{namespace}";

/// The parts in which a rolling red/black goes, when it says none.
const PERCENTAGES: [u32; 4] = [25, 50, 75, 100];

/// What a `deploy-server-group` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Where it runs, the second part of its name: `prod`. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// What of the application it is, the third part of its name: `canary`. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// One ReplicaSet, as YAML or JSON, and with it one HorizontalPodAutoscaler if it has one. Their names, and the labels by which
    /// the ReplicaSet selects its pods, are the server group's; images of the release's artifacts are pinned by digest.
    pub manifest: String,
    /// The artifacts that must have taken their place in some container, by name; otherwise the stage fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_artifacts: Vec<String>,
    /// The Services that send it traffic, by name. They must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// How many pods: a number, or `previous` for as many as the one that serves now has. What the manifest says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// What becomes of those before it.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether it gets traffic at once, with `strategy: none`; `enable-server-group` gives it later.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The parts in which a rolling red/black goes, in percent, rising to 100; 25, 50, 75, 100 when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentages: Vec<u32>,
    /// The time after each part but the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_between: Option<Span>,
    /// The time in which the new one and those before it serve together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_before_disable: Option<Span>,
    /// Scale those before it to 0 once they are disabled.
    #[serde(default)]
    pub scale_down: bool,
    /// The time between disabling and scaling down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_before_scale_down: Option<Span>,
    /// How many server groups may remain, the new one included; the oldest are destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_remaining: Option<u32>,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Evaluate `${ … }` in the manifest. Without it, it is taken as it is.
    #[serde(default)]
    pub render: bool,
}

/// How many pods a new server group has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Capacity {
    /// So many.
    Exact(u32),
    /// `previous`, or an expression that gives a number.
    Text(String),
}

impl Capacity {
    /// The number, once its expression is evaluated; `None` for `previous`.
    fn number(&self) -> Result<Option<u32>, String> {
        match self {
            Self::Exact(number) => Ok(Some(*number)),
            Self::Text(text) if text.trim() == "previous" => Ok(None),
            Self::Text(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| format!("`{text}` is no capacity: write a number of pods, or `previous`")),
        }
    }
}

const fn yes() -> bool {
    true
}

/// Deploys a server group.
#[derive(Debug, Clone, Copy)]
pub struct DeployServerGroup;

impl StageType for DeployServerGroup {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Deploys a new server group (`app-stack-detail-vNNN`) and lets it take over from those before it.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T5, T7, T46, T52, T53, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives those before it their traffic, size and autoscaling back, creates anew those it destroyed, and deletes the new one."
    }

    fn timeout(&self, options: &Value) -> Span {
        let parsed: Option<Options> = serde_json::from_value(options.clone()).ok();
        let held = parsed.map_or(0, |options| options.held_seconds());
        Span::from_millis(rollout::TIMEOUT.as_millis() + held * 1000)
    }

    fn verbatim(&self, options: &Map<String, Value>) -> &'static [&'static str] {
        verbatim(options)
    }

    fn lacks(&self, options: &Map<String, Value>, artifacts: &[Artifact]) -> Option<String> {
        DeployManifest.lacks(options, artifacts)
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(plan(stage, &stage.options()?).await) })
    }
}

impl Options {
    fn percentages(&self) -> Vec<u32> {
        if self.percentages.is_empty() { PERCENTAGES.to_vec() } else { self.percentages.clone() }
    }

    /// How long it only lets time pass.
    fn held_seconds(&self) -> u64 {
        let seconds = |delay: Option<Span>| delay.map_or(0, |delay| delay.as_millis().div_ceil(1000));
        let parts = u64::try_from(self.percentages().len().saturating_sub(1)).unwrap_or(0);
        let between = match self.strategy {
            Strategy::RollingRedBlack => seconds(self.delay_between) * parts,
            _ => 0,
        };
        between + seconds(self.delay_before_disable) + seconds(self.delay_before_scale_down)
    }

    /// The keys that say something that its strategy does not do.
    fn misplaced(&self) -> Option<Problem> {
        use Strategy::{Highlander, None as Nothing, RedBlack, RollingRedBlack};
        let given: [(&str, bool, &[Strategy]); 7] = [
            ("percentages", !self.percentages.is_empty(), &[RollingRedBlack]),
            ("delayBetween", self.delay_between.is_some(), &[RollingRedBlack]),
            (
                "delayBeforeDisable",
                self.delay_before_disable.is_some(),
                &[RedBlack, RollingRedBlack, Highlander],
            ),
            ("scaleDown", self.scale_down, &[RedBlack, RollingRedBlack]),
            ("delayBeforeScaleDown", self.delay_before_scale_down.is_some(), &[RedBlack, RollingRedBlack]),
            ("maxRemaining", self.max_remaining.is_some(), &[RedBlack, RollingRedBlack]),
            ("enabled", !self.enabled, &[Nothing]),
        ];
        let (key, _, of) = given.into_iter().find(|(_, given, of)| *given && !of.contains(&self.strategy))?;
        let names: Vec<String> = of.iter().map(|s| format!("`{}`", written(*s))).collect();
        Some(
            Problem::new(key, format!("strategy `{}` does not take it", written(self.strategy)))
                .with_hint(format!("leave it out, or use {}", names.join(" or "))),
        )
    }
}

fn written(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::None => "none",
        Strategy::RedBlack => "red-black",
        Strategy::RollingRedBlack => "rolling-red-black",
        Strategy::Highlander => "highlander",
    }
}

fn verbatim(options: &Map<String, Value>) -> &'static [&'static str] {
    if options.get("render") == Some(&Value::Bool(true)) { &[] } else { &["manifest"] }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, verbatim(options));
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    if !parsed.render || !check::has_expression(&parsed.manifest) {
        problems.extend(
            Template::read(&parsed.manifest, SOME_NAMESPACE).err().map(|told| Problem::new("manifest", told)),
        );
    }
    for (index, name) in parsed.required_artifacts.iter().enumerate() {
        problems.extend(check::artifact(&format!("requiredArtifacts[{index}]"), name, scope));
    }
    // The application is the pipeline's, whose name was checked with it; any will do to check the others.
    let known = |part: &Option<String>| part.clone().filter(|text| !check::has_expression(text));
    for (path, stack, detail) in
        [("stack", known(&parsed.stack), None), ("detail", None, known(&parsed.detail))]
    {
        let name = ClusterName::new("app", stack.as_deref(), detail.as_deref());
        problems.extend(name.err().map(|error| Problem::new(path, error.to_string())));
    }
    for (index, name) in parsed.services.iter().enumerate() {
        problems.extend(target::name(&format!("services[{index}]"), name));
    }
    if parsed.services.is_empty() && parsed.strategy != Strategy::None {
        let strategy = written(parsed.strategy);
        problems.push(
            Problem::new(
                "services",
                format!("strategy `{strategy}` moves the traffic of Services, and none is named"),
            )
            .with_hint("name the Services that send traffic to it"),
        );
    }
    let told = parsed.capacity.as_ref().and_then(|capacity| match capacity {
        Capacity::Text(text) if check::has_expression(text) => None,
        known => known.number().err(),
    });
    problems.extend(told.map(|told| Problem::new("capacity", told)));
    problems.extend(percentages(&parsed.percentages));
    problems.extend(parsed.misplaced());
    problems
}

fn percentages(parts: &[u32]) -> Option<Problem> {
    let rising = parts.windows(2).all(|pair| pair[0] < pair[1]);
    let bounded =
        parts.first().is_none_or(|first| *first > 0) && parts.last().is_none_or(|last| *last == 100);
    (!rising || !bounded).then(|| {
        Problem::new("percentages", "they must rise, from above 0 to 100")
            .with_hint("write such as [10, 50, 100]")
    })
}

/// What it is going to be called, and what is there.
struct Line {
    name: ServerGroupName,
    /// The newest first.
    before: Vec<Group>,
}

async fn plan(stage: &StageContext<'_>, options: &Options) -> Result<Plan, Halt> {
    let namespace = namespace(stage, options.namespace.as_deref());
    let cluster = stage.cluster().await?;
    let (template, images) = template(stage, options, namespace)?;
    let services = Services::read(&cluster, namespace, &options.services).await?;
    if let Some(reason) = template.conflict(&services) {
        return Err(Halt::Refused(reason));
    }
    let traffic = services.labels()?;
    let line = line(stage, options, &cluster, namespace).await?;
    let names = options.services.iter().chain(line.before.iter().flat_map(|group| &group.services));
    let all_services = Services::existing(&cluster, namespace, names).await?;
    let replicas = capacity(options, &template, &line.before, &all_services)?;
    let first = match options.strategy {
        Strategy::RollingRedBlack => part(replicas, options.percentages().first().copied().unwrap_or(100)),
        _ => replicas,
    };
    // With a strategy it gets traffic once all of it is ready: a version that does not start never gets any.
    let serves = options.strategy == Strategy::None && options.enabled;
    let content = template.server_group(&line.name, first, &services, (&traffic, serves));
    let mut new = Group::of(&content)
        .ok_or_else(|| Halt::Refused("the ReplicaSet cannot be read back from its manifest".to_owned()))?;
    new.replicas = replicas;
    let mut steps =
        vec![Step::Create { content: content.clone() }, Step::Ready { object: new.object.clone() }];
    if serves {
        steps.extend(moves::routed(&new, &services, replicas));
    }
    let succession = Succession {
        cluster: &cluster,
        new: &new,
        before: &line.before,
        services: &services,
        all_services: &all_services,
    };
    steps.extend(succession.steps(options.strategy, &terms(stage, options)).await?);
    // Only now: before, it would change the size that a strategy sets.
    steps.extend(template.autoscaler(&line.name).map(|content| Step::Create { content }));
    let previous: Vec<&str> = line.before.iter().map(Group::name).collect();
    let output = json!({
        "serverGroup": line.name.to_string(), "cluster": line.name.cluster().to_string(), "namespace": namespace,
        "sequence": line.name.sequence().number(), "replicas": replicas, "images": images, "services": services.names(),
        "strategy": written(options.strategy), "previous": previous,
    });
    Ok(Plan { steps, output })
}

fn terms(stage: &StageContext<'_>, options: &Options) -> Terms {
    Terms {
        percentages: options.percentages(),
        delay_between: options.delay_between,
        delay_before_disable: options.delay_before_disable,
        scale_down: options.scale_down,
        delay_before_scale_down: options.delay_before_scale_down,
        max_remaining: options.max_remaining,
        guard: stage.traffic_guard(),
    }
}

/// The manifest with the release's artifacts in it, and the images that took their place.
fn template(
    stage: &StageContext<'_>,
    options: &Options,
    namespace: &str,
) -> Result<(Template, Vec<String>), Halt> {
    let mut template =
        Template::read(&options.manifest, namespace).map_err(|told| format!("manifest: {told}"))?;
    let set = std::slice::from_mut(&mut template.set);
    let bound = bind_artifacts(set, &stage.release.artifacts, &options.required_artifacts)
        .map_err(|error| format!("requiredArtifacts: {}", error.problem))?;
    let mut images: Vec<String> = bound.into_iter().map(|bound| bound.to).collect();
    images.sort_unstable();
    images.dedup();
    template.set.object.namespace = Some(namespace.to_owned());
    template.set.content["metadata"]["namespace"] = Value::from(namespace);
    Ok((template, images))
}

async fn line(
    stage: &StageContext<'_>,
    options: &Options,
    cluster: &Cluster,
    namespace: &str,
) -> Result<Line, Halt> {
    let application = &stage.release.application;
    let name = ClusterName::new(application, options.stack.as_deref(), options.detail.as_deref())
        .map_err(|error| error.to_string())?;
    let found = cluster.select(KIND, namespace, Some(&selector_of(&name.to_string()))).await?;
    let before = groups_in(&found);
    let number = |name: &str| Some(ServerGroupName::parse_of(application, name)?.sequence());
    // One that is still being deleted has its number, and no traffic any more.
    let names = found.iter().filter_map(|live| live["metadata"]["name"].as_str());
    let taken: Vec<Sequence> = names.filter_map(number).collect();
    let newest = before.iter().find_map(|group| number(group.name()));
    let next = Sequence::next(newest, &taken).ok_or_else(|| {
        format!("cluster {namespace}/{name} has server groups of all numbers, v000 to v999: destroy some")
    })?;
    Ok(Line { name: name.server_group(next), before })
}

/// How many pods it is to have.
fn capacity(
    options: &Options,
    template: &Template,
    before: &[Group],
    services: &Services,
) -> Result<u32, Halt> {
    let Some(capacity) = &options.capacity else { return Ok(template.replicas()) };
    if let Some(number) = capacity.number()? {
        return Ok(number);
    }
    let serving = before.iter().find(|group| group.is_enabled(services)).or_else(|| before.first());
    Ok(serving.map_or_else(|| template.replicas(), |group| group.replicas))
}

//! A running simulated cluster and how it is built.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Clock, Denial, Fault, ImageRule, RequestRecord, SimError, SimServer, SimService, TokioClock,
    access::Identity,
    api,
    controllers::{self, Settings},
    faults::Faults,
    kinds,
    requests::Requests,
    status::ApiError,
    store::Core,
    write::Options,
};

/// What the API server, its connections and this handle share.
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    faults: Mutex<Faults>,
    requests: Mutex<Requests>,
    denials: Mutex<Vec<Denial>>,
    rules: watch::Sender<Vec<ImageRule>>,
    /// Whether the API server answers nothing but 503.
    pub(crate) down: watch::Sender<bool>,
    /// Changes when every open watch is to end.
    pub(crate) dropped: watch::Sender<u64>,
    /// Who holds which bearer token.
    pub(crate) tokens: HashMap<String, Identity>,
    controllers: JoinHandle<()>,
}

impl Shared {
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The denials in force.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.controllers.abort();
    }
}

/// A handle to a running cluster. Clones are the same cluster; it ends with the last clone and the last service made from it.
#[derive(Clone)]
pub struct SimCluster {
    shared: Arc<Shared>,
}

impl SimCluster {
    /// Starts to describe a cluster.
    #[must_use]
    pub fn builder() -> SimClusterBuilder {
        SimClusterBuilder::default()
    }

    /// The API server as a tower service, for `kube::Client::new(cluster.service(), "default")`: no socket, no token.
    /// Whoever uses it may do everything that no [`Denial`] forbids.
    #[must_use]
    pub fn service(&self) -> SimService {
        self.entrance(Identity::admin())
    }

    /// The same for a user who may do what the Roles and `ClusterRoles` stored in the cluster grant: `jane`, or a service account by its full
    /// name (`system:serviceaccount:NAMESPACE:NAME`).
    #[must_use]
    pub fn service_as(&self, user: &str) -> SimService {
        self.entrance(Identity::named(user))
    }

    fn entrance(&self, identity: Identity) -> SimService {
        SimService::new(api::router(Arc::clone(&self.shared), api::Entrance::Trusted(identity)))
    }

    /// Serves the API on `listener` until the returned server is dropped or shut down. Asks for the builder's token, if one was given.
    ///
    /// # Errors
    /// [`SimError::Listen`] when the listener has no local address.
    #[expect(
        clippy::unused_async,
        reason = "spawns on the caller's runtime, which an async signature makes plain"
    )]
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> Result<SimServer, SimError> {
        SimServer::start(Arc::clone(&self.shared), listener)
    }

    /// A kubeconfig (YAML) for a server at `addr`, with the context `sim`.
    #[must_use]
    pub fn kubeconfig(&self, addr: SocketAddr, token: Option<&str>) -> String {
        let user = token.map_or_else(|| "{}".to_owned(), |t| format!("{{token: {}}}", json!(t)));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: sim\n\
             clusters:\n- name: sim\n  cluster: {{server: \"http://{addr}\"}}\n\
             users:\n- name: sim\n  user: {user}\n\
             contexts:\n- name: sim\n  context: {{cluster: sim, user: sim, namespace: default}}\n"
        )
    }

    /// Injects a fault for requests to come.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults().inject(fault);
    }

    /// Forgets the faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// While down, every request is answered with 503 and watches end (the controllers go on, as nodes do without an API server that is reachable).
    pub fn set_down(&self, down: bool) {
        self.shared.down.send_replace(down);
    }

    /// Ends every watch that is open, without a word, as a restart of the API server does.
    pub fn drop_watches(&self) {
        self.shared.dropped.send_modify(|n| *n += 1);
    }

    /// Forgets the changes so far, as etcd's compaction does: a watch that goes on from before now is told 410 Gone.
    pub fn compact(&self) {
        self.shared.core.transact(|tx| tx.compact());
    }

    /// Forbids what fits the denial, for everybody, from now on. Reviews of one's own permissions tell so.
    pub fn deny(&self, denial: Denial) {
        self.shared.denials.lock().unwrap_or_else(PoisonError::into_inner).push(denial);
    }

    /// Takes all denials back.
    pub fn clear_denials(&self) {
        self.shared.denials.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The requests answered so far, oldest first (the last 100,000 at most).
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.requests().all().to_vec()
    }

    /// How many of the requests so far are such ones: `cluster.count_requests(RequestRecord::is_unselective)`.
    #[must_use]
    pub fn count_requests(&self, such: impl Fn(&RequestRecord) -> bool) -> usize {
        self.shared.requests().all().iter().filter(|r| such(r)).count()
    }

    /// The requests that asked for a change, oldest first; dry runs are left out.
    #[must_use]
    pub fn writes(&self) -> Vec<RequestRecord> {
        self.shared.requests().all().iter().filter(|r| r.is_write()).cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.requests().clear();
    }

    /// Replaces the image rules of the builder. Those of the ConfigMap `kube-system/sim-images` come after them.
    pub fn set_rules(&self, rules: Vec<ImageRule>) {
        self.shared.rules.send_replace(rules);
    }

    /// The object of a kind (`Deployment`) as it is stored now, without a request. `ns` is "" for cluster-scoped kinds.
    #[must_use]
    pub fn get(&self, kind: &str, ns: &str, name: &str) -> Option<Value> {
        let found = self.shared.core.transact(|tx| tx.get(&tx.named(kind)?.resource, ns, name));
        found.map(|o| Value::clone(&o))
    }

    /// The objects of a kind as they are stored now, ordered by namespace and name; of all namespaces when `ns` is "".
    #[must_use]
    pub fn list(&self, kind: &str, ns: &str) -> Vec<Value> {
        let objects = self
            .shared
            .core
            .transact(|tx| tx.named(kind).map_or_else(Vec::new, |kind| tx.list(&kind.resource, ns)));
        objects.iter().map(|o| Value::clone(o)).collect()
    }

    /// Waits until `holds` is true of the object (`None` while it does not exist) and returns it as it was then. It looks again after each
    /// change to the cluster, and has no deadline of its own: wrap it in `tokio::time::timeout`.
    pub async fn until(
        &self,
        kind: &str,
        ns: &str,
        name: &str,
        holds: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let mut changes = self.shared.core.subscribe();
        loop {
            changes.borrow_and_update();
            let object = self.get(kind, ns, name);
            if holds(object.as_ref()) || changes.changed().await.is_err() {
                return object;
            }
        }
    }
}

impl std::fmt::Debug for SimCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCluster").finish_non_exhaustive()
    }
}

/// Describes a cluster; `build` starts it.
pub struct SimClusterBuilder {
    speed: f64,
    file: Option<PathBuf>,
    namespaces: Vec<String>,
    rules: Vec<ImageRule>,
    clock: Option<Arc<dyn Clock>>,
    seed: u64,
    tokens: HashMap<String, Identity>,
    history: usize,
    absent: BTreeSet<String>,
    nodes: usize,
}

impl Default for SimClusterBuilder {
    fn default() -> Self {
        Self {
            speed: 1.0,
            file: None,
            namespaces: Vec::new(),
            rules: Vec::new(),
            clock: None,
            seed: 0,
            tokens: HashMap::new(),
            history: 4096,
            absent: BTreeSet::new(),
            nodes: 1,
        }
    }
}

impl SimClusterBuilder {
    /// Divides every delay of the controllers and nodes, deadlines and back-offs included. 1 is real time; below or at 0 counts as 1.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = if speed > 0.0 { speed } else { 1.0 };
        self
    }

    /// Keeps the cluster in this SQLite file and goes on from what is in it. In memory otherwise.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Namespaces that exist from the start, beside `default` and `kube-system`.
    #[must_use]
    pub fn namespaces<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.namespaces.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds an image rule; the first that matches wins.
    #[must_use]
    pub fn rule(mut self, rule: ImageRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Where timestamps come from; the machine's time moved by tokio's when not given.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The seed of names, ids and delays; 0 when not given.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The bearer token that [`SimCluster::serve`] asks for; none is asked for when not given.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.insert(token.into(), Identity::admin());
        self
    }

    /// A bearer token that [`SimCluster::serve`] accepts as that of a user, who may do what the stored Roles grant. Whoever has none is then
    /// refused with 401.
    #[must_use]
    pub fn user(mut self, token: impl Into<String>, user: &str) -> Self {
        self.tokens.insert(token.into(), Identity::named(user));
        self
    }

    /// Leaves a resource out, by its plural with its group, as in a cluster without those definitions: `httproutes.gateway.networking.k8s.io`.
    #[must_use]
    pub fn without(mut self, resource: impl Into<String>) -> Self {
        self.absent.insert(resource.into());
        self
    }

    /// How many nodes there are, `sim-node-1` and so on; one when not given.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// How many changes a watch may lie behind before it is told 410 Gone; 4,096 when not given.
    #[must_use]
    pub fn watch_history(mut self, changes: usize) -> Self {
        self.history = changes;
        self
    }

    /// Opens the store and starts the controllers on the current tokio runtime.
    ///
    /// # Errors
    /// [`SimError::Open`] or [`SimError::Damaged`] for an unusable file, [`SimError::Namespace`] for a name that no namespace can have.
    #[expect(
        clippy::unused_async,
        reason = "spawns on the caller's runtime, which an async signature makes plain"
    )]
    pub async fn build(self) -> Result<SimCluster, SimError> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(TokioClock::from_system_time()));
        let core = Arc::new(Core::open(self.file.as_deref(), clock, self.seed, self.history, self.absent)?);
        let names = ["default", "kube-system"].into_iter().map(str::to_owned).chain(self.namespaces);
        for name in names {
            ensure(&core, &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
                .map_err(|e| SimError::Namespace { name, message: e.message })?;
        }
        let (rules, receiver) = watch::channel(self.rules);
        let settings = Settings { speed: self.speed, nodes: self.nodes, rules: receiver };
        let controllers = controllers::start(Arc::clone(&core), settings);
        let (down, _) = watch::channel(false);
        let shared = Shared {
            core,
            faults: Mutex::default(),
            requests: Mutex::default(),
            denials: Mutex::default(),
            rules,
            down,
            dropped: watch::channel(0).0,
            tokens: self.tokens,
            controllers,
        };
        Ok(SimCluster { shared: Arc::new(shared) })
    }
}

/// Creates the namespace unless it exists.
fn ensure(core: &Core, namespace: &Value) -> Result<(), ApiError> {
    let kind = kinds::of("namespaces");
    let options = Options::by("kube-apiserver");
    match core.transact(|tx| tx.create(kind, "", namespace.clone(), &options)) {
        Ok(_) => Ok(()),
        Err(error) if error.reason == "AlreadyExists" => Ok(()),
        Err(error) => Err(error),
    }
}

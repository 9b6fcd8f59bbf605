//! Every object in memory, the log of changes that watches and controllers read, and the file behind.

mod disk;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::{SimError, clock::Clock, custom, json, kinds, kinds::Kind, rng::Rng, write::allocate};
use disk::Disk;

/// The identity of an object: resource (`deployments.apps`), namespace ("" when cluster-scoped), name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) resource: &'static str,
    pub(crate) ns: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: &'static Kind, ns: &str, name: &str) -> Self {
        Self { resource: &kind.resource, ns: ns.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn of(resource: &'static str, object: &Value) -> Self {
        Self { resource, ns: json::namespace(object).to_owned(), name: json::name(object).to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) resource: &'static str,
    pub(crate) object: Arc<Value>,
    pub(crate) previous: Option<Arc<Value>>,
}

type Objects = BTreeMap<(String, String), Arc<Value>>;

pub(crate) struct State {
    objects: BTreeMap<&'static str, Objects>,
    by_uid: HashMap<String, Key>,
    by_owner: HashMap<String, BTreeSet<Key>>,
    version: u64,
    log: VecDeque<Change>,
    history: usize,
    pub(crate) rng: Rng,
    /// The last address that was given away; see `write::allocate`.
    pub(crate) addresses: u32,
    /// Events recorded since the old ones were looked for.
    pub(crate) events: u32,
    /// Kinds that definitions stored in this cluster make, and resources that it lacks.
    custom: Vec<&'static Kind>,
    absent: BTreeSet<String>,
    disk: Option<Disk>,
    broken: Option<String>,
}

/// The store and what it needs; shared by the API server and the controllers.
pub(crate) struct Core {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl Core {
    /// An empty store, or what the file holds.
    pub(crate) fn open(
        file: Option<&Path>,
        clock: Arc<dyn Clock>,
        seed: u64,
        history: usize,
        absent: BTreeSet<String>,
    ) -> Result<Self, SimError> {
        let mut state = State {
            objects: BTreeMap::new(),
            by_uid: HashMap::new(),
            by_owner: HashMap::new(),
            version: 0,
            log: VecDeque::new(),
            history: history.max(1),
            rng: Rng::new(seed),
            addresses: 0,
            events: 0,
            custom: Vec::new(),
            absent,
            disk: None,
            broken: None,
        };
        if let Some(path) = file {
            let (disk, loaded) = Disk::open(path)?;
            state.version = loaded.version;
            // Names and ids made after a restart must differ from those made before.
            state.rng = Rng::new(seed ^ loaded.version.rotate_left(32));
            for definition in loaded.objects.iter().filter(|o| o["kind"] == "CustomResourceDefinition") {
                state.custom.extend(custom::kinds_of(definition));
            }
            for object in loaded.objects {
                if let Some(kind) = state.kind_of(&object) {
                    state.insert(Key::of(&kind.resource, &object), Arc::new(object));
                }
            }
            state.addresses = allocate::last_used(state.objects.values().flat_map(Objects::values));
            state.disk = Some(disk);
        }
        let (changed, _) = watch::channel(state.version);
        Ok(Self { state: Mutex::new(state), changed, clock })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a test's closure must not hide behind poisoned locks everywhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` alone on the store; its writes go to the file together and are announced at the end.
    pub(crate) fn transact<R>(&self, work: impl FnOnce(&mut Tx<'_>) -> R) -> R {
        let mut state = self.lock();
        let before = state.version;
        let now = self.clock.now();
        let result = work(&mut Tx { state: &mut state, now });
        let after = state.version;
        if after != before {
            if let Some(disk) = &mut state.disk
                && let Err(error) = disk.commit(after)
            {
                state.break_down(&error);
            }
            drop(state);
            self.changed.send_replace(after);
        }
        result
    }

    /// Announces every new version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Why a position in the log cannot be read any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooOld {
    pub(crate) oldest: u64,
}

impl State {
    /// The kind of a stored object.
    fn kind_of(&self, object: &Value) -> Option<&'static Kind> {
        let (version, name) = (json::text(object, "/apiVersion"), json::text(object, "/kind"));
        let fits = |k: &&'static Kind| k.kind == name && k.api_version() == version;
        kinds::all().iter().find(fits).or_else(|| self.custom.iter().copied().find(|k| fits(k)))
    }

    fn insert(&mut self, key: Key, object: Arc<Value>) {
        self.by_uid.insert(json::uid(&object).to_owned(), key.clone());
        for owner in json::items(&object, "/metadata/ownerReferences") {
            self.by_owner.entry(json::text(owner, "/uid").to_owned()).or_default().insert(key.clone());
        }
        self.objects.entry(key.resource).or_default().insert((key.ns, key.name), object);
    }

    fn take(&mut self, key: &Key) -> Option<Arc<Value>> {
        let object = self.objects.get_mut(key.resource)?.remove(&(key.ns.clone(), key.name.clone()))?;
        self.by_uid.remove(json::uid(&object));
        for owner in json::items(&object, "/metadata/ownerReferences") {
            let uid = json::text(owner, "/uid");
            if let Some(children) = self.by_owner.get_mut(uid) {
                children.remove(key);
                if children.is_empty() {
                    self.by_owner.remove(uid);
                }
            }
        }
        Some(object)
    }

    fn break_down(&mut self, error: &rusqlite::Error) {
        tracing::error!(%error, "the cluster file cannot be written");
        self.broken = Some(error.to_string());
    }

    fn log(&mut self, change: Change) {
        if self.log.len() >= self.history {
            self.log.pop_front();
        }
        self.log.push_back(change);
    }
}

/// Access to the store while nobody else has it.
pub(crate) struct Tx<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Timestamp,
}

impl Tx<'_> {
    pub(crate) fn version(&self) -> u64 {
        self.state.version
    }

    /// Every kind that this cluster serves, in the order of discovery.
    pub(crate) fn kinds(&self) -> Vec<&'static Kind> {
        let here = |k: &&'static Kind| !self.state.absent.contains(&k.resource);
        kinds::all().iter().filter(here).chain(self.state.custom.iter().copied()).collect()
    }

    /// The kind served at `/apis/{group}/{version}/{plural}`.
    pub(crate) fn served_at(&self, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
        let fits = |k: &&'static Kind| k.group == group && k.version == version && k.plural == plural;
        let built_in = kinds::all().iter().find(fits).filter(|k| !self.state.absent.contains(&k.resource));
        built_in.or_else(|| self.state.custom.iter().copied().find(|k| fits(k)))
    }

    /// The kind of an object that is stored.
    pub(crate) fn kind_of(&self, object: &Value) -> Option<&'static Kind> {
        self.state.kind_of(object)
    }

    /// The kind of this name (`Deployment`).
    pub(crate) fn named(&self, name: &str) -> Option<&'static Kind> {
        self.kinds().into_iter().find(|k| k.kind == name)
    }

    /// Serves what a definition says from now on, or no longer.
    fn define(&mut self, definition: &Value, present: bool) {
        let resource = json::name(definition).to_owned();
        self.state.custom.retain(|k| k.resource != resource);
        if present {
            self.state.custom.extend(custom::kinds_of(definition));
        }
    }

    /// Why the file cannot be written, if so.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.state.broken.as_deref()
    }

    /// The present moment as Kubernetes writes it: RFC 3339 in whole seconds.
    pub(crate) fn stamp(&self) -> String {
        crate::clock::stamp(self.now)
    }

    pub(crate) fn get(&self, resource: &str, ns: &str, name: &str) -> Option<Arc<Value>> {
        self.state.objects.get(resource)?.get(&(ns.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn get_key(&self, key: &Key) -> Option<Arc<Value>> {
        self.get(key.resource, &key.ns, &key.name)
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.state.by_uid.get(uid)
    }

    /// The objects of a resource, ordered by namespace and name; of one namespace only when `ns` is not empty.
    pub(crate) fn list(&self, resource: &str, ns: &str) -> Vec<Arc<Value>> {
        let Some(objects) = self.state.objects.get(resource) else { return Vec::new() };
        if ns.is_empty() {
            return objects.values().cloned().collect();
        }
        let from = (ns.to_owned(), String::new());
        objects.range(from..).take_while(|((n, _), _)| n == ns).map(|(_, o)| Arc::clone(o)).collect()
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let Some(keys) = self.state.by_owner.get(uid) else { return Vec::new() };
        keys.iter().filter_map(|k| Some((k.clone(), self.get_key(k)?))).collect()
    }

    /// The objects of `resource` that `uid` controls.
    pub(crate) fn controlled(&self, resource: &str, uid: &str) -> Vec<Arc<Value>> {
        let all = self.dependents(uid).into_iter();
        all.filter(|(k, o)| k.resource == resource && json::is_controlled_by(o, uid))
            .map(|(_, o)| o)
            .collect()
    }

    /// Stores an object under a new version, which it carries afterwards.
    pub(crate) fn put(&mut self, kind: &'static Kind, mut object: Value) -> Arc<Value> {
        let key = Key::of(&kind.resource, &object);
        self.state.version += 1;
        json::set(&mut object, "/metadata/resourceVersion", self.state.version.to_string());
        if kind.is(custom::DEFINITIONS) {
            self.define(&object, true);
        }
        let object = Arc::new(object);
        let previous = self.state.take(&key);
        if let Some(disk) = &mut self.state.disk
            && let Err(error) = disk.put(key.resource, &key.ns, &key.name, &object)
        {
            self.state.break_down(&error);
        }
        let change_kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        let resource = key.resource;
        self.state.insert(key, Arc::clone(&object));
        let version = self.state.version;
        self.state.log(Change {
            version,
            kind: change_kind,
            resource,
            object: Arc::clone(&object),
            previous,
        });
        object
    }

    /// Removes an object; returns its last state under the version of its removal.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let previous = self.state.take(key)?;
        if key.resource == custom::DEFINITIONS {
            // What was defined goes with its definition.
            let kind = self.state.custom.iter().copied().find(|k| k.resource == key.name);
            for object in kind.map_or_else(Vec::new, |k| self.list(&k.resource, "")) {
                if let Some(kind) = kind {
                    self.remove(&Key::of(&kind.resource, &object));
                }
            }
            self.define(&previous, false);
        }
        self.state.version += 1;
        let mut last = Value::clone(&previous);
        json::set(&mut last, "/metadata/resourceVersion", self.state.version.to_string());
        let last = Arc::new(last);
        if let Some(disk) = &mut self.state.disk
            && let Err(error) = disk.remove(key.resource, &key.ns, &key.name)
        {
            self.state.break_down(&error);
        }
        let version = self.state.version;
        self.state.log(Change {
            version,
            kind: ChangeKind::Deleted,
            resource: key.resource,
            object: Arc::clone(&last),
            previous: Some(previous),
        });
        Some(last)
    }

    /// Forgets the log of changes.
    pub(crate) fn compact(&mut self) {
        self.state.log.clear();
    }

    /// The changes after `version`.
    pub(crate) fn changes_since(&self, version: u64) -> Result<Vec<Change>, TooOld> {
        if version >= self.state.version {
            return Ok(Vec::new());
        }
        let oldest = self.state.log.front().map_or(self.state.version + 1, |c| c.version);
        if version + 1 < oldest {
            return Err(TooOld { oldest: oldest - 1 });
        }
        let start = self.state.log.partition_point(|c| c.version <= version);
        Ok(self.state.log.range(start..).cloned().collect())
    }
}

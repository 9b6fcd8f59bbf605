//! Creating, updating and describing state machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Engine, lock};
use crate::definition::Machine;
use crate::{Error, StateMachine};

/// The role of machines that were created without one; nothing is ever assumed.
const NO_ROLE: &str = "arn:aws:iam::123456789012:role/none";

/// A stored machine.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) arn: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) definition: Arc<str>,
    pub(super) role_arn: Arc<str>,
    pub(super) compiled: Arc<Machine>,
    created_ms: i64,
    revision: u64,
}

/// All machines, by ARN.
#[derive(Default)]
pub(super) struct Machines(BTreeMap<Arc<str>, Arc<Stored>>);

impl Machines {
    pub(super) fn get(&self, arn: &str) -> Result<Arc<Stored>, Error> {
        if !arn.starts_with("arn:") || !arn.contains(":stateMachine:") {
            return Err(Error::InvalidArn { arn: arn.to_owned() });
        }
        self.0.get(arn).cloned().ok_or_else(|| Error::StateMachineDoesNotExist { arn: arn.to_owned() })
    }
}

impl Stored {
    fn describe(&self) -> StateMachine {
        StateMachine {
            arn: Arc::clone(&self.arn),
            name: Arc::clone(&self.name),
            definition: Arc::clone(&self.definition),
            role_arn: Arc::clone(&self.role_arn),
            created_ms: self.created_ms,
            revision: self.revision,
        }
    }
}

impl Engine {
    /// Creates a machine and answers its ARN. Creating it again with the same definition is harmless.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] with every problem; [`Error::InvalidName`];
    /// [`Error::StateMachineAlreadyExists`] when the name has another definition.
    pub fn create_state_machine(&self, name: &str, definition: &str) -> Result<Arc<str>, Error> {
        Ok(self.create_state_machine_as(name, definition, NO_ROLE)?.arn)
    }

    /// The same with a role, which is only shown.
    ///
    /// # Errors
    /// Those of [`Engine::create_state_machine`].
    pub fn create_state_machine_as(
        &self,
        name: &str,
        definition: &str,
        role_arn: &str,
    ) -> Result<StateMachine, Error> {
        self.inner.check_open()?;
        check_name(name)?;
        let settings = &self.inner.settings;
        let arn: Arc<str> =
            format!("arn:aws:states:{}:{}:stateMachine:{name}", settings.region, settings.account).into();
        let compiled = Arc::new(Machine::compile(definition)?);
        let mut machines = lock(&self.inner.machines);
        if let Some(existing) = machines.0.get(&arn) {
            return match *existing.definition == *definition {
                true => Ok(existing.describe()),
                false => Err(Error::StateMachineAlreadyExists { arn: arn.to_string() }),
            };
        }
        let stored = Stored {
            arn: Arc::clone(&arn),
            name: name.into(),
            definition: definition.into(),
            role_arn: role_arn.into(),
            compiled,
            created_ms: self.inner.clock.now_ms(),
            revision: 1,
        };
        let described = stored.describe();
        machines.0.insert(arn, Arc::new(stored));
        Ok(described)
    }

    /// Replaces a machine's definition. Executions that run keep the one that they were started with.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`], [`Error::StateMachineDoesNotExist`], [`Error::InvalidArn`].
    pub fn update_state_machine(&self, arn: &str, definition: &str) -> Result<(), Error> {
        self.update_state_machine_as(arn, Some(definition), None).map(drop)
    }

    /// The same for the definition, the role, or both.
    ///
    /// # Errors
    /// Those of [`Engine::update_state_machine`].
    pub fn update_state_machine_as(
        &self,
        arn: &str,
        definition: Option<&str>,
        role_arn: Option<&str>,
    ) -> Result<StateMachine, Error> {
        self.inner.check_open()?;
        let compiled = definition.map(Machine::compile).transpose()?.map(Arc::new);
        let mut machines = lock(&self.inner.machines);
        let old = machines.get(arn)?;
        let stored = Stored {
            arn: Arc::clone(&old.arn),
            name: Arc::clone(&old.name),
            definition: definition.map_or_else(|| Arc::clone(&old.definition), Arc::from),
            role_arn: role_arn.map_or_else(|| Arc::clone(&old.role_arn), Arc::from),
            compiled: compiled.unwrap_or_else(|| Arc::clone(&old.compiled)),
            created_ms: old.created_ms,
            revision: old.revision + 1,
        };
        let described = stored.describe();
        machines.0.insert(Arc::clone(&old.arn), Arc::new(stored));
        Ok(described)
    }

    /// Describes a machine.
    ///
    /// # Errors
    /// [`Error::StateMachineDoesNotExist`], [`Error::InvalidArn`].
    pub fn describe_state_machine(&self, arn: &str) -> Result<StateMachine, Error> {
        Ok(lock(&self.inner.machines).get(arn)?.describe())
    }

    /// All machines, by ARN.
    #[must_use]
    pub fn list_state_machines(&self) -> Vec<StateMachine> {
        lock(&self.inner.machines).0.values().map(|stored| stored.describe()).collect()
    }

    /// Checks a definition without keeping it.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] with every problem.
    pub fn validate_definition(definition: &str) -> Result<(), Error> {
        Machine::compile(definition).map(drop)
    }
}

/// Names of machines and executions: 1 to 80 characters, none of those that AWS forbids.
pub(super) fn check_name(name: &str) -> Result<&str, Error> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if name.is_empty() || name.chars().count() > 80 || name.contains(forbidden) {
        return Err(Error::InvalidName { name: name.to_owned() });
    }
    Ok(name)
}

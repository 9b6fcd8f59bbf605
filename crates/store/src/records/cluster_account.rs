//! Cluster accounts: `CLUSTER#name`, `META`.

use pilothouse_domain::cluster_account::ClusterAccount;

use serde_json::{Map, Value, json};

use crate::{IndexKey, Key, Record};

/// The group of all cluster accounts, by name.
pub(crate) const ALL: &str = "CLUSTERS";

/// Where a cluster account stands.
#[must_use]
pub fn key(name: &str) -> Key {
    Key::meta(format!("CLUSTER#{name}"))
}

impl Record for ClusterAccount {
    /// 2: several kinds of credentials; before there was only the kubeconfig, at the top.
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "cluster";

    fn key(&self) -> Key {
        key(&self.name)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(ALL, self.name.as_str()))
    }

    fn upgrade(_: u32, mut fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let source = fields.shift_remove("kubeconfig").ok_or("it has no kubeconfig")?;
        let mut credentials = json!({ "kind": "kubeconfig", "source": source });
        if let Some(context) = fields.shift_remove("context") {
            credentials["context"] = context;
        }
        fields.insert("credentials".to_owned(), credentials);
        Ok(fields)
    }
}

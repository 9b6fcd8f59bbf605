//! `enable-manifest`: gives the pods of a ReplicaSet the traffic of Services, whoever made it (T54).

use pilothouse_domain::pipeline::StageTypeInfo;

use super::server_groups::switch::{Switch, switch};
use super::server_groups::{object, planned};
use super::steps::Planned;
use super::{StageContext, StageType, Stepped};

/// The name in `type:`.
pub const NAME: &str = "enable-manifest";

/// Enables an object.
#[derive(Debug, Clone, Copy)]
pub struct EnableManifest;

impl StageType for EnableManifest {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Gives the pods of a ReplicaSet the traffic of Services, whoever made it.",
            schema: schemars::schema_for!(object::Options),
            validate: object::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T54"
    }

    fn undone(&self) -> &'static str {
        "Takes the traffic from its pods again."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move {
            let options: object::Options = stage.options()?;
            planned(switch(stage, &options.target(), &options.services, Switch::On).await)
        })
    }
}

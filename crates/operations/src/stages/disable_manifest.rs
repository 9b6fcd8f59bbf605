//! `disable-manifest`: takes the pods of a ReplicaSet out of the traffic of Services, whoever made it (T54).

use pilothouse_domain::pipeline::StageTypeInfo;

use super::server_groups::switch::{Switch, switch};
use super::server_groups::{object, planned};
use super::steps::Planned;
use super::{StageContext, StageType, Stepped};

/// The name in `type:`.
pub const NAME: &str = "disable-manifest";

/// Disables an object.
#[derive(Debug, Clone, Copy)]
pub struct DisableManifest;

impl StageType for DisableManifest {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Takes the pods of a ReplicaSet out of the traffic of Services, whoever made it; they keep running.",
            schema: schemars::schema_for!(object::Options),
            validate: object::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T54, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives its pods their traffic back."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move {
            let options: object::Options = stage.options()?;
            planned(switch(stage, &options.target(), &options.services, Switch::Off).await)
        })
    }
}

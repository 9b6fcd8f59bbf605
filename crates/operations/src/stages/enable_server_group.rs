//! `enable-server-group`: gives a server group its traffic back, and lets it be scaled again (T41).

use pilothouse_domain::pipeline::StageTypeInfo;

use super::server_groups::switch::{Switch, switch};
use super::server_groups::{planned, target};
use super::steps::Planned;
use super::{StageContext, StageType, Stepped};

/// The name in `type:`.
pub const NAME: &str = "enable-server-group";

/// Enables a server group.
#[derive(Debug, Clone, Copy)]
pub struct EnableServerGroup;

impl StageType for EnableServerGroup {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Gives a server group the traffic of its Services, and lets it be scaled again.",
            schema: schemars::schema_for!(target::Options),
            validate: target::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T41"
    }

    fn undone(&self) -> &'static str {
        "Takes the traffic from its pods again, and pauses its autoscaler if that was paused."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(switch(stage, &stage.options()?, &[], Switch::On).await) })
    }
}

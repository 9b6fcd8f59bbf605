//! `disable-server-group`: takes a server group out of traffic; its pods keep running, and their number stays (T42).

use pilothouse_domain::pipeline::StageTypeInfo;

use super::server_groups::switch::{Switch, switch};
use super::server_groups::{planned, target};
use super::steps::Planned;
use super::{StageContext, StageType, Stepped};

/// The name in `type:`.
pub const NAME: &str = "disable-server-group";

/// Disables a server group.
#[derive(Debug, Clone, Copy)]
pub struct DisableServerGroup;

impl StageType for DisableServerGroup {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Takes a server group out of traffic and pauses its autoscaler; its pods keep running.",
            schema: schemars::schema_for!(target::Options),
            validate: target::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T42, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives its pods their traffic back, and resumes its autoscaler."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(switch(stage, &stage.options()?, &[], Switch::Off).await) })
    }
}

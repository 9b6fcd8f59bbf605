//! How much may be under way at once, in the installation and in each cluster (A19, A20).

use pilothouse_domain::lane::LaneName;
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::settings::Settings;
use pilothouse_store::Transaction;

use crate::lanes::wake_lane;
use crate::{Context, OperationError};

/// How often the settings are changed anew when somebody else changes them meanwhile.
const TRIES: u32 = 20;

/// Sets how many deployments may be in the installation or in a cluster at once (`None`: any number), and wakes those for
/// whom there is room now. What is under way stays under way; a limit that is new counts what begins from now on.
///
/// # Errors
/// [`OperationError::Invalid`] for a limit of 0, with which nothing could ever begin, and for any other lane;
/// [`OperationError::NotFound`] for a cluster that is not known.
pub async fn set_limit(
    context: &Context,
    lane: &LaneName,
    at_once: Option<u32>,
) -> Result<(), OperationError> {
    if at_once == Some(0) {
        let problem = Problem::new("atOnce", "0 would let nothing begin");
        return Err(invalid(problem.with_hint("remove the limit, or stop the line with a freeze")));
    }
    if !matches!(lane, LaneName::Installation {} | LaneName::Cluster { .. }) {
        return Err(invalid(Problem::new("lane", "an environment's limit is `lane` in its pipeline")));
    }
    if let LaneName::Cluster { name } = lane {
        // The limit of a cluster that is no more can still be lifted.
        if at_once.is_some() || !context.limits().await?.clusters.contains_key(name) {
            context.clusters.check(name).await?;
        }
    }
    let (before, after) = change(context, |settings| {
        let before = settings.limits.clone();
        match (lane, at_once) {
            (LaneName::Cluster { name }, Some(most)) => {
                settings.limits.clusters.insert(name.clone(), most);
            }
            (LaneName::Cluster { name }, None) => {
                settings.limits.clusters.remove(name);
            }
            _ => settings.limits.deployments = at_once,
        }
        Ok((before, settings.limits.clone()))
    })
    .await?;
    for lane in after.widened_since(&before) {
        wake_lane(context, &lane).await?;
    }
    Ok(())
}

fn invalid(problem: Problem) -> OperationError {
    OperationError::Invalid(Problems(vec![problem]))
}

/// Changes the settings in one write; gives what `decide` gives.
pub(crate) async fn change<T>(
    context: &Context,
    decide: impl Fn(&mut Settings) -> Result<T, OperationError>,
) -> Result<T, OperationError> {
    for _ in 0..TRIES {
        let stored = context.store.settings().await?;
        let mut next = stored.as_ref().map(|read| read.record.clone()).unwrap_or_default();
        let decided = decide(&mut next)?;
        let tx = match &stored {
            Some(read) => Transaction::new().replace(read, &next),
            None => Transaction::new().create(&next),
        };
        if context.commit(tx).await? {
            return Ok(decided);
        }
    }
    Err(OperationError::Contended("the installation's settings".to_owned()))
}

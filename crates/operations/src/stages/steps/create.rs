//! Creates an object that must be new: what is deployed as a version is never changed (T7).

use pilothouse_cluster::{ANNOTATION_PREFIX, Cluster, Manifest, ObjectRef};
use serde_json::Value;

use super::carry_out::{Outcome, options};
use crate::OperationError;
use crate::stages::StageContext;

/// Applies the object unless somebody else has taken its name. One that this stage created before is left as it is: it may
/// have been scaled since.
pub(super) async fn create(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    content: &Value,
) -> Result<Outcome, OperationError> {
    let object = ObjectRef::of(content)
        .ok_or_else(|| OperationError::Inconsistent("a step of the plan creates no object".to_owned()))?;
    if let Some(live) = cluster.get(&object).await? {
        let made_by =
            |key: &str| live["metadata"]["annotations"][format!("{ANNOTATION_PREFIX}{key}")].as_str();
        let ours = made_by("attempt") == Some(stage.attempt.id.to_string().as_str())
            && made_by("stage") == Some(stage.run.stage.as_str());
        return Ok(match ours {
            true => Outcome::Done(format!("{object} created")),
            false => Outcome::failed(format!(
                "{object} was created by somebody else while this stage began, and a version is never changed: deploy again"
            )),
        });
    }
    let manifest = Manifest { object: object.clone(), content: content.clone(), document: 0, line: 0 };
    cluster.apply(std::slice::from_ref(&manifest), &options(stage, false)).await?;
    Ok(Outcome::Done(format!("{object} created")))
}

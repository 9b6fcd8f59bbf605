//! Changes the image of one container and nothing else (T62, PATCH_IMAGE).
//!
//! An [edit](Cluster::edit): of an object that others made, we come to own this image, and our marks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::apply::{Applied, ApplyOptions};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::image;
use crate::object::ObjectRef;
use crate::pod_spec;

impl Cluster {
    /// Sets the image of a container (or init container) of a workload.
    ///
    /// Without `container`, it is the only container, or the only one whose image is of the same repository. The image's
    /// owner is overruled: that is what the action is for; `options.force` does not matter.
    ///
    /// # Errors
    /// `NotFound` without the object; `Invalid` when the kind has no containers or the container is not to be found, with
    /// the names of those there are; else as for apply.
    pub async fn patch_image(
        &self,
        object: &ObjectRef,
        container: Option<&str>,
        image: &str,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        self.edit(object, options, |ours, live| set_image(ours, live, object, container, image)).await
    }

    /// Sets the images of several containers at once, by the containers' names: one rollout, not one for each.
    ///
    /// # Errors
    /// As for [`Cluster::patch_image`].
    pub async fn patch_images(
        &self,
        object: &ObjectRef,
        images: &BTreeMap<String, String>,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        self.edit(object, options, |ours, live| {
            images.iter().try_for_each(|(name, image)| set_image(ours, live, object, Some(name), image))
        })
        .await
    }
}

/// Sets the image among the fields that we own.
fn set_image(
    ours: &mut Value,
    live: &Value,
    object: &ObjectRef,
    container: Option<&str>,
    image: &str,
) -> Result<(), String> {
    let path = pod_spec::path(&object.kind)
        .ok_or_else(|| format!("a {} has no containers; name a workload", object.kind))?;
    let spec = pod_spec::of(live).ok_or_else(|| format!("{object} has no pod template"))?;
    let (list, name) = choose(spec, container, image)?;
    let spec = path.iter().fold(ours, |at, key| &mut at[*key]);
    if !spec[list].is_array() {
        spec[list] = json!([]);
    }
    if let Some(containers) = spec[list].as_array_mut() {
        match containers.iter_mut().find(|c| c["name"] == name.as_str()) {
            Some(container) => container["image"] = Value::from(image),
            None => containers.push(json!({"name": name, "image": image})),
        }
    }
    Ok(())
}

/// The list and the name of the container that is meant.
fn choose(spec: &Value, container: Option<&str>, image: &str) -> Result<(&'static str, String), String> {
    let all: Vec<(&'static str, &str, &str)> = pod_spec::CONTAINER_LISTS
        .into_iter()
        .flat_map(|list| {
            let containers = spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
            containers.iter().filter_map(move |c| {
                Some((list, c["name"].as_str()?, c["image"].as_str().unwrap_or_default()))
            })
        })
        .collect();
    let names = || all.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = container {
        return all
            .iter()
            .find(|(_, name, _)| *name == wanted)
            .map(|(list, name, _)| (*list, (*name).to_owned()))
            .ok_or_else(|| format!("there is no container {wanted:?}; there are: {}", names()));
    }
    let mut main = all.iter().filter(|(list, _, _)| *list == "containers");
    if let (Some((list, name, _)), None) = (main.next(), main.next()) {
        return Ok((list, (*name).to_owned()));
    }
    let mut same = all.iter().filter(|(_, _, current)| image::same_repository(current, image));
    match (same.next(), same.next()) {
        (Some((list, name, _)), None) => Ok((list, (*name).to_owned())),
        _ => Err(format!("say which container: there are {}", names())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FIELD_MANAGER;
    use crate::edit::ours;

    fn content(
        live: &Value,
        object: &ObjectRef,
        container: Option<&str>,
        image: &str,
    ) -> Result<Value, String> {
        let mut content = ours(live);
        set_image(&mut content, live, object, container, image)?;
        Ok(content)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values that are built for one call read better without borrows"
    )]
    fn deployment(containers: Value, owned: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "dev", "managedFields": [
                {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned}
            ]},
            "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}}
        })
    }

    fn web() -> ObjectRef {
        ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web")
    }

    #[test]
    fn what_we_own_is_applied_again_with_the_new_image() {
        let owned = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
            "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {}}}}}}});
        let live =
            deployment(json!([{"name": "web", "image": "web:1", "args": ["-v"], "tty": false}]), owned);
        let content = content(&live, &web(), None, "web:2").unwrap();
        assert_eq!(
            content["spec"],
            json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "web", "image": "web:2", "args": ["-v"]}]}}})
        );
    }

    #[test]
    fn of_an_object_of_others_only_the_image_is_applied() {
        let live = deployment(json!([{"name": "web", "image": "web:1", "args": ["-v"]}]), json!({}));
        let content = content(&live, &web(), Some("web"), "web:2").unwrap();
        assert_eq!(
            content["spec"],
            json!({"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}})
        );
    }

    #[test]
    fn the_container_is_found_by_its_repository_or_asked_for() {
        let two = json!([{"name": "web", "image": "shop/web:1"}, {"name": "proxy", "image": "envoy:1"}]);
        let live = deployment(two, json!({}));
        assert!(content(&live, &web(), None, "shop/web:2").is_ok());
        let error = content(&live, &web(), None, "shop/api:2").unwrap_err();
        assert!(error.contains("web, proxy"), "{error}");
        let error = content(&live, &web(), Some("api"), "shop/web:2").unwrap_err();
        assert!(error.contains("\"api\"") && error.contains("web, proxy"), "{error}");
    }
}

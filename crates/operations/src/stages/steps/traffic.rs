//! Steps that move traffic between versions of a workload (H13-H15, T5).

use std::collections::BTreeMap;

use pilothouse_cluster::{ApplyOptions, Cluster, ObjectRef, Split};
use pilothouse_domain::traffic_guard::TrafficGuard;
use serde::{Deserialize, Serialize};

use super::carry_out::{Outcome, cannot_count};
use super::guard::REFUSES;
use crate::OperationError;

/// One of them. Each may be carried out twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TrafficStep {
    /// Points a Service at the pods with these labels, and at no others.
    Select {
        /// The Service.
        service: ObjectRef,
        /// The whole selector.
        selector: BTreeMap<String, String>,
        /// What that means, for people: `Service dev/web sends its traffic to web-v2`.
        what: String,
    },
    /// Refuses to go on, with the numbers, when a Service that is to get a share has too few ready endpoints for it (X8).
    Enough {
        /// Where.
        namespace: String,
        /// The Service that has the rest.
        stable: String,
        /// The Service that gets the share.
        canary: String,
        /// 0 to 100.
        percent: u32,
        /// What must be ready behind each.
        least: TrafficGuard,
    },
    /// Sets the canary's share of a route's traffic.
    Split {
        /// An HTTPRoute or a VirtualService.
        route: ObjectRef,
        /// The Service that has the rest.
        stable: String,
        /// The Service that gets the share.
        canary: String,
        /// 0 to 100.
        percent: u32,
    },
    /// Puts images into containers of a workload, by the containers' names.
    Images {
        /// The workload.
        object: ObjectRef,
        /// Image references, by container.
        images: BTreeMap<String, String>,
    },
}

impl TrafficStep {
    pub(super) fn touches(&self) -> Option<ObjectRef> {
        match self {
            Self::Select { service: object, .. }
            | Self::Split { route: object, .. }
            | Self::Images { object, .. } => Some(object.clone()),
            Self::Enough { .. } => None,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Select { what, .. } => what.clone(),
            Self::Enough { stable, canary, percent, .. } => {
                format!(
                    "check that Services {stable} and {canary} have pods enough for {percent} % at {canary}"
                )
            }
            Self::Split { route, canary, percent, .. } => {
                format!("send {percent} % of the traffic of {route} to Service {canary}")
            }
            Self::Images { object, images } => {
                let images: Vec<&str> = images.values().map(String::as_str).collect();
                format!("put {} into {object}", images.join(", "))
            }
        }
    }

    pub(super) async fn carry_out(
        &self,
        cluster: &Cluster,
        options: &ApplyOptions,
    ) -> Result<Outcome, OperationError> {
        match self {
            Self::Select { service, selector, what } => {
                cluster
                    .edit(service, options, |ours, _| {
                        ours["spec"]["selector"] =
                            selector.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                        Ok(())
                    })
                    .await?;
                Ok(Outcome::Done(what.clone()))
            }
            Self::Enough { namespace, stable, canary, percent, least } => {
                enough(cluster, namespace, [(stable, 100 - percent.min(&100)), (canary, *percent)], *least)
                    .await
            }
            Self::Split { route, stable, canary, percent } => {
                cluster.split(route, Split { stable, canary, percent: *percent }, options).await?;
                Ok(Outcome::Done(format!("{route} sends {percent} % to Service {canary}")))
            }
            Self::Images { object, images } => {
                cluster.patch_images(object, images, options).await?;
                Ok(Outcome::Done(self.describe()))
            }
        }
    }
}

/// Refuses when a Service has too few ready endpoints for its share: one that gets everything must have what the guard asks
/// for, of the most that are ready behind either; one that gets a part must have one.
async fn enough(
    cluster: &Cluster,
    namespace: &str,
    shares: [(&String, u32); 2],
    least: TrafficGuard,
) -> Result<Outcome, OperationError> {
    if least == TrafficGuard::Off {
        return Ok(Outcome::Done("the traffic guard is off".to_owned()));
    }
    let mut counted = Vec::with_capacity(2);
    for (service, share) in shares {
        let endpoints = match cluster.endpoints(namespace, Some(service)).await {
            Err(error) if !error.is_retryable() => return Ok(cannot_count(&error)),
            endpoints => endpoints?,
        };
        counted.push((service.as_str(), share, endpoints.get(service).map_or(0, |e| e.ready.len())));
    }
    Ok(match lacking(&counted, least) {
        Some((service, share, ready, wanted)) => Outcome::failed(format!(
            "{REFUSES}: Service {namespace}/{service} would get {share} % of the traffic with {ready} ready \
             endpoints, and at least {wanted} must be ready (`trafficGuard: {least}`): bring up others first, or set \
             `trafficGuard: off` at this stage"
        )),
        None => {
            let told = counted
                .iter()
                .map(|(service, share, ready)| format!("{service}: {ready} ready for {share} %"));
            Outcome::Done(told.collect::<Vec<_>>().join(", "))
        }
    })
}

/// The first of these (Service, share, ready endpoints) that has too few, with how many it must have.
fn lacking<'a>(
    counted: &[(&'a str, u32, usize)],
    least: TrafficGuard,
) -> Option<(&'a str, u32, usize, usize)> {
    let most = counted.iter().map(|(_, _, ready)| *ready).max().unwrap_or(0);
    let wanted = |share: u32| if share >= 100 { least.least(most).max(1) } else { 1 };
    let lacks = |(_, share, ready): &&(&str, u32, usize)| *share > 0 && *ready < wanted(*share);
    counted.iter().find(lacks).map(|(service, share, ready)| (*service, *share, *ready, wanted(*share)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::steps::Step;

    #[test]
    fn a_part_of_the_traffic_needs_one_endpoint_and_all_of_it_what_the_guard_says() {
        let half = TrafficGuard::Percent(50);
        assert_eq!(lacking(&[("web", 80, 4), ("canary", 20, 1)], half), None);
        assert_eq!(lacking(&[("web", 80, 4), ("canary", 20, 0)], half), Some(("canary", 20, 0, 1)));
        assert_eq!(lacking(&[("web", 0, 4), ("canary", 100, 1)], half), Some(("canary", 100, 1, 2)));
        assert_eq!(
            lacking(&[("web", 100, 0), ("canary", 0, 1)], TrafficGuard::Count(1)),
            Some(("web", 100, 0, 1))
        );
        assert_eq!(lacking(&[("web", 0, 0), ("canary", 100, 1)], TrafficGuard::Count(1)), None);
    }

    #[test]
    fn a_step_of_traffic_reads_back() {
        let step = Step::Traffic(TrafficStep::Select {
            service: ObjectRef::namespaced("v1", "Service", "dev", "web"),
            selector: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            what: "Service dev/web sends its traffic to web-v2".to_owned(),
        });
        let stored = serde_json::to_value(&step).unwrap();
        assert_eq!(stored["do"], "traffic");
        assert_eq!(serde_json::from_value::<Step>(stored).unwrap(), step);
    }
}

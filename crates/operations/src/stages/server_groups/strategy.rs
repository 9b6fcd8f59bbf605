//! How a new server group takes over from those before it (T5).

use pilothouse_cluster::{Carry, Cluster};
use pilothouse_domain::duration::Span;
use pilothouse_domain::traffic_guard::TrafficGuard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Group, Halt, Services, moves};
use crate::stages::steps::Step;

/// What becomes of the server groups before a new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Nothing: they go on beside it.
    #[default]
    None,
    /// Once all pods of the new one are ready it gets the traffic, and those before it are disabled; their pods stay for the way back.
    RedBlack,
    /// As `red-black`, in `percentages`: so much of the new one gets traffic, and so much of those before loses it.
    RollingRedBlack,
    /// Once all pods of the new one are ready it gets the traffic, and all others of the cluster are destroyed.
    Highlander,
}

/// The times and numbers of a strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::stages) struct Terms {
    pub(in crate::stages) percentages: Vec<u32>,
    pub(in crate::stages) delay_between: Option<Span>,
    pub(in crate::stages) delay_before_disable: Option<Span>,
    pub(in crate::stages) scale_down: bool,
    pub(in crate::stages) delay_before_scale_down: Option<Span>,
    pub(in crate::stages) max_remaining: Option<u32>,
    pub(in crate::stages) guard: TrafficGuard,
}

/// The new server group and those that were there before it, the newest first.
pub(in crate::stages) struct Succession<'a> {
    pub(in crate::stages) cluster: &'a Cluster,
    pub(in crate::stages) new: &'a Group,
    pub(in crate::stages) before: &'a [Group],
    /// The Services of the new one.
    pub(in crate::stages) services: &'a Services,
    /// These, and those of the server groups before it.
    pub(in crate::stages) all_services: &'a Services,
}

impl Succession<'_> {
    /// The steps after the new server group is ready, without traffic.
    pub(in crate::stages) async fn steps(
        &self,
        strategy: Strategy,
        terms: &Terms,
    ) -> Result<Vec<Step>, Halt> {
        let mut steps = Vec::new();
        match strategy {
            Strategy::None => return Ok(steps),
            Strategy::RedBlack | Strategy::Highlander => steps.extend(self.switch_on(self.new.replicas)),
            Strategy::RollingRedBlack => steps.extend(self.roll(terms)),
        }
        hold(&mut steps, terms.delay_before_disable, || {
            format!("{} serves beside those before it", self.new.name())
        });
        if strategy == Strategy::Highlander {
            for group in self.before {
                steps.extend(
                    moves::destroy(self.cluster, group, &self.services_of(group), terms.guard).await?,
                );
            }
            return Ok(steps);
        }
        for group in self.enabled() {
            steps.extend(moves::disable(self.cluster, group, &self.services_of(group), terms.guard).await?);
        }
        if let Some(first) = self.enabled().next().filter(|_| terms.scale_down) {
            match terms.delay_before_scale_down {
                None => steps.push(moves::drain(first)),
                delay => hold(&mut steps, delay, || "those before are kept for the way back".to_owned()),
            }
            // Services that the stage does not know may select the group by labels of its own, and still send it traffic.
            let groups: Vec<&Group> = self.enabled().collect();
            steps.extend(moves::guard_all(&groups, Vec::new(), terms.guard));
            for group in groups {
                steps.push(moves::guard(group, Vec::new(), 0, terms.guard));
                steps.push(Step::Scale { object: group.object.clone(), replicas: 0 });
            }
        }
        for group in self.surplus(terms.max_remaining) {
            steps.extend(moves::destroy(self.cluster, group, &self.services_of(group), terms.guard).await?);
        }
        Ok(steps)
    }

    /// The Services of a server group before: those it was deployed for, and those of the new one, which it may serve too.
    fn services_of(&self, group: &Group) -> Services {
        self.all_services.which(|name, selector| group.services.contains(name) || group.carries(selector))
    }

    fn enabled(&self) -> impl Iterator<Item = &Group> {
        self.before.iter().filter(|group| group.is_enabled(self.all_services))
    }

    /// The oldest, beyond the number that may remain with the new one.
    fn surplus(&self, most: Option<u32>) -> &[Group] {
        let beside =
            most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(1));
        self.before.get(beside..).unwrap_or_default()
    }

    /// Sends traffic to the new one.
    fn switch_on(&self, ready: u32) -> Vec<Step> {
        let labels = self.services.labels().unwrap_or_default();
        let mut steps = vec![Step::Relabel { object: self.new.object.clone(), labels, carry: Carry::All }];
        steps.extend(moves::routed(self.new, self.services, ready));
        steps
    }

    /// Part after part of the new one serves, and as large a part of each before no more.
    fn roll(&self, terms: &Terms) -> Vec<Step> {
        let mut steps = Vec::new();
        let last = terms.percentages.len().saturating_sub(1);
        for (index, percent) in terms.percentages.iter().enumerate() {
            let size = part(self.new.replicas, *percent);
            if index > 0 {
                steps.push(Step::Scale { object: self.new.object.clone(), replicas: size });
                steps.push(Step::Ready { object: self.new.object.clone() });
                steps.extend(moves::routed(self.new, self.services, size));
            } else {
                steps.extend(self.switch_on(size));
            }
            if index == last {
                break;
            }
            for group in self.enabled() {
                let keep = group.replicas - part(group.replicas, *percent).min(group.replicas);
                // All of them lose it at the end, with their template.
                let keep = keep.max(1);
                let services = self.services_of(group);
                let Ok(labels) = services.labels_for(group) else { continue };
                steps.push(moves::guard(group, services.names(), keep, terms.guard));
                steps.push(Step::Relabel {
                    object: group.object.clone(),
                    labels,
                    carry: Carry::AtMost(keep),
                });
            }
            hold(&mut steps, terms.delay_between, || format!("{percent}% of {} serve", self.new.name()));
        }
        steps
    }
}

/// So much of a size, rounded up, and at least one.
pub(in crate::stages) fn part(size: u32, percent: u32) -> u32 {
    let part = (u64::from(size) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

fn hold(steps: &mut Vec<Step>, delay: Option<Span>, what: impl FnOnce() -> String) {
    let seconds = delay.map_or(0, |delay| delay.as_millis().div_ceil(1000));
    if seconds > 0 {
        steps.push(Step::Hold { seconds, what: what() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_rounded_up() {
        assert_eq!((part(4, 25), part(3, 50), part(10, 1), part(1, 100)), (1, 2, 1, 1));
    }
}

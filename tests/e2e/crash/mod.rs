//! `kill -9` after each kind of step, at the worst moment: the step's handler has done its work, and nobody knows yet.
//! Started again, the process ends both releases of the story as if nothing had happened.

mod ends;
mod story;

use anyhow::{Context as _, ensure};
use story::Story;

use crate::harness::{House, Server, eventually};

/// The simulated cluster's speed: fast enough to wait for, slow enough that a rollout has a middle.
const SPEED: u32 = 20;

/// Tells the story with a process that dies after `step` (`run-stage:begin:2`: after the second one), and once is
/// started again without that wish. Without a step, nobody dies.
async fn tell(step: Option<&str>) -> anyhow::Result<()> {
    let house = House::new(SPEED)?;
    told(&house, step).await.with_context(|| house.log())
}

async fn told(house: &House, step: Option<&str>) -> anyhow::Result<()> {
    let wish: Vec<&str> = step.into_iter().flat_map(|step| ["--halt-after", step]).collect();
    let mut server = house.start(&wish).await?;
    let story = Story::prepare(&server).await?;
    let mut deaths = 0;
    eventually("the end of the story", async || {
        let over = answered(story.advance(&server).await)?;
        if server.was_killed()? {
            deaths += 1;
            ensure!(deaths == 1, "it died again, and was not asked to");
            server = house.start(&[]).await?;
        }
        Ok((over == Some(true)).then_some(()))
    })
    .await?;
    ensure!(deaths == usize::from(step.is_some()), "the story was over before the step {step:?}");
    ends::check(&server, &story).await?;
    nothing_is_left(house, server, &story).await
}

/// What was answered; nothing when the process died before it could answer.
fn answered<T>(answer: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.chain().any(|cause| cause.is::<reqwest::Error>()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A start after the end finds nothing to take up: what it says of the releases stays the same, event by event.
async fn nothing_is_left(house: &House, server: Server, story: &Story) -> anyhow::Result<()> {
    server.kill().await?;
    let again = house.start(&[]).await?;
    ends::check(&again, story).await.context("after one more start")
}

#[tokio::test]
async fn the_story_without_a_death() -> anyhow::Result<()> {
    tell(None).await
}

macro_rules! survives {
    ($($name:ident: $step:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                tell(Some($step)).await
            }
        )*
    };
}

survives! {
    death_after_the_first_advance_is_survived: "advance-deployment:advance:1",
    death_after_the_second_advance_is_survived: "advance-deployment:advance:2",
    death_after_the_third_advance_is_survived: "advance-deployment:advance:3",
    death_after_the_last_advance_is_survived: "advance-deployment:advance:8",
    death_after_the_first_wait_of_a_deployment_is_survived: "advance-deployment:await:1",
    death_after_the_second_wait_of_a_deployment_is_survived: "advance-deployment:await:2",
    death_after_the_third_wait_of_a_deployment_is_survived: "advance-deployment:await:3",
    death_after_the_first_await_upstream_is_survived: "advance-deployment:await-upstream:1",
    death_after_the_second_await_upstream_is_survived: "advance-deployment:await-upstream:2",
    death_after_the_last_await_upstream_is_survived: "advance-deployment:await-upstream:14",
    death_after_the_first_settle_is_survived: "advance-deployment:settle:1",
    death_after_the_second_settle_is_survived: "advance-deployment:settle:2",
    death_after_the_settle_that_rolls_back_is_survived: "advance-deployment:settle:4",
    death_after_the_settle_of_the_rollback_is_survived: "advance-deployment:settle:5",
    death_after_the_first_complete_is_survived: "advance-deployment:complete:1",
    death_after_the_second_complete_is_survived: "advance-deployment:complete:2",
    death_after_the_last_complete_is_survived: "advance-deployment:complete:5",
    death_after_the_first_begin_is_survived: "run-stage:begin:1",
    death_after_the_second_begin_is_survived: "run-stage:begin:2",
    death_after_the_last_begin_is_survived: "run-stage:begin:13",
    death_after_the_first_observe_is_survived: "run-stage:observe:1",
    death_after_the_second_observe_is_survived: "run-stage:observe:2",
    death_after_the_observe_that_sees_the_crash_is_survived: "run-stage:observe:8",
    death_after_the_last_observe_is_survived: "run-stage:observe:10",
    death_after_the_first_await_is_survived: "run-stage:await:1",
    death_after_the_second_await_is_survived: "run-stage:await:2",
    death_after_the_first_answered_is_survived: "run-stage:answered:1",
    death_after_the_second_answered_is_survived: "run-stage:answered:2",
}

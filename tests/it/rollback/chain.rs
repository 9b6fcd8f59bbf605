//! What a rollback goes back to: what was there before the release, whatever it did since (H6, H7, V4).

use serde_json::json;

use super::{act, environment, pipeline, run, stage_names};
use crate::main_story::{crash_in_prod, running};
use crate::world::{World, attempt};

/// H6: the second attempt's snapshots are of what the first one left behind. That is not what anybody wants back.
#[tokio::test(start_paused = true)]
async fn a_rollback_goes_back_to_before_the_release_over_all_of_its_attempts() {
    let world = World::new().await;
    world.save(&pipeline(&[environment("prod", &json!({ "policy": "manual" }))])).await;
    run(&world, "1.0.0").await;
    let before = running(&world, "prod");
    crash_in_prod(&world, "1.1.0");
    let (second, _) = run(&world, "1.1.0").await;
    act(&world, &second, "deploy").await;
    assert_eq!(running(&world, "prod").1, "1.1.0", "a failure stays where the policy is manual");
    let view = act(&world, &second, "rollback").await;
    let rollback = attempt(&view, "prod", 3);
    assert_eq!(rollback["status"], "Succeeded", "{rollback:#}");
    assert_eq!(
        stage_names(&rollback),
        ["Undo Deploy", "Undo Config", "Undo Deploy (attempt 1)", "Undo Config (attempt 1)"]
    );
    assert_eq!(running(&world, "prod"), before);
    for number in [1, 2] {
        assert_eq!(attempt(&view, "prod", number)["rolledBackBy"], 3, "both say what took them back");
        assert_eq!(attempt(&view, "prod", number)["execution"], "ROLLBACK_COMPLETED");
    }
}

/// V4: any earlier release can be brought back; and that can be taken back too, to what it replaced.
#[tokio::test(start_paused = true)]
async fn an_earlier_release_is_deployed_again_and_taken_back_to_the_later_one() {
    let world = World::new().await;
    world.save(&pipeline(&[environment("prod", &json!({}))])).await;
    let (first, _) = run(&world, "1.0.0").await;
    run(&world, "1.1.0").await;
    let view = act(&world, &first, "deploy").await;
    assert_eq!(attempt(&view, "prod", 2)["kind"], "redeploy");
    assert_eq!(running(&world, "prod").1, "1.0.0");
    let view = act(&world, &first, "rollback").await;
    let rollback = attempt(&view, "prod", 3);
    assert_eq!(stage_names(&rollback), ["Undo Deploy", "Undo Config"], "the first attempt is not its chain");
    assert_eq!(running(&world, "prod").1, "1.1.0", "what was there before it");
}

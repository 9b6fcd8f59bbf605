//! What happened in lines and under freezes, in words (X2, X14).

use pilothouse_domain::timeline::Happening;

/// The happening in words; nothing for any other.
pub(super) fn in_words(by: &str, what: &Happening) -> String {
    match what {
        Happening::LaneAwaited { holder } => format!("waits: {holder} holds the environment"),
        Happening::RoomAwaited { lane, limit } => format!("waits for {lane}: {limit} at once"),
        Happening::RoomFound {} => "found room again, and goes on".to_owned(),
        Happening::DeploymentFrozen { by, reason, until } => {
            let until = until.map(|until| format!(", until {until:.0}")).unwrap_or_default();
            format!("held: the line is stopped by {by}: {reason}{until}")
        }
        Happening::DeploymentThawed {} => "no freeze holds it any more".to_owned(),
        Happening::FreezeOverridden { reason } => {
            format!("{by} lets it begin in spite of a freeze: {reason}")
        }
        Happening::LaneEntered { fence } => format!("holds its environment (fence {fence})"),
        _ => String::new(),
    }
}

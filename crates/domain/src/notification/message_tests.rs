use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Span::from_secs(seconds).after(Timestamp::UNIX_EPOCH)
}

/// A message to `ops` and `chat`, of the second 100.
fn message() -> Message {
    let delivery = |to: &str| Delivery {
        to: to.to_owned(),
        state: DeliveryState::Pending { next: at(100) },
        attempts: 0,
        error: None,
    };
    Message {
        release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
        seq: 7,
        topic: Topic::DeploymentFailed,
        created_at: at(100),
        due: at(100),
        claimed_until: None,
        dead: false,
        deliveries: vec![delivery("ops"), delivery("chat")],
    }
}

fn refused(to: &str) -> (String, Came) {
    (to.to_owned(), Came::Refused { error: "answered 503".to_owned(), retryable: true })
}

fn taken(to: &str) -> (String, Came) {
    (to.to_owned(), Came::Taken)
}

fn open(standing: Standing) -> Message {
    match standing {
        Standing::Open(message) => message,
        Standing::Done => panic!("something is left to do"),
    }
}

#[test]
fn a_message_is_in_the_hands_of_one_worker_until_its_lease_is_over() {
    let claimed = message().claim(at(100)).unwrap();
    assert_eq!(claimed.claim(at(159)), None);
    assert!(claimed.claim(at(160)).is_some());
    assert_eq!(message().claim(at(99)), None, "it is not due");
}

#[test]
fn it_is_done_when_all_have_it() {
    assert_eq!(message().after(&[taken("ops"), taken("chat")], at(101), 0.5), Standing::Done);
}

#[test]
fn who_has_it_is_not_told_again_and_who_refused_is_tried_later_and_later() {
    let mut message = message();
    let mut now = at(100);
    let mut pauses = Vec::new();
    message = open(message.after(&[taken("ops"), refused("chat")], now, 0.5));
    for _ in 0..14 {
        pauses.push((message.due.as_second() - now.as_second()).unsigned_abs());
        assert_eq!(message.recipients(at(100)), Vec::<String>::new());
        now = message.due;
        assert_eq!(message.recipients(now), ["chat"]);
        message = open(message.after(&[refused("chat")], now, 0.5));
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600]);
}

#[test]
fn after_a_day_it_is_a_dead_letter_that_says_why() {
    let mut message = message();
    let mut now = at(100);
    let mut tries = 0;
    while !message.dead {
        message = open(message.claim(now).unwrap().after(&[taken("ops"), refused("chat")], now, 1.0));
        tries += 1;
        now = message.due;
        assert!(tries < 100 && now <= at(100 + 86_400));
    }
    assert_eq!(now, at(100 + 86_400), "the last try was made when the time was over");
    let chat = &message.deliveries[1];
    assert_eq!((&chat.state, chat.attempts), (&DeliveryState::GivenUp { at: now }, tries));
    assert_eq!(chat.error.as_deref(), Some("answered 503"));
    assert_eq!(message.claim(at(200_000)), None);
    assert!(message.kept_until().unwrap() > now);
}

#[test]
fn what_can_never_be_taken_is_given_up_at_once() {
    let never = Came::Refused { error: "no such receiver".to_owned(), retryable: false };
    let left = open(message().after(&[("ops".to_owned(), never), refused("chat")], at(101), 0.0));
    assert!(!left.dead, "the other one is still tried");
    let left = open(left.after(&[taken("chat")], at(200), 0.0));
    assert!(left.dead);
}

#[test]
fn what_was_not_tried_stays_due_until_its_time_is_over() {
    let postponed = ("chat".to_owned(), Came::Postponed);
    let left = open(message().after(&[taken("ops"), postponed.clone()], at(101), 0.5));
    assert_eq!((left.due, left.deliveries[1].attempts), (at(100), 0));
    let late = at(100 + 86_400);
    assert!(left.is_overdue(late) && !left.is_overdue(at(200)));
    assert!(open(left.after(&[postponed], late, 0.5)).dead);
}

proptest! {
    #[test]
    fn whatever_comes_it_ends_within_its_day_and_tells_nobody_twice(coming in proptest::collection::vec(0..4_u8, 2..200), jitter in 0.0..1.0) {
        let mut message = message();
        let mut now = at(100);
        let mut told = std::collections::BTreeMap::<String, u32>::new();
        for came in coming.iter().cycle().take(400) {
            let claimed = message.claim(now).unwrap();
            let tries: Vec<(String, Came)> = claimed.recipients(now).into_iter().map(|to| {
                let came = match came {
                    0 => { *told.entry(to.clone()).or_default() += 1; Came::Taken }
                    1 => Came::Postponed,
                    2 => refused(&to).1,
                    _ => Came::Refused { error: "no".to_owned(), retryable: false },
                };
                (to, came)
            }).collect();
            match claimed.after(&tries, now, jitter) {
                Standing::Done => { prop_assert!(told.values().all(|n| *n == 1)); return Ok(()); }
                Standing::Open(next) if next.dead => { prop_assert!(now <= at(100 + 86_400 + 60)); return Ok(()); }
                Standing::Open(next) => { now = next.due.max(Span::from_secs(60).after(now)).min(at(100 + 86_400 + 60)); message = next; }
            }
        }
        prop_assert!(*coming.iter().min().unwrap() == 1 && coming.iter().all(|c| *c == 1), "it does not end");
    }
}

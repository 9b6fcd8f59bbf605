use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put, ScalarAttributeType,
    TransactWriteItem,
};

use super::*;
use crate::Usage;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute =
        AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
    client
        .create_table()
        .table_name("table")
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap())
        .send()
        .await
        .unwrap();
}

fn put(pk: &str) -> TransactWriteItem {
    let put = Put::builder()
        .table_name("table")
        .item("pk", text(pk))
        .condition_expression("attribute_not_exists(pk)");
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

#[tokio::test(start_paused = true)]
async fn a_refused_transaction_names_the_operation_that_refused() {
    let client = client(&open(None, None).unwrap());
    create_table(&client).await;
    client.put_item().table_name("table").item("pk", text("b")).send().await.unwrap();
    let both = client.transact_write_items().transact_items(put("a")).transact_items(put("b"));
    let refused = both.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        canceled,
    ) = refused
    else {
        panic!("{refused:?}");
    };
    let codes: Vec<_> = canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_condition_gives_back_the_item_that_stands_there() {
    let client = client(&open(None, None).unwrap());
    create_table(&client).await;
    let first =
        client.put_item().table_name("table").item("pk", text("a")).item("n", AttributeValue::N("7".into()));
    first.send().await.unwrap();
    let second = client.put_item().table_name("table").item("pk", text("a"));
    let second =
        second.condition_expression("attribute_not_exists(pk)").return_values_on_condition_check_failure(
            aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
        );
    let refused = second.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(refused) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.item().unwrap()["n"], AttributeValue::N("7".into()));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_not_served_is_refused_by_name() {
    let client = client(&open(None, None).unwrap());
    let refused = client.list_backups().send().await.unwrap_err();
    let refused = aws_sdk_dynamodb::error::DisplayErrorContext(refused).to_string();
    assert!(refused.contains("UnknownOperationException") && refused.contains("ListBackups"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_meter_counts_in_billed_units_and_the_answer_stays_as_asked() {
    let connector = Connector::new(open(None, None).unwrap());
    let (client, meter) = (connector.client(), connector.meter());
    create_table(&client).await;
    let big = client.put_item().table_name("table").item("pk", text("a")).item("x", text(&"x".repeat(1500)));
    assert!(big.send().await.unwrap().consumed_capacity().is_none());
    assert_eq!(meter.usage(), Usage { writes: 1, write_units: 2.0, ..Usage::default() });
    let before = meter.usage();
    let read = client.get_item().table_name("table").key("pk", text("a"));
    read.clone().consistent_read(true).send().await.unwrap();
    read.send().await.unwrap();
    let transaction = client.transact_write_items().transact_items(put("b")).transact_items(put("c"));
    transaction.send().await.unwrap();
    let expected = Usage { reads: 2, writes: 1, read_units: 1.5, write_units: 4.0 };
    assert_eq!(meter.usage().since(before), expected);
}

#[tokio::test(start_paused = true)]
async fn faults_are_seen_as_the_client_would_see_them_on_aws() {
    let faults = [Fault::Throttled, Fault::Failed, Fault::Lost, Fault::AnswerLost];
    let next = std::sync::atomic::AtomicUsize::new(0);
    let decide = move |operation: &str| {
        if operation != "PutItem" {
            return None;
        }
        faults.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).copied()
    };
    let connector = Connector::new(open(None, None).unwrap()).with_faults(Faults::new(decide));
    let client = connector.client();
    create_table(&client).await;
    let there = async || {
        let read = client.get_item().table_name("table").key("pk", text("a")).send().await.unwrap();
        read.item().is_some()
    };
    let put = || client.put_item().table_name("table").item("pk", text("a")).send();
    let throttled = put().await.unwrap_err().into_service_error();
    assert!(throttled.is_throttling_exception());
    assert!(put().await.unwrap_err().into_service_error().is_internal_server_error());
    assert!(put().await.unwrap_err().as_service_error().is_none());
    assert!(!there().await);
    assert!(put().await.unwrap_err().as_service_error().is_none());
    assert!(there().await);
}

#[tokio::test(start_paused = true)]
async fn expired_items_are_swept_by_the_given_clock() {
    let now = Arc::new(std::sync::Mutex::new(jiff::Timestamp::from_second(1_000).unwrap()));
    let clock: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || *now.lock().unwrap())
    };
    let database = open(None, Some(clock)).unwrap();
    let client = client(&database);
    create_table(&client).await;
    let time_to_live = aws_sdk_dynamodb::types::TimeToLiveSpecification::builder();
    let time_to_live = time_to_live.enabled(true).attribute_name("ttl").build().unwrap();
    client
        .update_time_to_live()
        .table_name("table")
        .time_to_live_specification(time_to_live)
        .send()
        .await
        .unwrap();
    let item = client.put_item().table_name("table").item("pk", text("a"));
    item.item("ttl", AttributeValue::N("2000".into())).send().await.unwrap();
    assert_eq!(sweep_expired(&database).unwrap(), 0);
    *now.lock().unwrap() = jiff::Timestamp::from_second(3_000).unwrap();
    assert_eq!(sweep_expired(&database).unwrap(), 1);
}

#[test]
fn a_file_database_flushes_every_write_to_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let _database = open(Some(&path), None).unwrap();
    // The same library answers for a connection that sets nothing, as dynoxide's does not.
    let beside = rusqlite::Connection::open(&path).unwrap();
    let journal: String = beside.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    let _read: i64 = beside.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
    let synchronous: i64 = beside.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!((journal.as_str(), synchronous), ("wal", 2), "2 is FULL");
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    std::fs::write(
        &path,
        "this is no database, but long enough to be read as the header of one: ".repeat(20),
    )
    .unwrap();
    let refused = open(Some(&path), None).err().unwrap().to_string();
    assert!(refused.contains("t.db"), "{refused}");
}

//! From an operation's name and JSON to the embedded table and back, as DynamoDB's endpoint does it.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Meter;

/// Runs one request: the status and the JSON body of its answer.
pub(crate) fn run(database: &Database, meter: &Meter, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
    dispatch(database, meter, operation, body).unwrap_or_else(|error| {
        tracing::debug!(operation, %error, "the embedded table refused");
        (error.status_code(), error.to_json().into_bytes())
    })
}

/// A refusal as DynamoDB words it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> (u16, Vec<u8>) {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (status, serde_json::json!({ "__type": kind, "message": message }).to_string().into_bytes())
}

/// Calls one operation with its consumption counted, whether the caller asked for that or not.
macro_rules! metered {
    ($count:ident, $database:ident . $call:ident, $meter:ident, $request:expr) => {{
        let mut request = $request;
        let asked = request.return_consumed_capacity.is_some();
        request.return_consumed_capacity.get_or_insert_with(|| "TOTAL".to_owned());
        let mut answer = $database.$call(request)?;
        $meter.$count(&answer.consumed_capacity);
        if !asked {
            answer.consumed_capacity = None;
        }
        encode(&answer)
    }};
}

fn dispatch(
    database: &Database,
    meter: &Meter,
    operation: &str,
    body: &[u8],
) -> Result<(u16, Vec<u8>), DynoxideError> {
    use dynoxide::actions as a;
    match operation {
        "GetItem" => metered!(read, database.get_item, meter, decode::<a::get_item::GetItemRequest>(body)?),
        "Query" => metered!(read, database.query, meter, decode::<a::query::QueryRequest>(body)?),
        "BatchGetItem" => {
            metered!(
                read,
                database.batch_get_item,
                meter,
                decode::<a::batch_get_item::BatchGetItemRequest>(body)?
            )
        }
        "TransactGetItems" => {
            let request = decode::<a::transact_get_items::TransactGetItemsRequest>(body)?;
            metered!(read, database.transact_get_items, meter, request)
        }
        "PutItem" => metered!(write, database.put_item, meter, decode::<a::put_item::PutItemRequest>(body)?),
        "UpdateItem" => {
            metered!(write, database.update_item, meter, decode::<a::update_item::UpdateItemRequest>(body)?)
        }
        "DeleteItem" => {
            metered!(write, database.delete_item, meter, decode::<a::delete_item::DeleteItemRequest>(body)?)
        }
        "BatchWriteItem" => {
            let request = decode::<a::batch_write_item::BatchWriteItemRequest>(body)?;
            metered!(write, database.batch_write_item, meter, request)
        }
        "TransactWriteItems" => {
            let request = decode::<a::transact_write_items::TransactWriteItemsRequest>(body)?;
            metered!(write, database.transact_write_items, meter, request)
        }
        "CreateTable" => encode(&database.create_table(decode(body)?)?),
        "DescribeTable" => encode(&database.describe_table(decode(body)?)?),
        "DeleteTable" => encode(&database.delete_table(decode(body)?)?),
        "ListTables" => encode(&database.list_tables(decode(body)?)?),
        "UpdateTimeToLive" => encode(&database.update_time_to_live(decode(body)?)?),
        "DescribeTimeToLive" => encode(&database.describe_time_to_live(decode(body)?)?),
        // Scan is left out on purpose: no path of ours takes it, and a test that did would not notice otherwise.
        other => {
            Ok(refusal(400, "UnknownOperationException", &format!("`{other}` is not served in process")))
        }
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        // dynoxide's types mark their messages (`VALIDATION:...`) for its own endpoint, which strips the mark.
        let unmarked = match message.split_once(':') {
            Some((mark, rest)) if mark.chars().all(|c| c.is_ascii_uppercase() || c == '_') => rest,
            _ => &message,
        };
        DynoxideError::ValidationException(unmarked.to_owned())
    })
}

fn encode<T: Serialize>(answer: &T) -> Result<(u16, Vec<u8>), DynoxideError> {
    match serde_json::to_vec(answer) {
        Ok(body) => Ok((200, body)),
        Err(error) => Err(DynoxideError::InternalServerError(error.to_string())),
    }
}

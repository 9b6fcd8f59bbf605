//! The table's shape, for places without a template: the embedded system and tests. `infra/template.yaml` says the same.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::failure::classify;
use crate::{Store, StoreError};

/// The index of lists by time.
pub(crate) const BY_GROUP: &str = "by_group";
/// The index of what is still to be done.
pub(crate) const OPEN: &str = "open";

impl Store {
    /// Creates the table unless it is there: on demand, both indexes with keys only, time to live on `ttl`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the table may not be created; [`StoreError::Unavailable`] without an answer.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let refused =
            |error: BuildError| StoreError::Refused { operation: "create table", source: error.into() };
        let mut request = self
            .client
            .create_table()
            .table_name(&*self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema("pk", "sk").map_err(refused)?))
            .global_secondary_indexes(index(BY_GROUP, "g1pk", "g1sk").map_err(refused)?)
            .global_secondary_indexes(index(OPEN, "g2pk", "g2sk").map_err(refused)?);
        for name in ["pk", "sk", "g1pk", "g1sk", "g2pk", "g2sk"] {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            let attribute = attribute.attribute_type(ScalarAttributeType::S).build().map_err(refused)?;
            request = request.attribute_definitions(attribute);
        }
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {}
            Err(error) => return Err(classify(error).into_error("create table", 1)),
        }
        // Also for a table that is there: the one who created it may have been killed before this.
        if self.has_time_to_live().await? { Ok(()) } else { self.enable_time_to_live().await }
    }

    async fn has_time_to_live(&self) -> Result<bool, StoreError> {
        match self.client.describe_time_to_live().table_name(&*self.table).send().await {
            Ok(answer) => {
                let status = answer.time_to_live_description().and_then(|found| found.time_to_live_status());
                Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
            }
            Err(error) => Err(classify(error).into_error("describe time to live", 1)),
        }
    }

    async fn enable_time_to_live(&self) -> Result<(), StoreError> {
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name("ttl").build();
        let specification = specification.map_err(|error| StoreError::Refused {
            operation: "enable time to live",
            source: error.into(),
        })?;
        let request = self.client.update_time_to_live().table_name(&*self.table);
        match request.time_to_live_specification(specification).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(classify(error).into_error("enable time to live", 1)),
        }
    }
}

fn key_schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build())
        .collect()
}

fn index(name: &str, partition: &str, sort: &str) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key_schema(partition, sort)?))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
}

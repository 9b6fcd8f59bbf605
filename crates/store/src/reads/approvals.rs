//! Approvals: one, those of a release, and those that somebody may decide.

use pilothouse_domain::approval::{Approval, ApprovalLink};
use pilothouse_domain::ids::{ApprovalId, LinkId, ReleaseId};
use pilothouse_domain::pipeline::Approver;
use pilothouse_domain::token::{Principal, Role};

use crate::records::approval::{self, OPEN, SEVERAL};
use crate::records::approval_link;
use crate::records::release_partition;
use crate::{Cursor, Page, Store, StoreError, Versioned};

impl Store {
    /// An approval of a release.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn approval(
        &self,
        release: &ReleaseId,
        id: &ApprovalId,
    ) -> Result<Option<Versioned<Approval>>, StoreError> {
        self.get(&approval::key(release, id)).await
    }

    /// An approval by its id alone. One that was opened a moment ago may not be found yet.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn approval_by_id(&self, id: &ApprovalId) -> Result<Option<Versioned<Approval>>, StoreError> {
        let found = self.query_group(&approval::by_id(id), "", false, 1, None).await?;
        Ok(found.items.into_iter().next())
    }

    /// The approvals of a release, in the order in which they were opened.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn approvals(&self, release: &ReleaseId) -> Result<Vec<Versioned<Approval>>, StoreError> {
        self.partition_under(&release_partition(release), approval::PREFIX).await?.all()
    }

    /// A single-use approval link.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn approval_link(&self, id: &LinkId) -> Result<Option<Versioned<ApprovalLink>>, StoreError> {
        self.get(&approval_link::key(id)).await
    }

    /// The pending approvals that ask `who` now, list by list: those of the role, those of the person, those of
    /// several approvers; in each the oldest first. An administrator sees all.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn open_approvals(
        &self,
        who: &Principal,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Approval>, StoreError> {
        if who.role == Role::Admin {
            return self.query_open(OPEN, "", limit, cursor).await;
        }
        let lists = [
            approval::of_approver(&Approver::Role(who.role.to_string())),
            approval::of_approver(&Approver::User(who.name.clone())),
            SEVERAL.to_owned(),
        ];
        let (mut list, mut inner) = cursor.map_or(Ok((0, None)), |cursor| cursor.in_list(lists.len()))?;
        let mut items = Vec::new();
        while let Some(prefix) = lists.get(list) {
            let left = limit.max(1) - u32::try_from(items.len()).unwrap_or(u32::MAX);
            let page = self.query_open::<Approval>(OPEN, prefix, left, inner.as_ref()).await?;
            items.extend(page.items.into_iter().filter(|item| item.record.asks(who)));
            inner = page.next;
            if inner.is_none() {
                list += 1;
            }
            if items.len() >= usize::try_from(limit.max(1)).unwrap_or(usize::MAX) {
                break;
            }
        }
        let next = (list < lists.len()).then(|| Cursor::of_list(list, inner.as_ref()));
        Ok(Page { items, next })
    }
}

//! Checking stored relations on behalf of whoever looks at a folder: a session reads them, as any query would.

use crate::session::Session;
use catalog::Relation;
use exec::ddl_services::VerifiedRelation;
use std::sync::Arc;
use storage::audit::Audit;
use types::Result;

impl Session {
    /// The relations of this session's database that have rows of their own, in order of id.
    pub fn stored_relations(&mut self) -> Result<Vec<Arc<Relation>>> {
        self.refresh()?;
        let database = self.state().database;
        let all = self.catalog.snapshot().relations();
        Ok(all.filter(|r| r.database == database && r.has_rows() && !r.is_temporary).cloned().collect())
    }

    /// `SqlServices::verify`, in a transaction of its own that is rolled back.
    pub async fn verify(&mut self, relation: &Arc<Relation>, audit: &mut dyn Audit) -> Result<VerifiedRelation> {
        self.refresh()?;
        let begun = self.begin_statement().await;
        let verified = match begun.and_then(|()| self.services()) {
            Ok(services) => {
                let catalog = self.catalog.snapshot().clone();
                services.verify(&catalog, relation, audit).await
            }
            Err(error) => Err(error),
        };
        self.abort();
        verified
    }
}

//! The adapter from a session to the wire: makes the backends that serve connections.

use crate::engine::Engine;
use async_trait::async_trait;
use std::sync::Arc;
use types::SqlError;
use wire::{Backend, BackendFactory, Role, StartupParameters};

struct Factory {
    engine: Arc<Engine>,
}

/// The node's backends.
pub fn factory(engine: Arc<Engine>) -> Arc<dyn BackendFactory> {
    Arc::new(Factory { engine })
}

#[async_trait]
impl BackendFactory for Factory {
    async fn role(&self, user: &str) -> Result<Option<Role>, SqlError> {
        let snapshot = self.engine.catalog.current();
        let role = snapshot.role_by_name(user).filter(|role| role.can_login);
        Ok(role.map(|role| Role { verifier: role.password.clone(), superuser: role.is_superuser }))
    }

    async fn connect(&self, _parameters: StartupParameters) -> Result<Box<dyn Backend>, SqlError> {
        Err(SqlError::unsupported("sessions are not served yet"))
    }
}

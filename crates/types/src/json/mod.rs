//! `json` and `jsonb`: strict parser, binary form with sorted keys, paths and operators.

use std::sync::Arc;

/// A jsonb value in Hyrax's binary form (also the form of a row's document tail).
#[derive(Clone, Debug)]
pub struct Jsonb(Arc<[u8]>);

impl Jsonb {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

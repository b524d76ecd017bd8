//! Level 5. A client's session without a socket: settings, statements, portals, the state of its transaction.
//!
//! Owns what PostgreSQL calls a backend's session; `wire`'s connections, the HTTP API and the simulator all drive it. Knows no
//! sockets and no message formats: answers go to a `Sink`.
//!
//! Where to start: `session` (both protocols' entry), `query` (running one statement), `transaction` (what begins and ends with
//! it), `state` (what running statements see of the session), `planning`, `statement` and `portal`.

mod advisory;
pub mod block;
mod conflicts;
mod copy;
mod cursor;
mod derived;
mod explain;
mod extended;
mod feed;
pub mod formats;
mod live;
mod locks;
mod mailbox;
mod maintenance;
mod named;
mod online;
mod planning;
mod portal;
mod prepared;
mod put_off;
mod query;
mod queue;
mod random;
mod replay;
mod rewritten;
mod roles;
mod row_store;
pub mod search_path;
mod session;
pub mod settings;
mod shared;
mod sink;
mod snapshots;
mod state;
mod statement;
mod template;
mod tokens;
mod transaction;
mod utility;
mod verify;

pub use extended::Binding;
pub use mailbox::Notification;
pub use session::{Login, Outcome, Session};
pub use shared::Shared;
pub use sink::{Sink, SinkMark};
pub use state::SessionState;

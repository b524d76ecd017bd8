//! Level 5. A client's state without a socket: settings, prepared statements, portals, the state of its transaction.
//!
//! Owns what PostgreSQL calls a backend's session; `wire`, the HTTP API and the simulator all drive it. Knows no sockets
//! and no message formats.

pub mod block;
pub mod formats;
pub mod search_path;
pub mod settings;

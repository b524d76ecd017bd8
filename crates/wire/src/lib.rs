//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2, served for a [`Backend`].
//!
//! Owns everything between the socket and the session: start-up negotiation, TLS, authentication, framing, the
//! simple, extended and COPY message flows, cancel keys, connection limits. It knows no SQL: a [`BackendFactory`]
//! makes one [`Backend`] for each connection, and the backend writes its rows straight into the connection's
//! [`Output`] buffer.
//!
//! Promises: no message a client can send makes this crate panic or buffer more than a named bound; after an error in
//! the extended protocol nothing is executed until Sync; the socket is written once for each Sync, Flush or Query and
//! whenever the output buffer is full, and at no other time; a client that does not read stops its own query
//! (backpressure), no one else's.

mod auth;
mod backend;
mod cancel;
mod connection;
mod copy;
mod decode;
mod extended;
mod latency;
mod limits;
mod linger;
mod listener;
mod output;
mod scram;
mod socket;
mod startup;
mod tls;
mod vigil;

pub use auth::AuthMethod;
pub use backend::{
    Backend, BackendFactory, Bind, Cancel, CancelFuture, Encryption, Format, Outcome, Role, StartupParameters,
    TransactionStatus,
};
pub use latency::{Latency, LatencyReport};
pub use limits::{MESSAGE_LIMIT, OUTPUT_BUFFER, STARTUP_LIMIT};
pub use listener::{Phase, Service, Settings, serve};
pub use output::{Column, Output, OutputMark, Row};
pub use scram::Verifier;
pub use tls::{TlsConfig, TlsError, server_config};
pub use vigil::EndFuture;

/// PostgreSQL's version that Hyrax answers as.
pub const POSTGRES_VERSION: &str = "15.18";

/// What `SHOW server_version` and the ParameterStatus say.
pub fn server_version() -> String {
    format!("{POSTGRES_VERSION} (Hyrax {})", env!("CARGO_PKG_VERSION"))
}

//! The HTTP port: whether the node lives, whether it serves, what it counts.
//!
//! `/health` answers as soon as the process runs; `/ready` only while SQL is served, 503 before and while it drains;
//! `/metrics` is Prometheus' text format. The port is open before the log is replayed, so that a slow start can be watched.

mod metrics;

pub use metrics::Recorder;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::net::TcpListener;

/// Where the node is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    Starting,
    Ready,
    Draining,
}

/// What the port tells of.
pub struct Status {
    stage: AtomicU8,
    pub service: OnceLock<Arc<wire::Service>>,
    recorder: Recorder,
}

impl Status {
    pub fn new(recorder: Recorder) -> Arc<Status> {
        Arc::new(Status { stage: AtomicU8::new(Stage::Starting as u8), service: OnceLock::new(), recorder })
    }

    pub fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    fn stage(&self) -> &'static str {
        match self.stage.load(Ordering::Acquire) {
            stage if stage == Stage::Ready as u8 => "ready",
            stage if stage == Stage::Starting as u8 => "starting",
            _ => "draining",
        }
    }
}

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, status: Arc<Status>) {
    let router = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(all_metrics))
        .with_state(status);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP port failed");
    }
}

async fn ready(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let stage = status.stage();
    let code = if stage == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{stage}\n"))
}

async fn all_metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let text = status.recorder.render(status.service.get().map(Arc::as_ref));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

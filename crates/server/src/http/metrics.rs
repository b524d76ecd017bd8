//! Metrics: one recorder for the process, rendered in Prometheus' text format.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// How often histograms are emptied into their buckets when nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bounds of everything that is measured in seconds.
const SECONDS: &[f64] = &[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// The process's recorder. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(Option<PrometheusHandle>);

impl Recorder {
    /// Installs it before anything counts; in a process with several nodes they share it.
    pub fn install() -> Recorder {
        static INSTALLED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(metrics_exporter_prometheus::Matcher::Suffix("_seconds".to_owned()), SECONDS)
                .ok()?
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            Some(handle)
        });
        Recorder(handle.clone())
    }

    /// For ever: bounds the memory of histograms.
    pub async fn upkeep(self) {
        loop {
            host::clock::sleep(UPKEEP).await;
            if let Some(handle) = &self.0 {
                handle.run_upkeep();
            }
        }
    }

    pub fn render(&self, service: Option<&wire::Service>) -> String {
        if let Some(service) = service {
            metrics::gauge!("hyrax_sql_connections").set(service.connections() as f64);
        }
        match &self.0 {
            Some(handle) => handle.render(),
            None => String::new(),
        }
    }
}

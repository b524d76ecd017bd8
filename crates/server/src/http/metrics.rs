//! Metrics: one recorder for the process, rendered in Prometheus' text format.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::fmt::Write;
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
        let mut text = self.0.as_ref().map(PrometheusHandle::render).unwrap_or_default();
        if let Some(service) = service {
            put_latency(&mut text, &service.latency().report());
        }
        text
    }
}

/// The wire keeps its own histogram, because it counts every statement.
fn put_latency(text: &mut String, report: &wire::LatencyReport) {
    const NAME: &str = "hyrax_sql_statement_seconds";
    let _ = writeln!(text, "# HELP {NAME} How long query strings and executions of portals take.");
    let _ = writeln!(text, "# TYPE {NAME} histogram");
    for (bound, count) in &report.buckets {
        let _ = writeln!(text, "{NAME}_bucket{{le=\"{bound}\"}} {count}");
    }
    let _ = writeln!(text, "{NAME}_bucket{{le=\"+Inf\"}} {}", report.count);
    let _ = writeln!(text, "{NAME}_sum {}\n{NAME}_count {}", report.sum_seconds, report.count);
}

//! `GET /metrics`: Prometheus text exposition format 0.0.4.

use super::Shared;
use crate::{
    counters::{Balance, DropReason, RejectRule},
    metrics::{Metric, MetricKind, Sample},
};
use axum::{
    extract::State,
    http::{HeaderName, header},
};
use std::{fmt::Write, sync::Arc};

/// The format's own content type.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All values of one reading, so that the equation of the counters holds in what is shown.
fn balance_samples(balance: &Balance) -> Vec<Sample> {
    let mut samples = vec![
        Sample::new(Metric::EventsReceived, balance.received),
        Sample::new(Metric::EventsRecovered, balance.recovered),
        Sample::new(Metric::EventsStored, balance.stored),
        Sample::new(Metric::EventsInFlight, balance.in_flight),
        Sample::new(Metric::LostBeacons, balance.lost_beacons),
    ];
    let reasons = DropReason::ALL.iter().map(|reason| reason.as_str()).zip(&balance.dropped);
    let rules = || RejectRule::ALL.iter().map(|rule| rule.as_str());
    let labelled = |metric, name| {
        move |(value, count): (&'static str, &u64)| Sample {
            metric,
            label: Some((name, value.to_owned())),
            value: *count,
        }
    };
    samples.extend(reasons.map(labelled(Metric::EventsDropped, "reason")));
    samples.extend(rules().zip(&balance.rejected).map(labelled(Metric::EventsRejected, "rule")));
    samples.extend(rules().zip(&balance.undecodable_by_rule).map(labelled(Metric::UndecodableBeacons, "rule")));
    samples
}

fn exposition(samples: &[Sample]) -> String {
    let mut text = String::new();
    for metric in Metric::ALL {
        let mut values = samples.iter().filter(|sample| sample.metric == *metric).peekable();
        if values.peek().is_none() {
            continue;
        }
        let kind = match metric.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        let name = metric.name();
        line(&mut text, format_args!("# HELP {name} {}", metric.help()));
        line(&mut text, format_args!("# TYPE {name} {kind}"));
        for Sample { label, value, .. } in values {
            match label {
                None => line(&mut text, format_args!("{name} {value}")),
                Some((label, of)) => line(&mut text, format_args!("{name}{{{label}=\"{}\"}} {value}", escaped(of))),
            }
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail; should it ever, the line is missing.
    if writeln!(text, "{arguments}").is_err() {
        tracing::error!("A metric could not be written");
    }
}

/// Label values escape backslash, quote and line feed.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `GET /metrics`
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> ([(HeaderName, &'static str); 1], String) {
    let mut samples = balance_samples(&shared.services.counters.balance());
    samples.extend(shared.services.metrics.iter().flat_map(|source| source.samples()));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], exposition(&samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    #[test]
    fn every_counter_is_shown_once_with_help_and_type_and_the_sum_is_right() {
        let counters = Counters::default();
        counters.receive(10);
        counters.recover(2);
        counters.store(5);
        counters.drop_events(DropReason::Residential, 3);
        counters.reject(RejectRule::Consent, 1);
        counters.undecodable(RejectRule::Malformed);
        counters.lose(4);
        let text = exposition(&balance_samples(&counters.balance()));
        for expected in [
            "# HELP firmsight_events_received_total Events decoded from beacons since the start.\n",
            "# TYPE firmsight_events_received_total counter\nfirmsight_events_received_total 10\n",
            "firmsight_events_recovered_total 2\n",
            "firmsight_events_stored_total 5\n",
            "firmsight_events_dropped_total{reason=\"residential\"} 3\n",
            "firmsight_events_rejected_total{rule=\"consent\"} 1\n",
            "# TYPE firmsight_events_in_flight gauge\nfirmsight_events_in_flight 3\n",
            "firmsight_undecodable_beacons_total{rule=\"malformed\"} 1\n",
            "firmsight_lost_beacons_total 4\n",
        ] {
            assert_eq!(text.matches(expected).count(), 1, "{expected} in {text}");
        }
        assert_eq!(text.matches("_dropped_total{").count(), DropReason::ALL.len());
        assert_eq!(text.matches("events_rejected_total{").count(), RejectRule::ALL.len());
    }

    #[test]
    fn label_values_are_escaped() {
        let label = Some(("reason", "a\"b\\c\nd".to_owned()));
        let text = exposition(&[Sample { metric: Metric::EventsDropped, label, value: 1 }]);
        assert!(text.ends_with("{reason=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    }
}

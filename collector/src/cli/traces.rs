//! OpenTelemetry traces of what a server does, sent over OTLP/HTTP where a collector for them is named.
//!
//! Only spans of the target `firmsight` go there: rounds of the pipeline and requests of the reports API, with counts, routes
//! and durations. None has an address, a name, a query string or anything of a visitor: see each `instrument` for its fields.
//! Beacons have no spans; `/metrics` counts them.

use super::CliError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{pin::Pin, time::Duration};
use tokio::{runtime::Handle, time::timeout};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// The one target whose spans are sent.
const TARGET: &str = "firmsight";
/// How long a batch of spans may take to be sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Sends spans until it is told to stop.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Prepares to send to this address (`http://host:4318`, with `/v1/traces` appended where it has no path).
    pub(super) fn to(address: &str, runtime: Handle) -> Result<Self, CliError> {
        let has_path = address.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let address = if has_path { address.to_owned() } else { format!("{address}/v1/traces") };
        let failed = |error: &dyn std::fmt::Display| CliError::Log(format!("log.traces_to: {error}"));
        let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| failed(&error))?;
        let connector = connector.https_or_http().enable_http1().build();
        let client = RuntimeClient { runtime, client: Client::builder(TokioExecutor::new()).build(connector) };
        let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(address);
        let exporter = exporter.build().map_err(|error| failed(&error))?;
        let resource = Resource::builder().with_service_name("firmsight").build();
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
    }

    /// What takes the spans.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(TARGET))
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Sends what is left. The runtime must still run, and this thread must not be one of its own.
    pub(super) fn stop(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The exporter works in a thread of its own; connections live in the runtime.
#[derive(Debug)]
struct RuntimeClient {
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient for RuntimeClient {
    fn send_bytes<'client, 'sending>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'client: 'sending,
        Self: 'sending,
    {
        let client = self.client.clone();
        let sending = async move {
            let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        // The timer, too, needs the runtime to be made in.
        let sending = self.runtime.spawn(async move { timeout(PATIENCE, sending).await });
        Box::pin(async move { sending.await?? })
    }
}

//! Layouts that are documented by those who write them. They stand here in nginx's syntax; names that mean nothing to us are
//! the documents' own.

use super::{Format, layout::Layout, nginx};
use std::sync::OnceLock;

/// A layout and whose it is.
struct Known {
    format: Format,
    /// How its lines begin, where that can be said: the next word is one of these.
    first_words: &'static [&'static str],
    layout: &'static str,
}

const KNOWN: &[Known] = &[
    // docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html: "ignore any fields at the end".
    Known {
        format: Format::Alb,
        first_words: &["http", "https", "h2", "ws", "wss", "grpcs"],
        layout: r#"$type $time_iso8601 $elb $client_and_port $target $request_processing_time $target_processing_time $response_processing_time $status $target_status $received_bytes $sent_bytes "$request" "$http_user_agent" "#,
    },
    // …/classic/access-log-collection.html
    Known {
        format: Format::Elb,
        first_words: &[],
        layout: r#"$time_iso8601 $elb $client_and_port $backend $request_processing_time $backend_processing_time $response_processing_time $status $backend_status $received_bytes $sent_bytes "$request" "$http_user_agent" "#,
    },
    // docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html. Its host is S3's own, never the site's.
    Known {
        format: Format::S3,
        first_words: &[],
        layout: r#"$bucket_owner $bucket [$time_local] $remote_addr $requester $request_id $operation $key "$request" $status $error_code $bytes_sent $object_size $total_time $turn_around_time "$http_referer" "$http_user_agent""#,
    },
    // docs.haproxy.org, 8.2.3 "HTTP log format". Captured headers, whose names only the configuration has, are part of $queues here.
    Known {
        format: Format::Haproxy,
        first_words: &[],
        layout: r#"$client_and_port [$time_haproxy] $frontend $backend $timers $status $bytes_read $request_cookie $response_cookie $termination $connections $queues "$request""#,
    },
    // envoyproxy.io, "Default format string", which Istio's begins with.
    Known {
        format: Format::Envoy,
        first_words: &[],
        layout: r#"[$time_iso8601] "$request" $status $flags $bytes_received $bytes_sent $duration $upstream_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$host" "$upstream_host""#,
    },
];

/// All that could read a line which begins so, compiled once.
pub(super) fn candidates(line: &str) -> impl Iterator<Item = (Format, &'static Layout)> + '_ {
    static COMPILED: OnceLock<Vec<(&'static Known, Layout)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let compiled =
            KNOWN.iter().filter_map(|known| Some((known, nginx::compile(known.layout, "x-forwarded-for").ok()?)));
        compiled.map(|(known, layout)| (known, layout.open_ended())).collect()
    });
    let first_word = line.split(' ').next().unwrap_or_default();
    compiled
        .iter()
        .filter(move |(known, _)| known.first_words.is_empty() || known.first_words.contains(&first_word))
        .map(|(known, layout)| (known.format, layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_compiles() {
        for known in KNOWN {
            nginx::compile(known.layout, "x-forwarded-for").unwrap_or_else(|error| panic!("{}: {error}", known.format));
        }
        assert_eq!(candidates("h2 2018").count(), KNOWN.len());
    }
}

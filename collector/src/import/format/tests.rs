//! One line of each format, as its writer writes it, and lines that are none.

use super::*;
use crate::{spool::record::ClientAddress, time::UnixMillis};

fn recognise(line: &str, before: &str) -> Result<Recognised<'static>, LineError> {
    let mut directives = Directives::default();
    directives.take_all(before.as_bytes());
    let recogniser = Recogniser::default();
    let Recognised { hit, identity } = recogniser.read(line, &directives, true)?;
    Ok(Recognised { hit: hit.into_owned(), identity: Cow::Owned(identity.into_owned()) })
}

/// What all samples say: where they have the column.
fn expected() -> Hit<'static> {
    Hit {
        client: Some(ClientAddress::Ip("192.0.2.7".parse().unwrap())),
        at: UnixMillis(1_714_557_600_000),
        method: "GET".into(),
        target: "/page?q=1".into(),
        status: 200,
        host: Some("www.example.com".into()),
        referrer: "https://example.org/".into(),
        user_agent: Some("Mozilla/5.0 (X11)".into()),
        language: String::new(),
    }
}

const FIELDS_OF_IIS: &str = "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) cs-host sc-status sc-substatus time-taken\n";
const FIELDS_OF_CLOUDFRONT: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol\n";

#[test]
fn every_format_is_read_as_its_documentation_says() {
    let no_host = || Hit { host: None, ..expected() };
    let no_agent = || Hit { user_agent: None, referrer: "".into(), ..no_host() };
    #[rustfmt::skip]
    let table: Vec<(&str, &str, &str, Hit<'static>)> = vec![
        ("nginx json", "", r#"{"remote_addr":"192.0.2.7","time_iso8601":"2024-05-01T12:00:00+02:00","request":"GET /page?q=1 HTTP/2.0","status":200,"http_referer":"https://example.org/","http_user_agent":"Mozilla/5.0 (X11)","host":"www.example.com"}"#, expected()),
        ("nginx json, other names", "", r#"{"remoteIp":"192.0.2.7","time_local":"01/May/2024:12:00:00 +0200","request_method":"GET","request_uri":"/page?q=1","status":"200","referer":"https://example.org/","user_agent":"Mozilla/5.0 (X11)","http_host":"www.Example.com:443"}"#, expected()),
        ("Matomo's", "", r#"{"ip": "192.0.2.7","host": "www.example.com","path": "/page?q=1","status": "200","referrer": "https://example.org/","user_agent": "Mozilla/5.0 (X11)","length": 9,"generation_time_milli": 0.001,"date": "2024-05-01T12:00:00+02:00"}"#, expected()),
        ("Apache json", "", r#"{"time":"[01/May/2024:12:00:00 +0200]","remoteIP":"192.0.2.7","host":"www.example.com","request":"/page","query":"?q=1","method":"GET","status":"200","userAgent":"Mozilla/5.0 (X11)","referer":"https://example.org/"}"#, expected()),
        ("Caddy", "", r#"{"level":"info","ts":1714557600.0,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.1","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"www.example.com","uri":"/page?q=1","headers":{"User-Agent":["Mozilla/5.0 (X11)"],"Referer":["https://example.org/"]}},"duration":0.01,"status":200,"resp_headers":{}}"#, expected()),
        ("Caddy, wall_milli", "", r#"{"ts":"2024/05/01 10:00:00.000","request":{"client_ip":"192.0.2.7","method":"GET","host":"www.example.com","uri":"/page?q=1","headers":{"Referer":["https://example.org/"]}},"status":200}"#, Hit { user_agent: Some("".into()), ..expected() }),
        ("Traefik", "", r#"{"ClientAddr":"192.0.2.7:50","ClientHost":"192.0.2.7","DownstreamStatus":200,"RequestHost":"www.example.com","RequestMethod":"GET","RequestPath":"/page?q=1","StartUTC":"2024-05-01T10:00:00Z","StartLocal":"2024-05-01T12:00:00+02:00","request_User-Agent":"Mozilla/5.0 (X11)","request_Referer":"https://example.org/","time":"2024-05-01T10:00:01Z"}"#, expected()),
        ("Traefik, headers dropped", "", r#"{"ClientHost":"192.0.2.7","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/page?q=1","StartUTC":"2024-05-01T10:00:00Z"}"#, no_agent()),
        ("ECS", "", r#"{"@timestamp":"2024-05-01T10:00:00.000Z","source":{"ip":"192.0.2.7"},"http":{"request":{"method":"GET","referrer":"https://example.org/"},"response":{"status_code":200}},"url":{"original":"/page?q=1","domain":"www.example.com"},"user_agent":{"original":"Mozilla/5.0 (X11)"}}"#, expected()),
        ("ECS, dotted", "", r#"{"@timestamp":"2024-05-01T10:00:00.000Z","source.ip":"192.0.2.7","http.request.method":"GET","http.request.referrer":"https://example.org/","http.response.status_code":200,"url.path":"/page","url.query":"q=1","url.domain":"www.example.com","user_agent.original":"Mozilla/5.0 (X11)"}"#, expected()),
        ("Cloudflare", "", r#"{"ClientIP":"192.0.2.7","ClientRequestHost":"www.example.com","ClientRequestMethod":"GET","ClientRequestURI":"/page?q=1","ClientRequestReferer":"https://example.org/","ClientRequestUserAgent":"Mozilla/5.0 (X11)","EdgeResponseStatus":200,"EdgeStartTimestamp":1714557600000000000}"#, expected()),
        ("Google Cloud", "", r#"{"httpRequest":{"requestMethod":"GET","requestUrl":"https://www.example.com/page?q=1","status":200,"userAgent":"Mozilla/5.0 (X11)","remoteIp":"192.0.2.7","referer":"https://example.org/"},"timestamp":"2024-05-01T10:00:00Z"}"#, Hit { target: "https://www.example.com/page?q=1".into(), ..no_host() }),
        ("escapes that are no JSON", "", r#"{"remote_addr":"192.0.2.7","msec":"1714557600.000","request":"GET /page?q=1 HTTP/2.0","status":"200","http_referer":"https://example.org/","http_user_agent":"\x22Mozilla\x22 \u0022 \xC3\xA4"}"#, Hit { user_agent: Some("\"Mozilla\" \" ä".into()), ..no_host() }),
        ("Docker json-file", "", r#"{"log":"192.0.2.7 - - [01/May/2024:12:00:00 +0200] \"GET /page?q=1 HTTP/1.1\" 200 5 \"https://example.org/\" \"Mozilla/5.0 (X11)\"\n","stream":"stdout","time":"2024-05-01T10:00:01Z"}"#, no_host()),
        ("journald json", "", r#"{"MESSAGE":"<190>May  1 12:00:00 web nginx: 192.0.2.7 - - [01/May/2024:12:00:00 +0200] \"GET /page?q=1 HTTP/1.1\" 200 5 \"https://example.org/\" \"Mozilla/5.0 (X11)\"","_PID":"1"}"#, no_host()),
        ("IIS", FIELDS_OF_IIS, "2024-05-01 10:00:00 10.0.0.5 GET /page q=1 443 - 192.0.2.7 Mozilla/5.0+(X11) https://example.org/ www.example.com 200 0 15", expected()),
        ("CloudFront", FIELDS_OF_CLOUDFRONT, "2024-05-01\t10:00:00\tFRA2-C1\t1045619\t192.0.2.7\tGET\td111.cloudfront.net\t/page\t200\thttps://example.org/\tMozilla/5.0%2520(X11)\tq=1\t-\tHit\tid==\twww.example.com\thttps", expected()),
        ("LTSV", "", "time:[01/May/2024:12:00:00 +0200]\thost:192.0.2.7\treq:GET /page?q=1 HTTP/1.1\tstatus:200\tsize:5\treferer:https://example.org/\tua:Mozilla/5.0 (X11)\tvhost:www.example.com\treqtime:0.1", expected()),
        ("ALB", "", r#"https 2024-05-01T10:00:00.000000Z app/my-loadbalancer/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/page?q=1 HTTP/1.1" "Mozilla/5.0 (X11)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337281" "www.example.com" "arn" 1"#, Hit { target: "https://www.example.com:443/page?q=1".into(), referrer: "".into(), ..no_host() }),
        ("ELB", "", r#"2024-05-01T10:00:00.000000Z my-loadbalancer 192.0.2.7:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/page?q=1 HTTP/1.1" "Mozilla/5.0 (X11)" - -"#, Hit { target: "http://www.example.com:80/page?q=1".into(), referrer: "".into(), ..no_host() }),
        ("S3", "", r#"79a59df900b949e5 awsexamplebucket1 [01/May/2024:12:00:00 +0200] 192.0.2.7 - 3E57427F3EXAMPLE WEBSITE.GET.OBJECT page "GET /page?q=1 HTTP/1.1" 200 - 113 - 7 - "https://example.org/" "Mozilla/5.0 (X11)" - s9lzHYrFp76ZVxRcpX9+ SigV4 - - s3-website TLSV1.1 - -"#, no_host()),
        ("HAProxy", "", r#"<134>May  1 10:00:00 localhost haproxy[14389]: 192.0.2.7:33317 [01/May/2024:10:00:00.000] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {www.example.com} {} "GET /page?q=1 HTTP/1.1""#, no_agent()),
        ("Envoy", "", r#"[2024-05-01T10:00:00.000Z] "GET /page?q=1 HTTP/2" 200 - 154 0 226 100 "192.0.2.7" "Mozilla/5.0 (X11)" "cc21d9b0-cf5c" "www.example.com" "tcp://10.0.2.1:80""#, Hit { referrer: "".into(), ..expected() }),
        ("nginx in Kubernetes", "", r#"2024-05-01T10:00:00.1Z stdout F 192.0.2.7 - - [01/May/2024:12:00:00 +0200] "GET /page?q=1 HTTP/1.1" 200 5 "https://example.org/" "Mozilla/5.0 (X11)" 441 0.001 [default-web-80] [] 10.0.0.9:80 5 0.001 200 f00"#, no_host()),
    ];
    for (name, before, line, expected) in table {
        let recognised = recognise(line, before).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(recognised.hit, expected, "{name}");
    }
}

#[test]
fn a_line_is_told_by_what_counts_in_it_whatever_stands_around() {
    let line = r#"192.0.2.7 - - [01/May/2024:12:00:00 +0200] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0""#;
    for around in [line.to_owned(), format!("{line} 0.003 \"x\""), format!("<190>May  1 12:00:00 web nginx: {line}")] {
        assert_eq!(recognise(&around, "").unwrap().identity, line, "{around}");
    }
    let common = r#"192.0.2.7 - - [01/May/2024:12:00:00 +0200] "GET / HTTP/1.1" 200"#;
    assert_eq!(recognise(&format!("{common} 512"), "").unwrap().identity, common);
}

#[test]
fn a_line_that_ends_with_the_file_counts_only_when_nothing_can_follow() {
    let read =
        |line: &str| Recogniser::default().read(line, &Directives::default(), false).map(|read| read.identity.len());
    let common = r#"192.0.2.7 - - [01/May/2024:12:00:00 +0200] "GET / HTTP/1.1" 200"#;
    for (line, expected) in [
        (format!("{common} 51"), Err(LineError::Cut)),
        (common.to_owned(), Err(LineError::Cut)),
        (format!("{common} 5 \"-\" \"Moz"), Err(LineError::Columns)),
        ("time:1714557600\thost:192.0.2.7\turi:/pa".to_owned(), Err(LineError::Cut)),
        (r#"{"ip":"192.0.2.7","ts":1714557600,"uri":"/pa"#.to_owned(), Err(LineError::Json)),
    ] {
        assert_eq!(read(&line), expected, "{line}");
    }
    let whole = format!("{common} 5 \"-\" \"Mozilla/5.0\"");
    assert_eq!(read(&whole), Ok(whole.len()));
}

#[test]
fn damaged_lines_say_what_is_missing() {
    for (before, line, expected) in [
        ("", "", LineError::Time),
        ("", "garbage", LineError::Time),
        ("", "[]", LineError::Time),
        ("", "{", LineError::Json),
        ("", "{} x", LineError::Json),
        ("", r#"{"status":200}"#, LineError::Client),
        ("", r#"{"ip":"192.0.2.7","ts":1,"status":200}"#, LineError::Request),
        ("", r#"{"ip":"nobody","ts":1,"request":"GET / HTTP/1.1","status":200}"#, LineError::Client),
        ("", r#"{"ip":"192.0.2.7","request":"GET / HTTP/1.1","status":200}"#, LineError::Time),
        ("", r#"{"ip":"192.0.2.7","ts":1,"request":"GET / HTTP/1.1","status":"ok"}"#, LineError::Status),
        ("", r#"{"level":"info","msg":"serving initial configuration"}"#, LineError::Client),
        (FIELDS_OF_IIS, "2024-05-01 10:00:00 10.0.0.5 GET /page", LineError::Fields),
        ("", "2024-05-01 10:00:00 10.0.0.5 GET /page - 443 - 192.0.2.7 - - www.example.com 200 0 15", LineError::Time),
    ] {
        assert_eq!(recognise(line, before).unwrap_err(), expected, "{line}");
    }
}

#[test]
fn a_format_that_was_named_reads_no_other() {
    let combined = r#"192.0.2.7 - - [01/May/2024:12:00:00 +0200] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0""#;
    let caddy = r#"{"ts":1,"request":{"client_ip":"192.0.2.7","method":"GET","uri":"/"},"status":200}"#;
    for (format, line, reads) in [
        (Format::Combined, combined, true),
        (Format::Common, combined, true),
        (Format::Json, combined, false),
        (Format::Haproxy, combined, false),
        (Format::Caddy, caddy, true),
        (Format::Combined, caddy, false),
        (Format::Ecs, caddy, false),
    ] {
        let recogniser = Recogniser::new(Forms::Only(format), Reading::default());
        assert_eq!(recogniser.read(line, &Directives::default(), true).is_ok(), reads, "{format}: {line}");
    }
}

proptest::proptest! {
    #[test]
    fn no_line_makes_a_parser_panic(line in "[ -~\t\u{e4}\u{1b}]{0,300}") {
        let mut directives = Directives::default();
        directives.take(FIELDS_OF_IIS.lines().last().unwrap_or_default());
        let recogniser = Recogniser::default();
        drop(recogniser.read(&line, &directives, false));
        drop(compile(&line, "x-forwarded-for"));
    }
}

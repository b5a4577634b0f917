//! JSON access logs: what nginx's `log_format … escape=json` usually writes, and Caddy's own.

use super::{
    Hit, LineError, absent_is_empty, client, common_time, host, iso_time, language, request_line, status, unix_time,
};
use crate::time::UnixMillis;
use serde_json::{Map, Value};

/// One object with nginx's variable names or their usual variations; the first name present counts.
pub(super) fn nginx(line: &[u8]) -> Result<Hit, LineError> {
    let object = object(line)?;
    let text = |names: &[&str]| first(&object, names).map(|text| absent_is_empty(&text).to_owned());
    let address = text(&["remote_addr", "client_ip", "remote_ip", "clientip", "remote_host", "client", "ip"]);
    let (method, target) = match text(&["request", "request_line"]) {
        Some(request) => request_line(&request).unwrap_or_default(),
        None => (
            text(&["request_method", "method", "verb"]).ok_or(LineError::Request)?,
            text(&["request_uri", "uri", "path", "url"]).ok_or(LineError::Request)?,
        ),
    };
    let agents = ["http_user_agent", "user_agent", "agent", "useragent"];
    Ok(Hit {
        client: client(&address.ok_or(LineError::Client)?)?,
        at: time(&object, &["time_iso8601", "time_local", "@timestamp", "timestamp", "time", "msec", "ts"])?,
        method,
        target,
        status: status(text(&["status", "status_code", "response"]).and_then(|text| text.parse().ok()))?,
        host: text(&["host", "http_host", "server_name", "vhost", "virtual_host"]).and_then(|text| host(&text)),
        referrer: text(&["http_referer", "http_referrer", "referer", "referrer"]).unwrap_or_default(),
        user_agent: text(&agents),
        language: text(&["http_accept_language", "accept_language"]).map(|text| language(&text)).unwrap_or_default(),
    })
}

/// Caddy's structured access log.
pub(super) fn caddy(line: &[u8]) -> Result<Hit, LineError> {
    let object = object(line)?;
    let request = object.get("request").and_then(Value::as_object).ok_or(LineError::NotAccess)?;
    let text = |names: &[&str]| first(request, names);
    let header = |name: &str| {
        let headers = request.get("headers").and_then(Value::as_object)?;
        let (_, values) = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        values.as_array().and_then(|values| values.first()).and_then(Value::as_str).map(str::to_owned)
    };
    let address = text(&["client_ip", "remote_ip", "remote_addr"]).ok_or(LineError::Client)?;
    Ok(Hit {
        client: client(&address)?,
        at: time(&object, &["ts"])?,
        method: text(&["method"]).ok_or(LineError::Request)?,
        target: text(&["uri"]).ok_or(LineError::Request)?,
        status: status(object.get("status").and_then(Value::as_u64))?,
        host: text(&["host"]).and_then(|text| host(&text)),
        referrer: header("Referer").unwrap_or_default(),
        user_agent: Some(header("User-Agent").unwrap_or_default()),
        language: header("Accept-Language").map(|text| language(&text)).unwrap_or_default(),
    })
}

fn object(line: &[u8]) -> Result<Map<String, Value>, LineError> {
    match serde_json::from_str(&String::from_utf8_lossy(line)) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(LineError::Json),
    }
}

fn first(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match object.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn time(object: &Map<String, Value>, names: &[&str]) -> Result<UnixMillis, LineError> {
    let text = first(object, names).ok_or(LineError::Time)?;
    match text.parse::<f64>() {
        Ok(number) => unix_time(number),
        Err(_) => iso_time(&text).or_else(|_| common_time(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::record::ClientAddress;

    fn hit() -> Hit {
        Hit {
            client: ClientAddress::Ip("192.0.2.7".parse().unwrap()),
            at: UnixMillis(1_714_557_600_000),
            method: "GET".into(),
            target: "/page?q=1".into(),
            status: 200,
            host: Some("example.com".into()),
            referrer: "https://example.org/".into(),
            user_agent: Some("Mozilla/5.0".into()),
            language: "de-DE".into(),
        }
    }

    #[test]
    fn nginx_objects_are_read_under_all_usual_names() {
        for line in [
            r#"{"remote_addr":"192.0.2.7","time_iso8601":"2024-05-01T12:00:00+02:00","request":"GET /page?q=1 HTTP/2.0","status":200,"http_referer":"https://example.org/","http_user_agent":"Mozilla/5.0","host":"example.com","http_accept_language":"de-DE,en;q=0.5"}"#,
            r#"{"remote_ip":"192.0.2.7","time_local":"01/May/2024:12:00:00 +0200","request_method":"GET","request_uri":"/page?q=1","status":"200","referer":"https://example.org/","user_agent":"Mozilla/5.0","http_host":"Example.com:443","accept_language":"de-DE"}"#,
            r#"{"clientip":"192.0.2.7","msec":"1714557600.000","verb":"GET","path":"/page?q=1","response":"200","referrer":"https://example.org/","agent":"Mozilla/5.0","vhost":"example.com","accept_language":"de-DE"}"#,
        ] {
            assert_eq!(nginx(line.as_bytes()), Ok(hit()), "{line}");
        }
    }

    #[test]
    fn nginx_objects_without_user_agent_column_have_none() {
        let line = br#"{"remote_addr":"192.0.2.7","ts":1714557600,"request":"GET / HTTP/1.1","status":200}"#;
        assert_eq!(nginx(line).unwrap().user_agent, None);
    }

    #[test]
    fn caddy_entries_are_read() {
        let line = br#"{"level":"info","ts":1714557600.0,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"4","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"example.com","uri":"/page?q=1","headers":{"User-Agent":["Mozilla/5.0"],"Referer":["https://example.org/"],"Accept-Language":["de-DE,de;q=0.9"]}},"bytes_read":0,"duration":0.01,"size":10900,"status":200,"resp_headers":{}}"#;
        assert_eq!(caddy(line), Ok(hit()));
    }

    #[test]
    fn damaged_objects_say_what_is_missing() {
        for (line, expected) in [
            ("", LineError::Json),
            ("[]", LineError::Json),
            (r#"{"status":200}"#, LineError::Request),
            (r#"{"request":"GET / HTTP/1.1","status":200}"#, LineError::Client),
            (r#"{"ip":"192.0.2.7","request":"GET / HTTP/1.1","status":200}"#, LineError::Time),
            (r#"{"ip":"192.0.2.7","ts":1,"request":"GET / HTTP/1.1","status":"ok"}"#, LineError::Status),
        ] {
            assert_eq!(nginx(line.as_bytes()), Err(expected), "{line}");
        }
        assert_eq!(caddy(br#"{"level":"info","msg":"serving initial configuration"}"#), Err(LineError::NotAccess));
    }
}

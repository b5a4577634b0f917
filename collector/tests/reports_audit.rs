//! What the audit log holds. Alone in its binary: a subscriber of one thread misses records of call sites that another
//! thread meets first.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use reports_support::{Api, COMPANY_ADDRESS, TOKEN};
use std::sync::{Arc, Mutex};
use support::store_away;

#[tokio::test]
async fn reads_of_company_data_are_audited_without_address_or_query() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(Writer(Arc::clone(&log)))).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let api = Api::new(store_away());
    api.get("/accounts").await;
    api.get(&format!("/companies?ip={COMPANY_ADDRESS}")).await;
    api.get("/accounts/shop/leads?start_date=2026-01-01&end_date=2026-01-31").await;
    api.get("/accounts/shop/leads/00000000000000ab").await;
    drop(guard);

    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let records: Vec<&str> = log.lines().filter(|line| line.contains(" audit: ")).collect();
    assert_eq!(records.len(), 3, "{log}");
    let key = "key=00000000-0000-0000-0000-000000000001";
    for (record, endpoint, account) in [
        (records[0], "/companies", ""),
        (records[1], "/accounts/{account}/leads", "shop"),
        (records[2], "/accounts/{account}/leads/{lead}", "shop"),
    ] {
        for part in [key, &format!("endpoint={endpoint:?}"), &format!("site={account:?}")] {
            assert!(record.contains(part), "{part} in {record}");
        }
    }
    for secret in [COMPANY_ADDRESS, "2026-01", "start_date", TOKEN, "00000000000000ab"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

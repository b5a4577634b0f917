//! What reverse DNS asks and hears is never logged: a name spells a visitor's address. A test program of its own, since the
//! subscriber is one for the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{Databases, NameAnswer, Resolver, Settings};
use std::{
    io,
    net::UdpSocket,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const NAME: &[u8] = b"\x05www77\x05apple\x03com\0";

/// A pointer to [`NAME`] as the answer to a question.
fn pointer(query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut message = query[..end].to_vec();
    message[2..4].copy_from_slice(&[0x84, 0]);
    message[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    message.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, u8::try_from(NAME.len()).unwrap()]);
    message.extend(NAME);
    message
}

#[test]
fn neither_lies_nor_answers_of_name_servers_are_logged() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).init();
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let server = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if length < 12 {
                return;
            }
            let answer = pointer(&buffer[..length]);
            let (mut number, mut question, mut class) = (answer.clone(), answer.clone(), answer.clone());
            number[0] ^= 0xff;
            question[13] ^= 1;
            let class_at = answer.len() - NAME.len() - 7;
            class[class_at] = 3;
            // Names of the first octets .1 to .4 meet another lie each before the answer.
            let lies = [number, question, vec![0], class, answer[..20].to_vec()];
            for (lie, datagram) in lies.iter().enumerate() {
                if buffer[13] == b'1' + u8::try_from(lie).unwrap() {
                    socket.send_to(datagram, from).unwrap();
                }
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    let settings = Settings { nameservers: vec![server], ptr_timeout: Duration::from_secs(10), ..Settings::default() };
    let resolver = Resolver::new(Databases::none(), settings).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut names = Vec::new();
    for last in 1..=6 {
        let verdict = runtime.block_on(resolver.resolve(format!("193.51.100.{last}").parse().unwrap()));
        names.push(verdict.ptr.clone());
    }
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().send_to(b"stop", server).unwrap();
    thread.join().unwrap();

    let unconfirmed = NameAnswer::Unconfirmed("www77.apple.com".into());
    let failed = NameAnswer::Failed;
    assert_eq!(names, [&unconfirmed, &unconfirmed, &unconfirmed, &failed, &failed, &unconfirmed].map(Clone::clone));
    tracing::trace!("the log is written");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is written"), "{log}");
    for secret in ["www77", "apple", "193.51.100", "100.51.193", "in-addr"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(!log.contains("hickory"), "{log}");
}

//! Reverse DNS against servers that are silent, slow, lying, flooding or looping.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{Databases, DnsStatistics, NameAnswer, NetworkKind, Resolver, Settings, Verdict, to_json};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

const CACHE_ENTRIES: usize = 1_000;

fn resolver(servers: &[SocketAddr], timeout: Duration, dns_concurrency: usize) -> Resolver {
    let settings = Settings {
        nameservers: servers.to_vec(),
        ptr_timeout: timeout,
        dns_concurrency,
        dns_queries_per_second: 0,
        cache_entries: CACHE_ENTRIES,
        verdict_cache_entries: 0,
        ..Settings::default()
    };
    Resolver::new(Databases::none(), settings).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn free_address() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// All verdicts of so many addresses, asked for at once.
async fn verdicts(resolver: &Resolver, addresses: u32) -> Vec<Arc<Verdict>> {
    let tasks: Vec<_> = (0..addresses)
        .map(|number| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(IpAddr::V4(Ipv4Addr::from(0x1200_0000 + number))).await })
        })
        .collect();
    let mut verdicts = Vec::new();
    for task in tasks {
        verdicts.push(task.await.unwrap());
    }
    verdicts
}

fn statistics(resolver: &Resolver) -> DnsStatistics {
    resolver.dns_statistics().unwrap()
}

#[tokio::test]
async fn final_verdicts_ask_nobody() {
    let server = UdpServer::start(|_| Vec::new());
    let resolver = resolver(&[server.address], Duration::from_millis(100), 16);
    for address in ["10.1.2.3", "127.0.0.1", "::1", "fe80::1", "::ffff:192.168.0.1"] {
        let verdict = resolver.resolve(ip(address)).await;
        assert_eq!((verdict.kind, verdict.ptr.clone()), (NetworkKind::Reserved, NameAnswer::NotAsked), "{address}");
    }
    assert_eq!(resolver.dns_statistics().unwrap().asked, 0);
}

#[test]
fn a_resolver_can_be_made_outside_a_runtime() {
    let resolver = resolver(&[free_address()], Duration::from_secs(1), 4);
    assert_eq!(resolver.local(ip("10.0.0.1")).kind, NetworkKind::Reserved);
}

/// A UDP server that answers every query with the datagrams that a function makes of it.
struct UdpServer {
    address: SocketAddr,
    socket: UdpSocket,
    thread: Option<JoinHandle<()>>,
}

/// Sent by the test itself to end a server.
const STOP: &[u8] = b"stop";

impl UdpServer {
    fn start(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let (address, own) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = own.recv_from(&mut buffer) {
                if &buffer[..length] == STOP {
                    return;
                }
                for datagram in answer(&buffer[..length]) {
                    // A client that gave up is not this server's concern.
                    drop(own.send_to(&datagram, from));
                }
            }
        });
        Self { address, socket, thread: Some(thread) }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.socket.send_to(STOP, self.address).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

const REFUSED: u8 = 5;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const A: u8 = 1;
const CNAME: u8 = 5;
const PTR: u8 = 12;

/// The query turned into an answer with `code` and the records given.
fn answer(query: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let end_of_name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let mut message = query[..end_of_name + 4].to_vec();
    message[2] = 0x84; // an authoritative answer
    message[3] = code;
    let [high, low] = u16::try_from(records.len()).unwrap().to_be_bytes();
    message[4..12].copy_from_slice(&[0, 1, high, low, 0, 0, 0, 0]);
    message.extend(records.iter().flatten());
    message
}

/// Whether the question is for an address's name.
fn asks_for_pointer(query: &[u8]) -> bool {
    let end_of_name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    query[end_of_name + 1] == PTR
}

fn encoded(labels: &[&[u8]]) -> Vec<u8> {
    let mut name = Vec::new();
    for label in labels {
        name.push(u8::try_from(label.len()).unwrap());
        name.extend(*label);
    }
    name.push(0);
    name
}

/// A record of the name in the question.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    owned(&[0xc0, 12], kind, data)
}

fn owned(owner: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend([0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
    record.extend(data);
    record
}

fn apple() -> Vec<u8> {
    encoded(&[b"www", b"apple", b"com"])
}

#[tokio::test]
async fn a_silent_server_fails_every_address_and_is_soon_left_alone() {
    let server = UdpServer::start(|_| Vec::new());
    let resolver = resolver(&[server.address], Duration::from_millis(200), 32);
    for verdict in verdicts(&resolver, 5_000).await {
        assert!(matches!(verdict.ptr, NameAnswer::Failed | NameAnswer::Skipped), "{:?}", verdict.ptr);
        assert_eq!((verdict.kind, &verdict.company), (NetworkKind::Unknown, &None));
    }
    let statistics = statistics(&resolver);
    assert_eq!(statistics.asked + statistics.skipped, 5_000);
    assert!(statistics.skipped > statistics.asked, "{statistics:?}");
    assert_eq!(statistics.servers_down, 1);
    assert!(statistics.cache_entries <= CACHE_ENTRIES, "{statistics:?}");
}

#[tokio::test]
async fn behind_a_silent_server_the_next_one_answers() {
    let silent = UdpServer::start(|_| Vec::new());
    let sound = UdpServer::start(|query| vec![answer(query, NO_SUCH_NAME, &[])]);
    let resolver = resolver(&[silent.address, sound.address], Duration::from_secs(4), 256);
    for verdict in verdicts(&resolver, 200).await {
        assert_eq!(verdict.ptr, NameAnswer::None);
    }
}

#[tokio::test]
async fn behind_a_server_that_refuses_the_next_one_is_asked() {
    let refusing = UdpServer::start(|query| vec![answer(query, REFUSED, &[])]);
    let sound = UdpServer::start(|query| vec![answer(query, NO_SUCH_NAME, &[])]);
    let resolver = resolver(&[refusing.address, sound.address], Duration::from_secs(20), 4);
    for verdict in verdicts(&resolver, 20).await {
        assert_eq!(verdict.ptr, NameAnswer::None);
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for_up_to_the_timeout_only() {
    let slow = |delay: Duration| {
        UdpServer::start(move |query| {
            let (lock, condition) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
            drop(condition.wait_timeout(lock.lock().unwrap(), delay).unwrap());
            vec![answer(query, NO_SUCH_NAME, &[])]
        })
    };
    let server = slow(Duration::from_millis(50));
    let patient = resolver(&[server.address], Duration::from_secs(20), 4);
    assert_eq!(patient.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::None);
    let server = slow(Duration::from_millis(1500));
    let hasty = resolver(&[server.address], Duration::from_millis(100), 4);
    assert_eq!(hasty.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::Failed);
}

#[tokio::test]
async fn a_lying_server_confirms_nothing() {
    type Lie = fn(&[u8]) -> Vec<Vec<u8>>;
    let unconfirmed = || NameAnswer::Unconfirmed("www.apple.com".into());
    let (patient, hasty) = (Duration::from_secs(20), Duration::from_millis(300));
    let lies: [(&str, Lie, Duration, NameAnswer); 13] = [
        (
            "the same pointer for every question, forward ones too",
            |query| vec![answer(query, 0, &[record(PTR, &apple())])],
            patient,
            unconfirmed(),
        ),
        (
            "another transaction's number",
            |query| {
                let mut message = answer(query, 0, &[record(PTR, &apple())]);
                message[0] ^= 0xff;
                vec![message]
            },
            hasty,
            NameAnswer::Failed,
        ),
        (
            "the answer to another question",
            |query| {
                let mut message = answer(query, 0, &[record(PTR, &apple())]);
                message[13] ^= 1;
                vec![message]
            },
            hasty,
            NameAnswer::Failed,
        ),
        ("noise", |_| vec![vec![0xff; 700], Vec::new()], hasty, NameAnswer::Failed),
        ("the question itself", |query| vec![query.to_vec()], hasty, NameAnswer::Failed),
        (
            "a record that claims more bytes than there are",
            |query| {
                let mut record = record(PTR, &apple());
                record[11] = 0xff;
                vec![answer(query, 0, &[record])]
            },
            hasty,
            NameAnswer::Failed,
        ),
        (
            "a pointer of another owner",
            |query| vec![answer(query, 0, &[owned(&encoded(&[b"elsewhere", b"com"]), PTR, &apple())])],
            patient,
            NameAnswer::None,
        ),
        (
            "an address of another owner for the forward question",
            |query| {
                let address = owned(&encoded(&[b"elsewhere", b"com"]), A, &[193, 51, 100, 77]);
                vec![answer(query, 0, &[if asks_for_pointer(query) { record(PTR, &apple()) } else { address }])]
            },
            patient,
            unconfirmed(),
        ),
        (
            "names that are no host names: a zero byte, spaces, a dot inside a label, none at all",
            |query| {
                let names = [
                    encoded(&[b"www\0", b"apple", b"com"]),
                    encoded(&[b"not a host", b"apple", b"com"]),
                    encoded(&[b"www.apple", b"com"]),
                    encoded(&[b"\xff\xfe", b"apple", b"com"]),
                    encoded(&[]),
                ];
                vec![answer(query, 0, &names.map(|name| record(PTR, &name)))]
            },
            patient,
            NameAnswer::None,
        ),
        ("a server failure", |query| vec![answer(query, SERVER_FAILURE, &[])], patient, NameAnswer::Failed),
        (
            "as many names for one address as a datagram holds",
            |query| {
                let names = (0..50u8).map(|n| record(PTR, &encoded(&[&[b'a' + n % 26, b'a' + n / 26], b"com"])));
                let names: Vec<_> = names.collect();
                vec![if asks_for_pointer(query) { answer(query, 0, &names) } else { answer(query, NO_SUCH_NAME, &[]) }]
            },
            patient,
            NameAnswer::Unconfirmed("aa.com".into()),
        ),
        (
            "thousands of names in a datagram of 60 kB",
            |query| vec![answer(query, 0, &(0..2_200).map(|_| record(PTR, &apple())).collect::<Vec<_>>())],
            hasty,
            NameAnswer::Failed,
        ),
        (
            "a hundred datagrams that answer nothing before each that does",
            |query| {
                let mut datagrams = vec![vec![0; 500]; 100];
                datagrams.push(answer(query, NO_SUCH_NAME, &[]));
                datagrams
            },
            patient,
            NameAnswer::None,
        ),
    ];
    for (what, lie, timeout, expected) in lies {
        let server = UdpServer::start(lie);
        let resolver = resolver(&[server.address], timeout, 4);
        let verdict = resolver.resolve(ip("193.51.100.77")).await;
        assert_eq!(verdict.ptr, expected, "{what}");
        assert_eq!(verdict.company, None, "{what}");
        assert!(statistics(&resolver).queries <= 5, "{what}: {:?}", statistics(&resolver));
    }
}

#[tokio::test]
async fn aliases_without_end_are_followed_a_few_steps_only() {
    // Each question gets an alias to a name that was never asked for: a label more than the last one.
    let server = UdpServer::start(|query| {
        let end_of_name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let mut longer = vec![1, b'x'];
        longer.extend(&query[12..end_of_name]);
        vec![answer(query, 0, &[record(CNAME, &longer)])]
    });
    let resolver = resolver(&[server.address], Duration::from_secs(20), 4);
    assert_eq!(resolver.resolve(ip("193.51.100.77")).await.ptr, NameAnswer::None);
    assert!(statistics(&resolver).queries <= 8, "{:?}", statistics(&resolver));
}

#[tokio::test]
async fn a_flood_of_lies_is_counted_and_ends() {
    let server = UdpServer::start(|_| vec![vec![0; 1_000]; 200]);
    let resolver = resolver(&[server.address], Duration::from_millis(300), 16);
    for verdict in verdicts(&resolver, 100).await {
        assert!(matches!(verdict.ptr, NameAnswer::Failed | NameAnswer::Skipped));
    }
    assert!(statistics(&resolver).ignored > 0);
}

#[tokio::test]
async fn a_verdict_without_a_name_says_why_in_its_evidence_and_in_json() {
    let server = UdpServer::start(|_| Vec::new());
    let resolver = resolver(&[server.address], Duration::from_millis(20), 64);
    let verdicts = verdicts(&resolver, 500).await;
    for (answer, state, word) in
        [(NameAnswer::Failed, "failed", "did not answer"), (NameAnswer::Skipped, "skipped", "is down")]
    {
        let verdict = verdicts.iter().find(|verdict| verdict.ptr == answer).unwrap();
        let json = to_json("18.0.0.1", verdict);
        assert_eq!(json["ptr_state"], state);
        assert!(json["evidence"].to_string().contains(word), "{json}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_fails_without_harm() {
    let resolver = resolver(&[free_address()], Duration::from_millis(500), 4);
    assert_eq!(resolver.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::Failed);
}

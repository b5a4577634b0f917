//! What keeps a connection from being held for nothing: clients that don't read, don't ask, or come in crowds.
//!
//! A connection costs a file descriptor, buffers, and a place below the listener's limit. Whoever keeps all places keeps everybody else out,
//! and needs no more for that than patience. So each way to wait has an end: a request's head and body (the listener and
//! the service see to these), an answer that nobody reads ([`WriteLimit`]), silence between requests, which HTTP/2's PINGs
//! are no exception from ([`Activity`]), and one peer has a share of the places ([`PeerShares`]).

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ipnet::IpNet;
use std::{
    collections::HashMap,
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// A client that takes less than this many bytes within the time limit, while bytes wait for it, is too slow.
const LEAST_BYTES: usize = 64 << 10;

/// A stream whose writes fail once the other end takes next to nothing for too long.
#[derive(Debug)]
pub(super) struct WriteLimit<S> {
    stream: S,
    limit: Duration,
    /// Since bytes wait: until when [`LEAST_BYTES`] must be taken, and how many were.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> WriteLimit<S> {
    pub(super) const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, waiting: None }
    }

    /// Passes on what became of a write, unless its time is over.
    fn judge(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match (written, &mut self.waiting) {
            (Poll::Pending, waiting) => {
                let limit = self.limit;
                let (deadline, _) = waiting.get_or_insert_with(|| (Box::pin(sleep(limit)), 0));
                ready!(deadline.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers")))
            }
            (Poll::Ready(Ok(count)), Some((_, taken))) => {
                *taken += count;
                if *taken >= LEAST_BYTES {
                    self.waiting = None;
                }
                Poll::Ready(Ok(count))
            }
            (written, _) => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimit<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for when all that was to be written is.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Whether requests are in progress on a connection, and since when none is.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<(usize, Instant)>>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new((0, Instant::now()))))
    }

    /// A request begins; it is in progress until the value is dropped.
    pub(super) fn begin(&self) -> InProgress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        InProgress(self.clone())
    }

    /// Resolves when no request has been in progress for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let (in_progress, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = if in_progress > 0 { Instant::now() + limit } else { since + limit };
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct InProgress(Activity);

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut activity = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *activity = (activity.0 - 1, Instant::now());
    }
}

/// An answer's body, whose request is in progress until it is sent.
#[derive(Debug)]
pub(super) struct BodyInProgress<B> {
    body: B,
    _request: InProgress,
}

impl<B> BodyInProgress<B> {
    pub(super) const fn new(body: B, request: InProgress) -> Self {
        Self { body, _request: request }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for BodyInProgress<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many connections each peer has. An IPv6 address stands for its /64.
#[derive(Clone, Debug)]
pub(super) struct PeerShares {
    most: usize,
    /// Who speaks for many, such as a proxy: without a share.
    exempt: Arc<[IpNet]>,
    counts: Arc<Mutex<HashMap<u128, usize>>>,
}

impl PeerShares {
    /// At most so many for each peer; 0 means any number.
    pub(super) fn new(most: usize, exempt: &[IpNet]) -> Self {
        Self { most, exempt: exempt.into(), counts: Arc::default() }
    }

    /// One more connection of this peer, until the value is dropped; `None` beyond its share.
    pub(super) fn take(&self, peer: IpAddr) -> Option<PeerPlace> {
        let peer = peer.to_canonical();
        if self.most == 0 || self.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(PeerPlace { shares: self.clone(), key: None });
        }
        let key = match peer {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(PeerPlace { shares: self.clone(), key: Some(key) })
    }
}

/// A place that a connection takes of its peer's share.
#[derive(Debug)]
pub(super) struct PeerPlace {
    shares: PeerShares,
    key: Option<u128>,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut counts = self.shares.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_share_and_gets_back_what_it_gives_back() {
        let shares = PeerShares::new(2, &["10.0.0.0/8".parse().unwrap()]);
        let take = |peer: &str| shares.take(peer.parse().unwrap());
        let held = [take("192.0.2.1"), take("192.0.2.1")];
        assert!(held.iter().all(Option::is_some) && take("192.0.2.1").is_none());
        assert!(take("::ffff:192.0.2.1").is_none(), "the same peer in another form");
        assert!(take("192.0.2.2").is_some());
        drop(held);
        assert!(take("192.0.2.1").is_some());
        let network: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(take).into();
        assert!(network.iter().all(Option::is_some) && take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        let proxy: Vec<_> = (0..10).map(|_| take("10.0.0.1")).collect();
        assert!(proxy.iter().all(Option::is_some));
        drop((network, proxy));
        assert!(shares.counts.lock().unwrap().is_empty(), "nothing is kept of who is gone");
        let unlimited = PeerShares::new(0, &[]);
        assert!((0..10).map(|_| unlimited.take("192.0.2.1".parse().unwrap())).all(|place| place.is_some()));
    }
}

//! How a request's body is read: within a length, a time, and a number of slow ones at once.

use super::{Inner, RETRY_AFTER_OVERLOAD, messages::text};
use crate::{counters::RejectRule, ingest::problem::Problem};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{future::Future, pin::pin, task::Poll};

impl<S> Inner<S> {
    /// Reads a body within its limits. One that has arrived already takes neither a timer nor a slot.
    pub(super) async fn read<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        limit: usize,
    ) -> Result<Bytes, (RejectRule, Problem)>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let failed = |rule: RejectRule, detail: &str| (rule, Problem::of_rule(rule, "", detail));
        let too_large = || failed(RejectRule::TooLarge, &format!("a body has at most {limit} bytes"));
        let announced = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut collected = pin!(Limited::new(body, limit).collect());
        let first = std::future::poll_fn(|context| Poll::Ready(collected.as_mut().poll(context))).await;
        let collected = match first {
            Poll::Ready(collected) => collected,
            Poll::Pending => {
                let Ok(_slot) = self.body_slots.try_acquire() else {
                    let (rule, mut problem) = failed(RejectRule::Overloaded, "too many slow bodies at once");
                    problem.retry_after = Some(RETRY_AFTER_OVERLOAD);
                    return Err((rule, problem));
                };
                match tokio::time::timeout(self.settings.body_timeout, collected).await {
                    Ok(collected) => collected,
                    Err(_) => return Err(failed(RejectRule::Timeout, "the body took too long to arrive")),
                }
            }
        };
        match collected {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(failed(RejectRule::Timeout, "the body ended early")),
        }
    }
}

//! Runs several futures concurrently.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

/// Polls all futures once, calls `begun`, and waits until all are done. Each continues as soon as its own call returns,
/// independently of the others.
pub async fn all<F: Future<Output = ()>>(
    futures: impl IntoIterator<Item = F>,
    begun: impl FnOnce(),
) {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut begun = Some(begun);
    let polled = |context: &mut Context<'_>| {
        waiting.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if let Some(begun) = begun.take() {
            begun();
        }
        match waiting.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    };
    poll_fn(polled).await;
}

//! Several futures at one time.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// Waits until all of them are done. Each goes on as soon as what it waits for is there, whatever the
/// others wait for.
pub async fn all<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(move |context| {
        waiting.retain_mut(|future| future.as_mut().poll(context).is_pending());
        match waiting.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

//! Anonymous calls of a canister, made in this process: the gateway trusts its own network.

use super::pages::Page;
use crate::network::{Network, is_final};
use local_ic_replica::{
    Effective, Ingress, IngressState, MessageId, Principal, Query, RequestError, UserError,
};
use std::sync::Arc;
use std::time::Duration;

/// How long an update call is waited for.
const MAX_WAIT: Duration = Duration::from_secs(300);
const DESTINATION_INVALID: u32 = 3;

/// Makes calls on behalf of nobody.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a>(pub &'a Arc<Network>);

impl Caller<'_> {
    /// The reply to a query call.
    pub async fn query(
        self,
        canister_id: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> Result<Vec<u8>, Page> {
        let query = Query {
            sender: Principal::anonymous(),
            canister_id,
            effective: Effective::Canister(canister_id),
            method: method.to_owned(),
            arg,
        };
        self.0
            .run(move |core| {
                core.subnet_in_charge(canister_id)
                    .ok_or(Page::CanisterNotFound)?;
                core.replica.query(query).map_err(refused)
            })
            .await
            .map_err(|_| Page::Upstream)?
    }

    /// The reply to an update call.
    pub async fn update(
        self,
        canister_id: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> Result<Vec<u8>, Page> {
        let method = method.to_owned();
        let id = self
            .0
            .run(move |core| {
                core.subnet_in_charge(canister_id)
                    .ok_or(Page::CanisterNotFound)?;
                let id = core.next_message_id();
                let ingress = Ingress {
                    sender: Principal::anonymous(),
                    canister_id,
                    effective: Effective::Canister(canister_id),
                    method,
                    arg,
                    id,
                };
                core.replica.submit(ingress).map_err(refused)?;
                Ok(id)
            })
            .await
            .map_err(|_| Page::Upstream)??;
        self.0.wake();
        tokio::time::timeout(MAX_WAIT, self.answer(id))
            .await
            .map_err(|_| Page::Upstream)?
    }

    async fn answer(self, id: MessageId) -> Result<Vec<u8>, Page> {
        let mut rounds = self.0.watch_rounds();
        loop {
            rounds.mark_unchanged();
            let state = self
                .0
                .run(move |core| {
                    let status = core.replica.ingress_status(&id);
                    status.map(|status| status.state.clone()).filter(is_final)
                })
                .await
                .map_err(|_| Page::Upstream)?;
            match state {
                Some(IngressState::Replied(reply)) => return Ok(reply),
                Some(IngressState::Rejected(error)) => return Err(rejected(&error)),
                _ => rounds.changed().await.map_err(|_| Page::Upstream)?,
            }
        }
    }
}

fn refused(error: RequestError) -> Page {
    match error {
        RequestError::Bad(_) => Page::Upstream,
        RequestError::Refused(error) => rejected(&error),
    }
}

fn rejected(error: &UserError) -> Page {
    match error.reject_code {
        DESTINATION_INVALID => Page::CanisterNotFound,
        _ => Page::Canister,
    }
}

//! What became of the ingress messages.

use std::collections::{BTreeMap, VecDeque};

use crate::types::{IngressState, IngressStatus, MessageId, Principal};

/// Finished messages beyond this number are forgotten, oldest first.
const KEPT_MESSAGES: usize = 20_000;

/// The states of the ingress messages, by id.
#[derive(Default)]
pub struct IngressHistory {
    messages: BTreeMap<MessageId, IngressStatus>,
    order: VecDeque<MessageId>,
}

impl IngressHistory {
    pub fn get(&self, id: &MessageId) -> Option<&IngressStatus> {
        self.messages.get(id)
    }

    pub fn ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.messages.keys().copied()
    }

    /// Records a newly accepted message.
    pub fn received(
        &mut self,
        id: MessageId,
        sender: Principal,
        receiver: Principal,
        effective_canister: Principal,
        time: u64,
    ) {
        self.messages.insert(
            id,
            IngressStatus {
                sender,
                receiver,
                effective_canister,
                time,
                state: IngressState::Received,
            },
        );
        self.order.push_back(id);
        self.forget_oldest();
    }

    /// Moves a message on. A finished one stays as it is.
    pub fn set(&mut self, id: &MessageId, state: IngressState, time: u64) {
        if let Some(status) = self.messages.get_mut(id)
            && matches!(
                status.state,
                IngressState::Received | IngressState::Processing
            )
        {
            status.state = state;
            status.time = time;
        }
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > KEPT_MESSAGES {
            let finished = self.order.front().is_some_and(|id| {
                self.messages.get(id).is_none_or(|status| {
                    matches!(
                        status.state,
                        IngressState::Replied(_) | IngressState::Rejected(_)
                    )
                })
            });
            if !finished {
                break;
            }
            if let Some(id) = self.order.pop_front() {
                self.messages.remove(&id);
            }
        }
    }
}

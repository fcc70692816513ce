//! Which entry point runs, and which system calls each one may make.

use std::ops::BitOr;

/// A set of [`Mode`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes(u32);

impl Modes {
    /// Whether `mode` is in the set.
    pub const fn contains(self, mode: Mode) -> bool {
        self.0 & (1 << mode as u32) != 0
    }

    const fn with(self, mode: Mode) -> Self {
        Self(self.0 | 1 << mode as u32)
    }

    const fn without(self, mode: Mode) -> Self {
        Self(self.0 & !(1 << mode as u32))
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Modes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// The kind of execution, as the interface specification tells system calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Start,
    /// `canister_init` and `canister_post_upgrade`.
    Init,
    PreUpgrade,
    Update,
    ReplicatedQuery,
    Query,
    CompositeQuery,
    InspectMessage,
    ReplyCallback,
    RejectCallback,
    Cleanup,
    CompositeReplyCallback,
    CompositeRejectCallback,
    CompositeCleanup,
    /// Global timer and heartbeat.
    SystemTask,
}

impl Mode {
    /// The name in "cannot be executed in … mode".
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Init => "init",
            Self::PreUpgrade => "pre upgrade",
            Self::Update => "update",
            Self::ReplicatedQuery => "replicated query",
            Self::Query => "non replicated query",
            Self::CompositeQuery => "composite query",
            Self::InspectMessage => "inspect message",
            Self::ReplyCallback => "reply callback",
            Self::RejectCallback => "reject callback",
            Self::Cleanup => "cleanup",
            Self::CompositeReplyCallback => "composite reply callback",
            Self::CompositeRejectCallback => "composite reject callback",
            Self::CompositeCleanup => "composite cleanup",
            Self::SystemTask => "system task",
        }
    }

    /// Whether the execution is part of a composite query.
    pub fn is_composite(self) -> bool {
        COMPOSITE.contains(self)
    }

    /// Whether the state is discarded when the execution ends well.
    pub fn discards_state(self) -> bool {
        matches!(
            self,
            Self::ReplicatedQuery | Self::Query | Self::InspectMessage
        )
    }

    /// Whether all nodes of the subnet run it.
    pub fn is_replicated(self) -> bool {
        !matches!(self, Self::Query | Self::InspectMessage) && !self.is_composite()
    }
}

const NONE: Modes = Modes(0);
const COMPOSITE: Modes = NONE
    .with(Mode::CompositeQuery)
    .with(Mode::CompositeReplyCallback)
    .with(Mode::CompositeRejectCallback)
    .with(Mode::CompositeCleanup);
/// Also in the start function.
pub const ANYWHERE: Modes = Modes(u32::MAX);
/// Everywhere but in the start function.
pub const ALL: Modes = ANYWHERE.without(Mode::Start);
/// Where there is an argument (or the reply to a call).
pub const ARGUMENT: Modes = NONE
    .with(Mode::Init)
    .with(Mode::Update)
    .with(Mode::ReplicatedQuery)
    .with(Mode::Query)
    .with(Mode::CompositeQuery)
    .with(Mode::InspectMessage)
    .with(Mode::ReplyCallback)
    .with(Mode::CompositeReplyCallback);
/// Where the call can be answered.
pub const ANSWER: Modes = NONE
    .with(Mode::Update)
    .with(Mode::ReplicatedQuery)
    .with(Mode::Query)
    .with(Mode::CompositeQuery)
    .with(Mode::ReplyCallback)
    .with(Mode::RejectCallback)
    .with(Mode::CompositeReplyCallback)
    .with(Mode::CompositeRejectCallback);
/// Callbacks that know whether the call was rejected.
pub const RESPONSE: Modes = NONE
    .with(Mode::ReplyCallback)
    .with(Mode::RejectCallback)
    .with(Mode::CompositeReplyCallback)
    .with(Mode::CompositeRejectCallback);
/// Where the reject message is known.
pub const REJECTED: Modes = NONE
    .with(Mode::RejectCallback)
    .with(Mode::CompositeRejectCallback);
/// Where calls can be made.
pub const CALL: Modes = NONE
    .with(Mode::Update)
    .with(Mode::CompositeQuery)
    .with(Mode::SystemTask)
    .and(RESPONSE);
/// Where cycles can be attached to a call.
pub const ATTACH_CYCLES: Modes = NONE
    .with(Mode::Update)
    .with(Mode::SystemTask)
    .with(Mode::ReplyCallback)
    .with(Mode::RejectCallback);
/// Where the caller's cycles can be seen and accepted.
pub const ACCEPT_CYCLES: Modes = NONE
    .with(Mode::Update)
    .with(Mode::ReplicatedQuery)
    .with(Mode::ReplyCallback)
    .with(Mode::RejectCallback);
/// Where refunded cycles are known.
pub const REFUND: Modes = NONE.with(Mode::ReplyCallback).with(Mode::RejectCallback);
/// Only when deciding about an ingress message.
pub const INSPECT: Modes = NONE.with(Mode::InspectMessage);
/// Where certified data can be set.
pub const CERTIFY: Modes = NONE
    .with(Mode::Init)
    .with(Mode::PreUpgrade)
    .with(Mode::Update)
    .with(Mode::SystemTask)
    .with(Mode::ReplyCallback)
    .with(Mode::RejectCallback);
/// Where the global timer can be set.
pub const TIMER: Modes = CERTIFY.with(Mode::Cleanup);
/// Where cycles can be burned.
pub const BURN: Modes = TIMER.with(Mode::ReplicatedQuery);
/// Where the root key is known: replicated executions.
pub const ROOT_KEY: Modes = BURN;
/// Where a certificate of the certified data may be at hand.
pub const CERTIFICATE: Modes = NONE.with(Mode::Query).with(Mode::CompositeQuery);
/// Where the deadline of the call is known.
pub const DEADLINE: Modes = ANSWER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_allow_what_the_specification_allows() {
        assert!(CALL.contains(Mode::Update) && CALL.contains(Mode::SystemTask));
        assert!(!CALL.contains(Mode::Init) && !CALL.contains(Mode::Cleanup));
        assert!(!ANSWER.contains(Mode::Cleanup) && !ANSWER.contains(Mode::Init));
        assert!(ALL.contains(Mode::CompositeCleanup) && !ALL.contains(Mode::Start));
        assert!(!ATTACH_CYCLES.contains(Mode::CompositeQuery));
        assert!(BURN.contains(Mode::Cleanup) && !BURN.contains(Mode::Query));
    }
}

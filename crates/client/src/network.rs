//! The network that the payer pays on.

use crate::{
    http::{client_builder, is_local},
    identity::Identity,
    ledger::Ledger,
    limits::Limits,
    plain_text::plain_text,
};
use candid::{CandidType, Principal, decode_args, decode_one};
use ic_agent::{
    Agent, AgentError, Certificate, hash_tree::LookupResult, identity::AnonymousIdentity,
};
use serde::de::DeserializeOwned;
use std::{
    future::Future,
    time::{Duration, UNIX_EPOCH},
};
use x402_icp::network::{MAINNET, network_id};

/// The reason why a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The URL or the identity cannot be used.
    #[error("{url}: {}", plain_text(problem))]
    Agent {
        /// The replica's URL.
        url: String,
        /// The reason.
        problem: String,
    },
    /// The replica does not return its root key.
    #[error("{url} does not answer as a replica: {}", plain_text(problem))]
    NoRootKey {
        /// The replica's URL.
        url: String,
        /// The reason.
        problem: String,
    },
    /// A network that was named as local has the root key of the mainnet: payments there would be payments on the
    /// mainnet.
    #[error("{url} is not a local network: its root key is that of the mainnet")]
    IsMainnet {
        /// The replica's URL.
        url: String,
    },
}

/// The reason why a call of a canister did not return a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The canister has no such method.
    #[error("there is no such method")]
    NoMethod,
    /// The replica did not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The call failed.
    #[error("{0}")]
    Failed(String),
    /// The reply is not of the expected type.
    #[error("the reply cannot be decoded: {0}")]
    Unreadable(String),
}

/// A network: its id, which is signed into every payment, and a connection to its replicas.
#[derive(Clone)]
pub struct Network {
    id: String,
    agent: Agent,
    timeout: Duration,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.id)
    }
}

/// The URL of the mainnet.
const MAINNET_URL: &str = "https://icp-api.io";

impl Network {
    /// The mainnet, with the root key that is built in. Makes no call.
    pub fn mainnet(identity: &Identity) -> Result<Self, NetworkError> {
        Self::mainnet_at(MAINNET_URL, identity)
    }

    /// The mainnet by another boundary node or replica.
    pub fn mainnet_at(url: &str, identity: &Identity) -> Result<Self, NetworkError> {
        Ok(Self::of(agent(url, identity)?))
    }

    /// A local network. Its root key is fetched from the replica itself, which proves nothing: never use it for money
    /// of any value. A replica with the root key of the mainnet is refused.
    pub async fn local(url: &str, identity: &Identity) -> Result<Self, NetworkError> {
        Self::local_within(url, identity, Limits::default().agent).await
    }

    /// The same with a limit for each call, including the first.
    pub async fn local_within(
        url: &str,
        identity: &Identity,
        timeout: Duration,
    ) -> Result<Self, NetworkError> {
        let agent = agent(url, identity)?;
        let no_key = |problem: String| NetworkError::NoRootKey {
            url: url.into(),
            problem,
        };
        match tokio::time::timeout(timeout, agent.fetch_root_key()).await {
            Ok(fetched) => fetched.map_err(|problem| no_key(problem.to_string()))?,
            Err(_) => return Err(no_key(CallError::Silent(timeout).to_string())),
        }
        let network = Self::of(agent).with_timeout(timeout);
        match network.id == MAINNET {
            true => Err(NetworkError::IsMainnet { url: url.into() }),
            false => Ok(network),
        }
    }

    fn of(agent: Agent) -> Self {
        Network {
            id: network_id(&agent.read_root_key()),
            agent,
            timeout: Limits::default().agent,
        }
    }

    /// The same with a limit for each call of a canister: how long its reply is waited for.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with the anonymous identity.
    pub(crate) fn anonymous(&self) -> Self {
        let mut nobody = self.clone();
        nobody.agent.set_identity(AnonymousIdentity);
        nobody
    }

    /// The CAIP-2 id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The identity that calls are made with.
    pub(crate) fn caller(&self) -> Principal {
        let caller = self.agent.get_principal();
        caller.unwrap_or(Principal::anonymous())
    }

    /// The connection, for other calls.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// A ledger of this network.
    pub fn ledger(&self, id: Principal) -> Ledger<'_> {
        Ledger::new(self, id)
    }

    /// The origin that a canister claims; `None` if it names none.
    pub(crate) async fn origin_of(&self, canister: Principal) -> Option<String> {
        let argument = candid::encode_args(()).ok()?;
        let reply = self.query(canister, "origin", argument).await.ok()?;
        // An optional result, whatever else is returned.
        let (origin,): (Option<String>,) = decode_args(&reply).ok()?;
        origin
    }

    /// A query call: one node answers, without a certificate.
    pub(crate) async fn query(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<Vec<u8>, CallError> {
        let call = self.agent.query(&canister, method).with_arg(argument);
        self.within(call.call()).await
    }

    /// An update call: its reply is certified by the subnet, which the agent checks. Returns it with the time of the
    /// certificate, in nanoseconds since 1970-01-01.
    pub(crate) async fn update(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<(Vec<u8>, u64), CallError> {
        self.update_until(canister, method, argument, None).await
    }

    /// The same. The network drops the call if it has not begun by `expires` (nanoseconds since 1970-01-01); `None`:
    /// after some minutes.
    pub(crate) async fn update_until(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
        expires: Option<u64>,
    ) -> Result<(Vec<u8>, u64), CallError> {
        let mut call = self.agent.update(&canister, method).with_arg(argument);
        if let Some(nanoseconds) = expires {
            call = call.expire_at(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        }
        let (reply, certificate) = self.within(call.call().and_wait()).await?;
        let time = time_of(&certificate)
            .ok_or_else(|| CallError::Unreadable("its certificate has no time".into()))?;
        Ok((reply, time))
    }

    /// The same with one value as the reply.
    pub(crate) async fn update_one<T: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<(T, u64), CallError> {
        let (reply, time) = self.update(canister, method, argument).await?;
        let value = decode_one(&reply).map_err(|e| CallError::Unreadable(e.to_string()))?;
        Ok((value, time))
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(call_error(&error)),
            Err(_) => Err(CallError::Silent(self.timeout)),
        }
    }
}

fn call_error(error: &AgentError) -> CallError {
    let reject = match error {
        AgentError::CertifiedReject { reject, .. }
        | AgentError::UncertifiedReject { reject, .. } => Some(reject),
        _ => None,
    };
    match reject {
        // Interface Specification, "Error codes": there is no such method.
        Some(reject) if reject.error_code.as_deref() == Some("IC0536") => CallError::NoMethod,
        _ => CallError::Failed(error.to_string()),
    }
}

/// The time in a certificate: unsigned LEB128 nanoseconds (Interface Specification, "Time").
fn time_of(certificate: &Certificate) -> Option<u64> {
    let LookupResult::Found(bytes) = certificate.tree.lookup_path([b"time".as_slice()]) else {
        return None;
    };
    let mut time = 0u64;
    for (place, byte) in bytes.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = u32::try_from(place).ok()?.checked_mul(7)?;
        time |= bits.checked_shl(shift)?;
    }
    Some(time)
}

fn agent(url: &str, identity: &Identity) -> Result<Agent, NetworkError> {
    let failed = |problem: String| NetworkError::Agent {
        url: url.into(),
        problem,
    };
    match reqwest::Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {}
        _ => return Err(failed("not a URL with http:// or https://".into())),
    }
    let mut builder = Agent::builder()
        .with_url(url)
        .with_arc_identity(identity.agent_identity());
    if is_local(url) {
        let client = client_builder(true)
            .build()
            .map_err(|e| failed(e.to_string()))?;
        builder = builder.with_http_client(client);
    }
    builder.build().map_err(|e| failed(e.to_string()))
}

//! Which Internet Computer the payer pays on.

use crate::{
    http::{client_builder, is_local},
    identity::Identity,
    ledger::Ledger,
};
use candid::Principal;
use ic_agent::Agent;
use x402_icp::network::network_id;

/// Why a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The URL or the identity cannot be used.
    #[error("{url}: {problem}")]
    Agent {
        /// The replica's URL.
        url: String,
        /// Why.
        problem: String,
    },
    /// The replica does not say its root key.
    #[error("{url} does not answer as a replica: {problem}")]
    NoRootKey {
        /// The replica's URL.
        url: String,
        /// Why.
        problem: String,
    },
}

/// A network: its id, which is signed into every payment, and a connection to its replicas.
#[derive(Clone)]
pub struct Network {
    id: String,
    agent: Agent,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.id)
    }
}

/// Where the mainnet answers.
const MAINNET_URL: &str = "https://icp-api.io";

impl Network {
    /// The mainnet, with the root key that is built in. Nothing is asked of anybody.
    pub fn mainnet(identity: &Identity) -> Result<Self, NetworkError> {
        Self::mainnet_at(MAINNET_URL, identity)
    }

    /// The mainnet by another boundary node or replica.
    pub fn mainnet_at(url: &str, identity: &Identity) -> Result<Self, NetworkError> {
        Ok(Self::of(agent(url, identity)?))
    }

    /// A local network. Its root key is taken from the replica itself, which proves nothing: never use it
    /// for money that is worth something.
    pub async fn local(url: &str, identity: &Identity) -> Result<Self, NetworkError> {
        let agent = agent(url, identity)?;
        agent
            .fetch_root_key()
            .await
            .map_err(|problem| NetworkError::NoRootKey {
                url: url.into(),
                problem: problem.to_string(),
            })?;
        Ok(Self::of(agent))
    }

    fn of(agent: Agent) -> Self {
        Network {
            id: network_id(&agent.read_root_key()),
            agent,
        }
    }

    /// The CAIP-2 id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The connection, for calls of the caller's own.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// A ledger of this network.
    pub fn ledger(&self, id: Principal) -> Ledger<'_> {
        Ledger::new(&self.agent, id)
    }
}

fn agent(url: &str, identity: &Identity) -> Result<Agent, NetworkError> {
    let failed = |problem: String| NetworkError::Agent {
        url: url.into(),
        problem,
    };
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

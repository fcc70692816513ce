//! The gateway's agent: talks to the agent endpoints in this process, without a socket in between.

use crate::agent_api;
use crate::network::Network;
use async_trait::async_trait;
use bytes::Bytes;
use ic_agent::agent::HttpService;
use ic_agent::{Agent, AgentError};
use std::fmt;
use std::sync::Arc;

struct InProcess(Arc<Network>);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

#[async_trait]
impl HttpService for InProcess {
    async fn call<'a>(
        &'a self,
        request: &'a (dyn Fn() -> Result<http::Request<Bytes>, AgentError> + Send + Sync),
        _max_retries: usize,
        size_limit: Option<usize>,
    ) -> Result<http::Response<Bytes>, AgentError> {
        let (parts, body) = request()?.into_parts();
        let response = agent_api::handle(&self.0, &parts.method, parts.uri.path(), body).await;
        match size_limit {
            Some(limit) if response.body().len() > limit => {
                Err(AgentError::ResponseSizeExceededLimit())
            }
            _ => Ok(response),
        }
    }
}

/// An anonymous agent for `network`, with its root key.
pub(super) fn in_process(network: &Arc<Network>) -> Result<Agent, AgentError> {
    let agent = Agent::builder()
        .with_url("http://127.0.0.1")
        .with_arc_http_middleware(Arc::new(InProcess(network.clone())))
        .with_max_concurrent_requests(1_000)
        .build()?;
    agent.set_root_key(network.root_key_der().to_vec());
    Ok(agent)
}

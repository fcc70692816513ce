//! What a client asks for when it makes an instance or a gateway. What this server refuses whatever its value keeps its
//! JSON; fields that the protocol may get later are refused, too.

use super::RawTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields by name.
pub(crate) type Fields = BTreeMap<String, Value>;

#[derive(Debug, Deserialize)]
pub(crate) struct AutoProgressConfig {
    pub artificial_delay_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HttpGatewayBackend {
    Replica(String),
    PocketIcInstance(usize),
}

#[derive(Debug, Deserialize)]
pub(crate) struct InstanceHttpGatewayConfig {
    pub ip_addr: Option<String>,
    pub port: Option<u16>,
    pub domains: Option<Vec<String>>,
    pub https_config: Option<Value>,
    pub domain_custom_provider_local_file: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HttpGatewayConfig {
    pub forward_to: HttpGatewayBackend,
    #[serde(flatten)]
    pub gateway: InstanceHttpGatewayConfig,
}

#[derive(Debug, Deserialize)]
pub(crate) enum InitialTime {
    Timestamp(RawTime),
    AutoProgress(AutoProgressConfig),
}

#[derive(Debug, Deserialize)]
pub(crate) struct InstanceConfig {
    pub subnet_config_set: SubnetConfigSet,
    pub http_gateway_config: Option<InstanceHttpGatewayConfig>,
    pub icp_config: Option<BTreeMap<String, Option<String>>>,
    pub icp_features: Option<Fields>,
    pub incomplete_state: Option<String>,
    pub initial_time: Option<InitialTime>,
    pub mainnet_nns_subnet_id: Option<bool>,
    pub disable_ingress_validation: Option<bool>,
    /// Nothing is logged.
    #[serde(rename = "log_level")]
    pub _log_level: Option<String>,
    #[serde(flatten)]
    pub others: Fields,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SubnetConfigSet {
    pub nns: Option<SubnetSpec>,
    pub sns: Option<SubnetSpec>,
    pub ii: Option<SubnetSpec>,
    pub fiduciary: Option<SubnetSpec>,
    pub bitcoin: Option<SubnetSpec>,
    pub system: Vec<SubnetSpec>,
    pub application: Vec<SubnetSpec>,
    pub verified_application: Vec<SubnetSpec>,
    #[serde(flatten)]
    pub others: Fields,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SubnetSpec {
    pub state_config: Value,
    pub instruction_config: String,
    pub cost_schedule: Option<String>,
    #[serde(flatten)]
    pub others: Fields,
}

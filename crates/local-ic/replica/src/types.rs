//! The plain data the servers exchange with the replica.

use std::sync::Arc;

pub use local_ic_engine::{Cycles, Principal};

pub use crate::errors::{ErrorCode, RequestError, UserError};

/// What a subnet is for. Decides whether cycles are charged and whether it holds threshold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubnetKind {
    Nns,
    Sns,
    /// Internet Identity; holds threshold keys.
    Ii,
    /// Holds threshold keys.
    Fiduciary,
    Bitcoin,
    Application,
    System,
    VerifiedApplication,
}

impl SubnetKind {
    /// Whether the subnet is of the protocol's *system* type: no cycles are charged.
    pub fn is_system(self) -> bool {
        matches!(self, Self::Nns | Self::Ii | Self::Bitcoin | Self::System)
    }

    /// Whether canisters anywhere can have threshold signatures made by this subnet.
    pub fn has_threshold_keys(self) -> bool {
        matches!(self, Self::Ii | Self::Fiduciary)
    }
}

/// One subnet of the network.
#[derive(Clone, Debug)]
pub struct SubnetConfig {
    pub id: Principal,
    pub kind: SubnetKind,
    /// Number of nodes; prices scale with it.
    pub size: u32,
    /// Inclusive canister id ranges. Ids for canisters created without a specified id come from the last one.
    pub ranges: Vec<(Principal, Principal)>,
    pub public_key_der: Vec<u8>,
}

/// Signs what a query may show as `ic0.data_certificate`, so that the replica needs no key.
pub trait Certifier: Send + Sync {
    /// The CBOR certificate over `/canister/<canister>/certified_data` and `/time` of `subnet`.
    fn data_certificate(
        &self,
        subnet: Principal,
        canister: Principal,
        certified_data: &[u8],
        time: u64,
    ) -> Vec<u8>;
}

/// How a network starts.
#[derive(Clone)]
pub struct ReplicaConfig {
    /// DER form of the root key, as `ic0.root_key_copy` gives it.
    pub root_key_der: Vec<u8>,
    pub subnets: Vec<SubnetConfig>,
    /// Nanoseconds since 1970-01-01.
    pub initial_time: u64,
    pub certifier: Arc<dyn Certifier>,
}

/// Identifies an ingress message (the request id of the HTTPS interface).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

/// Where a request is sent when its payload does not say (the effective canister id of the HTTPS interface).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Effective {
    #[default]
    None,
    Subnet(Principal),
    Canister(Principal),
}

/// An update call from outside.
#[derive(Clone, Debug)]
pub struct Ingress {
    pub sender: Principal,
    pub canister_id: Principal,
    pub effective: Effective,
    pub method: String,
    pub arg: Vec<u8>,
    pub id: MessageId,
}

/// A query call from outside.
#[derive(Clone, Debug)]
pub struct Query {
    pub sender: Principal,
    pub canister_id: Principal,
    pub effective: Effective,
    pub method: String,
    pub arg: Vec<u8>,
}

/// How far an ingress message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressState {
    /// Accepted, waits for a round.
    Received,
    /// Executed at least once, the answer is outstanding.
    Processing,
    Replied(Vec<u8>),
    Rejected(UserError),
}

/// What is known about an ingress message, with what access control needs.
#[derive(Clone, Debug)]
pub struct IngressStatus {
    pub sender: Principal,
    /// The canister the message was addressed to (`aaaaa-aa` for the management canister).
    pub receiver: Principal,
    /// The canister whose endpoint may be asked for the status.
    pub effective_canister: Principal,
    /// Time of the last change of `state`, nanoseconds.
    pub time: u64,
    pub state: IngressState,
}

/// A custom section of the installed module that `read_state` serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    /// `icp:public` sections are for everyone, `icp:private` ones for controllers.
    pub public: bool,
    pub data: Vec<u8>,
}

/// What the certified state tree shows of a canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanisterView {
    pub certified_data: Vec<u8>,
    pub module_hash: Option<[u8; 32]>,
    pub controllers: Vec<Principal>,
    pub metadata: Vec<Metadata>,
}

/// Method of an HTTP outcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcallMethod {
    Get,
    Post,
    Head,
    Put,
    Delete,
    Patch,
}

/// An HTTP outcall that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOutcall {
    pub subnet: Principal,
    pub request_id: u64,
    pub canister: Principal,
    pub method: OutcallMethod,
    pub url: String,
    /// Name and value, in the canister's order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub max_response_bytes: Option<u64>,
    /// False for `is_replicated = opt false`: a single node performs it.
    pub replicated: bool,
}

/// What a node got for an HTTP outcall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpResult {
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Reject {
        code: u32,
        message: String,
    },
}

/// The answer to an outcall: one result for all nodes, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub result: HttpResult,
    /// Empty, or exactly one entry for every further node of the subnet.
    pub additional: Vec<HttpResult>,
}

impl From<HttpResult> for HttpAnswer {
    fn from(result: HttpResult) -> Self {
        Self {
            result,
            additional: Vec::new(),
        }
    }
}

/// What one execution of one canister used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCost {
    pub canister: Principal,
    /// Kind and method, e.g. `update transfer`, `reply callback`, `timer`.
    pub entry: String,
    pub instructions: u64,
    /// Balance before anything was set aside for the execution.
    pub cycles_before: Cycles,
    pub cycles_after: Cycles,
}

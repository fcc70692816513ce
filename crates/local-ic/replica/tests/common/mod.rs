//! A small network and canisters in WebAssembly text to try the replica with.
#![allow(dead_code)]

use std::sync::Arc;

use candid::{CandidType, Nat, decode_one, encode_one};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusResult,
    ProvisionalCreateCanisterWithCyclesArgs, UpdateSettingsArgs,
};
use local_ic_replica::*;
use serde::Deserialize;

pub const START: u64 = 1_620_328_630_000_000_000;
pub const SECOND: u64 = 1_000_000_000;
pub const T: Cycles = 1_000_000_000_000;
pub const MANAGEMENT: Principal = Principal::management_canister();
pub const USER: Principal = Principal::anonymous();

/// Does whatever its arguments say; see `kit.wat`.
pub const KIT: &str = include_str!("kit.wat");

struct NoCertificates;

impl Certifier for NoCertificates {
    fn data_certificate(&self, _: Principal, canister: Principal, data: &[u8], _: u64) -> Vec<u8> {
        [canister.as_slice(), data].concat()
    }
}

#[derive(CandidType, Deserialize)]
pub struct InstallArgs {
    pub mode: CanisterInstallMode,
    pub canister_id: Principal,
    #[serde(with = "serde_bytes")]
    pub wasm_module: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub arg: Vec<u8>,
}

pub struct Network {
    pub replica: Replica,
    messages: u64,
}

pub fn subnet(index: u8, kind: SubnetKind, size: u32) -> SubnetConfig {
    let first = u64::from(index) << 20;
    SubnetConfig {
        id: Principal::self_authenticating([index; 4]),
        kind,
        size,
        ranges: vec![(canister_id(first), canister_id(first + 0xF_FFFF))],
        public_key_der: vec![index; 4],
    }
}

impl Network {
    /// Two application subnets, one with threshold keys, and a system subnet.
    pub fn new() -> Self {
        let config = ReplicaConfig {
            root_key_der: vec![7; 133],
            subnets: vec![
                subnet(1, SubnetKind::Application, 13),
                subnet(2, SubnetKind::Application, 13),
                subnet(3, SubnetKind::Fiduciary, 34),
                subnet(4, SubnetKind::Nns, 40),
            ],
            initial_time: START,
            certifier: Arc::new(NoCertificates),
        };
        Self {
            replica: Replica::new(config).expect("the configuration is sound"),
            messages: 0,
        }
    }

    pub fn subnet_id(&self, index: usize) -> Principal {
        self.replica.subnets()[index].id
    }

    pub fn try_submit(
        &mut self,
        sender: Principal,
        effective: Effective,
        canister_id: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> Result<MessageId, RequestError> {
        self.messages += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.messages.to_be_bytes());
        let id = MessageId(id);
        self.replica.submit(Ingress {
            sender,
            canister_id,
            effective,
            method: method.to_string(),
            arg,
            id,
        })?;
        Ok(id)
    }

    pub fn submit(&mut self, canister: Principal, method: &str, arg: &[u8]) -> MessageId {
        self.try_submit(USER, Effective::None, canister, method, arg.to_vec())
            .expect("the message is accepted")
    }

    /// The answer, if there is one.
    pub fn answer(&self, id: &MessageId) -> Option<Result<Vec<u8>, UserError>> {
        match &self
            .replica
            .ingress_status(id)
            .expect("the message is known")
            .state
        {
            IngressState::Received | IngressState::Processing => None,
            IngressState::Replied(reply) => Some(Ok(reply.clone())),
            IngressState::Rejected(error) => Some(Err(error.clone())),
        }
    }

    /// Runs rounds until there is an answer; gives it and the number of rounds.
    pub fn wait(&mut self, id: &MessageId) -> (Result<Vec<u8>, UserError>, u32) {
        for rounds in 0..100 {
            if let Some(answer) = self.answer(id) {
                return (answer, rounds);
            }
            self.replica.round();
        }
        panic!("no answer after 100 rounds");
    }

    pub fn update(
        &mut self,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, UserError> {
        match self.try_submit(USER, Effective::None, canister, method, arg.to_vec()) {
            Ok(id) => self.wait(&id).0,
            Err(RequestError::Refused(error)) => Err(error),
            Err(RequestError::Bad(text)) => panic!("bad request: {text}"),
        }
    }

    pub fn query(
        &mut self,
        canister_id: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, UserError> {
        let query = Query {
            sender: USER,
            canister_id,
            effective: Effective::None,
            method: method.to_string(),
            arg: arg.to_vec(),
        };
        match self.replica.query(query) {
            Ok(reply) => Ok(reply),
            Err(RequestError::Refused(error)) => Err(error),
            Err(RequestError::Bad(text)) => panic!("bad request: {text}"),
        }
    }

    pub fn management<A: CandidType>(
        &mut self,
        method: &str,
        arg: A,
    ) -> Result<Vec<u8>, UserError> {
        let arg = encode_one(arg).expect("the argument encodes");
        self.update(MANAGEMENT, method, &arg)
    }

    pub fn on(&mut self, method: &str, canister_id: Principal) -> Result<Vec<u8>, UserError> {
        self.management(method, CanisterIdRecord { canister_id })
    }

    pub fn status(&mut self, canister: Principal) -> CanisterStatusResult {
        let reply = self
            .on("canister_status", canister)
            .expect("the status is readable");
        decode_one(&reply).expect("the status decodes")
    }

    pub fn create_on(&mut self, subnet: usize, cycles: Cycles) -> Principal {
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(Nat::from(cycles)),
            ..Default::default()
        };
        let effective = Effective::Subnet(self.subnet_id(subnet));
        let arg = encode_one(args).expect("the argument encodes");
        let method = "provisional_create_canister_with_cycles";
        let id = self
            .try_submit(USER, effective, MANAGEMENT, method, arg)
            .expect("creation is accepted");
        let reply = self.wait(&id).0.expect("the canister is created");
        decode_one::<CanisterIdRecord>(&reply)
            .expect("the reply decodes")
            .canister_id
    }

    pub fn try_install(
        &mut self,
        mode: CanisterInstallMode,
        canister_id: Principal,
        wat: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, UserError> {
        let args = InstallArgs {
            mode,
            canister_id,
            wasm_module: wat::parse_str(wat).expect("the text is WebAssembly"),
            arg: arg.to_vec(),
        };
        self.management("install_code", args)
    }

    pub fn install(&mut self, canister: Principal, wat: &str) {
        self.try_install(CanisterInstallMode::Install, canister, wat, &[])
            .expect("the code installs");
    }

    /// A canister with the kit and plenty of cycles.
    pub fn kit(&mut self, subnet: usize) -> Principal {
        let id = self.create_on(subnet, 100 * T);
        self.install(id, KIT);
        id
    }

    pub fn settings(
        &mut self,
        canister_id: Principal,
        settings: CanisterSettings,
    ) -> Result<Vec<u8>, UserError> {
        let args = UpdateSettingsArgs {
            canister_id,
            settings,
            sender_canister_version: None,
        };
        self.management("update_settings", args)
    }

    pub fn balance(&self, canister: Principal) -> Cycles {
        self.replica.cycles(canister).expect("the canister exists")
    }

    pub fn advance(&mut self, nanos: u64) {
        self.replica
            .set_time(self.replica.time() + nanos)
            .expect("time goes forward");
    }
}

/// A call for the kit's `call` method.
#[derive(Clone)]
pub struct Call<'a> {
    pub callee: Principal,
    pub method: &'a str,
    pub arg: &'a [u8],
    pub cycles: u64,
    pub timeout: u32,
}

pub fn call<'a>(callee: Principal, method: &'a str, arg: &'a [u8]) -> Call<'a> {
    Call {
        callee,
        method,
        arg,
        cycles: 0,
        timeout: 0,
    }
}

impl Call<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.callee.as_slice().len() as u8];
        bytes.extend([0; 29]);
        bytes[1..1 + self.callee.as_slice().len()].copy_from_slice(self.callee.as_slice());
        bytes.push(self.method.len() as u8);
        bytes.extend([0; 63]);
        bytes[31..31 + self.method.len()].copy_from_slice(self.method.as_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.cycles.to_le_bytes());
        bytes.extend(self.timeout.to_le_bytes());
        bytes.extend(self.arg);
        bytes
    }
}

/// What the kit's callback saw.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// 0 for a reply.
    pub code: u32,
    pub refunded: u64,
    pub time: u64,
    pub time_before: u64,
    pub data: Vec<u8>,
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

pub fn seen(reply: &[u8]) -> Seen {
    let number = |at: usize| u64::from_le_bytes(reply[at..at + 8].try_into().expect("8 bytes"));
    Seen {
        code: number(0) as u32,
        refunded: number(8),
        time: number(16),
        time_before: number(24),
        data: reply[32..].to_vec(),
    }
}

/// Has the kit call the management canister; gives what its callback saw and the number of rounds.
pub fn management_call(
    net: &mut Network,
    caller: Principal,
    method: &str,
    arg: &[u8],
    cycles: u64,
) -> (Seen, u32) {
    let call = Call {
        cycles,
        ..call(MANAGEMENT, method, arg)
    };
    let id = net.submit(caller, "call", &call.encode());
    let (reply, rounds) = net.wait(&id);
    (seen(&reply.expect("the caller replies")), rounds)
}

//! The methods of the management canister and their arguments.

use candid::utils::{ArgumentDecoder, decode_args_with_config, decode_one_with_config};
use candid::{CandidType, DecoderConfig};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInfoArgs, CanisterInstallMode, CreateCanisterArgs,
    EcdsaPublicKeyArgs, HttpRequestArgs, InstallChunkedCodeArgs,
    ProvisionalCreateCanisterWithCyclesArgs, ProvisionalTopUpCanisterArgs, SchnorrPublicKeyArgs,
    SignWithEcdsaArgs, SignWithSchnorrArgs, UninstallCodeArgs, UpdateSettingsArgs, UploadChunkArgs,
};
use serde::Deserialize;

use crate::canister::Canister;
use crate::errors::{ErrorCode, UserError};
use crate::types::Principal;

/// Methods of the real management canister that this runtime refuses.
const UNSUPPORTED: &[&str] = &[
    "bitcoin_get_balance",
    "bitcoin_get_block_headers",
    "bitcoin_get_current_fee_percentiles",
    "bitcoin_get_utxos",
    "bitcoin_send_transaction",
    "canister_metadata",
    "delete_canister_snapshot",
    "flexible_http_request",
    "list_canister_snapshots",
    "list_canisters",
    "load_canister_snapshot",
    "node_metrics_history",
    "read_canister_snapshot_data",
    "read_canister_snapshot_metadata",
    "rename_canister",
    "subnet_info",
    "take_canister_snapshot",
    "upload_canister_snapshot_data",
    "upload_canister_snapshot_metadata",
    "vetkd_derive_key",
    "vetkd_public_key",
];

/// Argument of `install_code`.
#[derive(Clone, Debug, CandidType, Deserialize)]
pub struct InstallCodeArgs {
    pub mode: CanisterInstallMode,
    pub canister_id: Principal,
    #[serde(with = "serde_bytes")]
    pub wasm_module: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub arg: Vec<u8>,
}

/// A decoded call of the management canister.
#[derive(Clone, Debug)]
pub enum ManagementRequest {
    CreateCanister(CreateCanisterArgs),
    ProvisionalCreate(ProvisionalCreateCanisterWithCyclesArgs),
    ProvisionalTopUp(ProvisionalTopUpCanisterArgs),
    InstallCode(Box<InstallCodeArgs>),
    InstallChunkedCode(Box<InstallChunkedCodeArgs>),
    UploadChunk(UploadChunkArgs),
    ClearChunkStore(Principal),
    StoredChunks(Principal),
    UninstallCode(Principal),
    UpdateSettings(Box<UpdateSettingsArgs>),
    StartCanister(Principal),
    StopCanister(Principal),
    DeleteCanister(Principal),
    CanisterStatus(Principal),
    CanisterInfo(CanisterInfoArgs),
    DepositCycles(Principal),
    RawRand,
    HttpRequest(Box<HttpRequestArgs>),
    EcdsaPublicKey(EcdsaPublicKeyArgs),
    SignWithEcdsa(SignWithEcdsaArgs),
    SchnorrPublicKey(SchnorrPublicKeyArgs),
    SignWithSchnorr(SignWithSchnorrArgs),
}

/// Limits on hostile arguments: the work of decoding, and of skipping what is not asked for.
fn decoder_config() -> DecoderConfig {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(500_000_000)
        .set_skipping_quota(10_000)
        .set_full_error_message(false);
    config
}

fn invalid_payload(error: &candid::Error) -> UserError {
    UserError::new(
        ErrorCode::InvalidManagementPayload,
        format!("Error decoding candid: {error}"),
    )
}

pub(super) fn one<T: for<'a> Deserialize<'a> + CandidType>(arg: &[u8]) -> Result<T, UserError> {
    decode_one_with_config(arg, &decoder_config()).map_err(|error| invalid_payload(&error))
}

fn id(arg: &[u8]) -> Result<Principal, UserError> {
    one::<CanisterIdRecord>(arg).map(|record| record.canister_id)
}

fn nothing(arg: &[u8]) -> Result<(), UserError> {
    fn decode<T: for<'a> ArgumentDecoder<'a>>(arg: &[u8]) -> candid::Result<T> {
        decode_args_with_config(arg, &decoder_config())
    }
    decode::<()>(arg).map_err(|error| invalid_payload(&error))
}

impl ManagementRequest {
    /// Decodes a call. Errors: 536 for a method that does not exist or is not supported here, 408 for
    /// an argument that does not fit.
    pub fn decode(method: &str, arg: &[u8]) -> Result<Self, UserError> {
        Ok(match method {
            "create_canister" => Self::CreateCanister(one(arg)?),
            "provisional_create_canister_with_cycles" => Self::ProvisionalCreate(one(arg)?),
            "provisional_top_up_canister" => Self::ProvisionalTopUp(one(arg)?),
            "install_code" => Self::InstallCode(Box::new(one(arg)?)),
            "install_chunked_code" => Self::InstallChunkedCode(Box::new(one(arg)?)),
            "upload_chunk" => Self::UploadChunk(one(arg)?),
            "clear_chunk_store" => Self::ClearChunkStore(id(arg)?),
            "stored_chunks" => Self::StoredChunks(id(arg)?),
            "uninstall_code" => Self::UninstallCode(one::<UninstallCodeArgs>(arg)?.canister_id),
            "update_settings" => Self::UpdateSettings(Box::new(one(arg)?)),
            "start_canister" => Self::StartCanister(id(arg)?),
            "stop_canister" => Self::StopCanister(id(arg)?),
            "delete_canister" => Self::DeleteCanister(id(arg)?),
            "canister_status" => Self::CanisterStatus(id(arg)?),
            "canister_info" => Self::CanisterInfo(one(arg)?),
            "deposit_cycles" => Self::DepositCycles(id(arg)?),
            "raw_rand" => {
                nothing(arg)?;
                Self::RawRand
            }
            "http_request" => Self::HttpRequest(Box::new(one(arg)?)),
            "ecdsa_public_key" => Self::EcdsaPublicKey(one(arg)?),
            "sign_with_ecdsa" => {
                let args: SignWithEcdsaArgs = one(arg)?;
                if args.message_hash.len() != 32 {
                    return Err(UserError::new(
                        ErrorCode::InvalidManagementPayload,
                        format!(
                            "message_hash has {} bytes, 32 are needed",
                            args.message_hash.len()
                        ),
                    ));
                }
                Self::SignWithEcdsa(args)
            }
            "schnorr_public_key" => Self::SchnorrPublicKey(one(arg)?),
            "sign_with_schnorr" => Self::SignWithSchnorr(one(arg)?),
            "fetch_canister_logs" => {
                return Err(UserError::new(
                    ErrorCode::CanisterRejectedMessage,
                    "fetch_canister_logs API is only accessible to end users in non-replicated mode",
                ));
            }
            _ if UNSUPPORTED.contains(&method) => {
                return Err(UserError::new(
                    ErrorCode::CanisterMethodNotFound,
                    format!(
                        "The management method '{method}' is not supported by this local runtime"
                    ),
                ));
            }
            _ => {
                return Err(UserError::new(
                    ErrorCode::CanisterMethodNotFound,
                    format!("Management canister has no method '{method}'"),
                ));
            }
        })
    }

    /// The canister the request is about, `None` if it is about none (yet).
    pub fn target(&self) -> Option<Principal> {
        match self {
            Self::ProvisionalTopUp(args) => Some(args.canister_id),
            Self::InstallCode(args) => Some(args.canister_id),
            Self::InstallChunkedCode(args) => Some(args.target_canister),
            Self::UploadChunk(args) => Some(args.canister_id),
            Self::UpdateSettings(args) => Some(args.canister_id),
            Self::CanisterInfo(args) => Some(args.canister_id),
            Self::ClearChunkStore(id)
            | Self::StoredChunks(id)
            | Self::UninstallCode(id)
            | Self::StartCanister(id)
            | Self::StopCanister(id)
            | Self::DeleteCanister(id)
            | Self::CanisterStatus(id)
            | Self::DepositCycles(id) => Some(*id),
            Self::CreateCanister(_)
            | Self::ProvisionalCreate(_)
            | Self::RawRand
            | Self::HttpRequest(_)
            | Self::EcdsaPublicKey(_)
            | Self::SignWithEcdsa(_)
            | Self::SchnorrPublicKey(_)
            | Self::SignWithSchnorr(_) => None,
        }
    }

    /// The id a new canister is to have.
    pub fn specified_id(&self) -> Option<Principal> {
        match self {
            Self::ProvisionalCreate(args) => args.specified_id,
            _ => None,
        }
    }

    /// Whether users may call it, or only canisters.
    pub fn open_to_ingress(&self) -> bool {
        !matches!(
            self,
            Self::CreateCanister(_)
                | Self::CanisterInfo(_)
                | Self::DepositCycles(_)
                | Self::RawRand
                | Self::HttpRequest(_)
                | Self::EcdsaPublicKey(_)
                | Self::SignWithEcdsa(_)
                | Self::SchnorrPublicKey(_)
                | Self::SignWithSchnorr(_)
        )
    }

    /// Whether `caller` may ask for it; `canister` is its target.
    pub fn is_open_to(&self, caller: &Principal, canister: &Canister) -> bool {
        let open = match self {
            Self::ProvisionalTopUp(_) | Self::CanisterInfo(_) | Self::DepositCycles(_) => true,
            Self::UploadChunk(_) | Self::ClearChunkStore(_) | Self::StoredChunks(_) => {
                *caller == canister.id
            }
            Self::CanisterStatus(_) => *caller == canister.id || canister.shows_status_to(caller),
            _ => false,
        };
        open || canister.is_controller(caller)
    }

    /// Whether the reception of its ingress message, with an argument of `bytes`, is paid for
    /// afterwards: short changes of settings, so that a frozen canister can be thawed.
    pub fn pays_reception_later(&self, bytes: usize) -> bool {
        const MAX_BYTES: usize = 267;
        matches!(self, Self::UpdateSettings(_)) && bytes <= MAX_BYTES
    }

    /// Whether it must wait while a long execution of the target goes on.
    pub fn waits_for_execution(&self) -> bool {
        !matches!(
            self,
            Self::ProvisionalTopUp(_)
                | Self::CanisterInfo(_)
                | Self::DepositCycles(_)
                | Self::CanisterStatus(_)
        )
    }
}

//! The chunk store: modules too large for one message come in pieces.

use ic_management_canister_types::{ChunkHash, InstallChunkedCodeArgs, UploadChunkArgs};
use sha2::{Digest, Sha256};

use super::Handled;
use super::request::InstallCodeArgs;
use crate::canister::CHUNK_BYTES;
use crate::errors::{ErrorCode, UserError};
use crate::message::Origin;
use crate::replica::Replica;
use crate::texts;
use crate::types::{Cycles, Principal};

const MAX_CHUNKS: usize = 100;

fn store_error(text: String) -> UserError {
    UserError::new(
        ErrorCode::CanisterContractViolation,
        format!("Error from Wasm chunk store: {text}"),
    )
}

impl Replica {
    pub(super) fn upload_chunk(
        &mut self,
        args: UploadChunkArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let id = args.canister_id;
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        if args.chunk.len() as u64 > CHUNK_BYTES {
            return Err(store_error(format!(
                "Wasm chunk size {} exceeds the maximum chunk size of {CHUNK_BYTES}.",
                args.chunk.len()
            )));
        }
        let hash: [u8; 32] = Sha256::digest(&args.chunk).into();
        if canister.chunks.len() >= MAX_CHUNKS && !canister.chunks.contains_key(&hash) {
            return Err(store_error(format!(
                "Wasm chunk store has already reached maximum capacity of {MAX_CHUNKS} chunks."
            )));
        }
        canister.chunks.insert(hash, args.chunk);
        Handled::reply(
            ChunkHash {
                hash: hash.to_vec(),
            },
            cycles,
        )
    }

    pub(super) fn clear_chunk_store(
        &mut self,
        id: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        canister.chunks.clear();
        Handled::done(cycles)
    }

    pub(super) fn stored_chunks(
        &self,
        id: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let hashes: Vec<ChunkHash> = canister
            .chunks
            .keys()
            .map(|hash| ChunkHash {
                hash: hash.to_vec(),
            })
            .collect();
        Handled::reply(hashes, cycles)
    }

    pub(super) fn install_chunked_code(
        &mut self,
        caller: Principal,
        origin: &Origin,
        args: InstallChunkedCodeArgs,
    ) -> Result<(), UserError> {
        let target = args.target_canister;
        let store_id = args.store_canister.unwrap_or(target);
        let store = self
            .canisters
            .get(&store_id)
            .ok_or_else(|| texts::not_found(store_id))?;
        if self.canisters.get(&target).map(|canister| canister.subnet) != Some(store.subnet) {
            return Err(store_error(format!(
                "the store canister {store_id} is on another subnet than {target}."
            )));
        }
        if caller != store_id && !store.is_controller(&caller) {
            return Err(texts::not_controller(store, caller));
        }
        if args.chunk_hashes_list.len() > MAX_CHUNKS {
            return Err(store_error(format!(
                "more than {MAX_CHUNKS} chunks are listed."
            )));
        }
        let mut wasm_module = Vec::new();
        for chunk in &args.chunk_hashes_list {
            let stored = <[u8; 32]>::try_from(chunk.hash.as_slice())
                .ok()
                .and_then(|hash| store.chunks.get(&hash))
                .ok_or_else(|| {
                    store_error(format!(
                        "Chunk hash {} was not found.",
                        hex::encode(&chunk.hash)
                    ))
                })?;
            wasm_module.extend_from_slice(stored);
        }
        let hash: [u8; 32] = Sha256::digest(&wasm_module).into();
        if hash[..] != args.wasm_module_hash {
            return Err(store_error(format!(
                "the module's hash is {}, not {}.",
                hex::encode(hash),
                hex::encode(&args.wasm_module_hash)
            )));
        }
        let args = InstallCodeArgs {
            mode: args.mode,
            canister_id: target,
            wasm_module,
            arg: args.arg,
        };
        self.install_code(caller, origin, args)
    }
}

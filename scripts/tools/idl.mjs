// Candid of the methods the demo and the client tests call, no more.
import { IDL } from "@icp-sdk/core/candid";
import { idlFactory, init } from "./tollkeeper.did.mjs";

const { Record, Variant, Opt, Vec, Nat, Nat8, Nat64, Text, Bool, Null, Principal, Func, Service, Tuple, Rec } = IDL;
const Blob = Vec(Nat8);
export const Account = Record({ owner: Principal, subaccount: Opt(Blob) });
const result = (ok, err) => Variant({ Ok: ok, Err: err });

const chunkHash = Record({ hash: Blob });
export const management = () =>
  Service({
    provisional_create_canister_with_cycles: Func(
      [Record({ amount: Opt(Nat), specified_id: Opt(Principal) })],
      [Record({ canister_id: Principal })],
      [],
    ),
    install_code: Func(
      [Record({ mode: Variant({ install: Null }), canister_id: Principal, wasm_module: Blob, arg: Blob })],
      [],
      [],
    ),
    upload_chunk: Func([Record({ canister_id: Principal, chunk: Blob })], [chunkHash], []),
    install_chunked_code: Func(
      [
        Record({
          mode: Variant({ install: Null }),
          target_canister: Principal,
          chunk_hashes_list: Vec(chunkHash),
          wasm_module_hash: Blob,
          arg: Blob,
        }),
      ],
      [],
      [],
    ),
  });

const archiveOptions = Record({ num_blocks_to_archive: Nat64, trigger_threshold: Nat64, controller_id: Principal });
/** Init argument of the standard ICRC ledger, optional fields left out. */
export const ledgerInit = Variant({
  Init: Record({
    minting_account: Account,
    transfer_fee: Nat,
    decimals: Opt(Nat8),
    token_symbol: Text,
    token_name: Text,
    metadata: Vec(Tuple(Text, Variant({ Nat, Int: IDL.Int, Text, Blob }))),
    initial_balances: Vec(Tuple(Account, Nat)),
    feature_flags: Opt(Record({ icrc2: Bool })),
    archive_options: archiveOptions,
  }),
});

const value = Rec();
value.fill(Variant({ Blob, Text, Nat, Int: IDL.Int, Array: Vec(value), Map: Vec(Tuple(Text, value)) }));
export const ledger = () =>
  Service({
    icrc1_balance_of: Func([Account], [Nat], ["query"]),
    icrc3_get_blocks: Func(
      [Vec(Record({ start: Nat, length: Nat }))],
      [Record({ log_length: Nat, blocks: Vec(Record({ id: Nat, block: value })) })],
      ["query"],
    ),
  });

/** ICRC-1 transfer, for handing test tokens around. */
export const transfer = () =>
  Service({
    icrc1_transfer: Func(
      [
        Record({
          to: Account,
          amount: Nat,
          fee: Opt(Nat),
          memo: Opt(Blob),
          from_subaccount: Opt(Blob),
          created_at_time: Opt(Nat64),
        }),
      ],
      [result(Nat, Variant({ InsufficientFunds: Record({ balance: Nat }), BadFee: Record({ expected_fee: Nat }) }))],
      [],
    ),
  });

/** The canister's interface and its init argument, as made from canister.did. */
export const tollkeeper = idlFactory;
export const [tollkeeperInit] = init({ IDL });

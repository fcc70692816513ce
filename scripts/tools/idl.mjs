// Candid of the methods the demo and the client tests call, no more.
import { IDL } from "@icp-sdk/core/candid";

const { Record, Variant, Opt, Vec, Nat, Nat8, Nat32, Nat64, Text, Bool, Null, Principal, Func, Service, Tuple, Rec } = IDL;
const Blob = Vec(Nat8);
export const Account = Record({ owner: Principal, subaccount: Opt(Blob) });
const result = (ok, err) => Variant({ Ok: ok, Err: err });

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

const InvalidArgument = Record({ field: Text, problem: Text, limit: Opt(Nat) });
export const tollkeeperInit = Opt(
  Variant({ Init: Record({ network: Opt(Text), pay_to: Opt(Account), operators: Opt(Vec(Principal)), limits: Opt(Record({})) }) }),
);
const routeArgs = Record({
  method: Text,
  path: Text,
  description: Text,
  mime_type: Text,
  prices: Vec(Record({ ledger: Principal, amount: Nat })),
  pay_to: Opt(Account),
  max_timeout_seconds: Opt(Nat32),
  on_sale: Bool,
  payment_identifier: Opt(Variant({ Optional: Null, Required: Null })),
});
const receipt = Record({
  payment_id: Blob,
  network: Text,
  ledger: Principal,
  block_index: Nat,
  payer: Opt(Account),
  pay_to: Account,
  amount: Nat,
  fee: Nat,
  method: Opt(Text),
  path: Opt(Text),
  settled_at: Nat64,
});
// Errors are only shown: every variant with its payload left out decodes as the `Err` of one method.
const shownError = Variant({
  Unauthorized: Null,
  InvalidArgument,
  LedgerUnavailable: Record({ problem: Text }),
  NotALedger: Record({ problem: Text }),
  UnknownLedger: Null,
  UnknownRoute: Null,
});
export const tollkeeper = () =>
  Service({
    config: Func([], [Record({ network: Text, version: Text })], ["query"]),
    ledger_add: Func([Principal], [result(Record({ symbol: Text, decimals: Nat8, fee: Nat }), shownError)], []),
    route_put: Func([routeArgs], [result(Record({ path: Text }), shownError)], []),
    content_begin: Func([Record({ method: Text, path: Text, bytes: Nat64, sha256: Blob })], [result(Nat64, shownError)], []),
    content_chunk: Func([Record({ upload: Nat64, offset: Nat64, bytes: Blob })], [result(Null, shownError)], []),
    content_commit: Func([Record({ upload: Nat64 })], [result(Record({ bytes: Nat64, sha256: Blob }), shownError)], []),
    receipt: Func([Blob], [Opt(receipt)], ["query"]),
    origin_set: Func([Opt(Text)], [result(Null, shownError)], []),
  });

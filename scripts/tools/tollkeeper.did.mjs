export const idlFactory = ({ IDL }) => {
  const LimitsArg = IDL.Record({
    'max_timeout_seconds' : IDL.Opt(IDL.Nat32),
    'max_payments' : IDL.Opt(IDL.Nat64),
    'retention_seconds' : IDL.Opt(IDL.Nat32),
    'max_routes' : IDL.Opt(IDL.Nat32),
    'max_content_total_bytes' : IDL.Opt(IDL.Nat64),
    'cycles_floor' : IDL.Opt(IDL.Nat),
  });
  const Account = IDL.Record({
    'owner' : IDL.Principal,
    'subaccount' : IDL.Opt(IDL.Vec(IDL.Nat8)),
  });
  const UpgradeArgs = IDL.Record({
    'network' : IDL.Opt(IDL.Text),
    'operators' : IDL.Opt(IDL.Vec(IDL.Principal)),
    'limits' : IDL.Opt(LimitsArg),
    'pay_to' : IDL.Opt(Account),
  });
  const InitArgs = IDL.Record({
    'network' : IDL.Opt(IDL.Text),
    'operators' : IDL.Opt(IDL.Vec(IDL.Principal)),
    'limits' : IDL.Opt(LimitsArg),
    'pay_to' : IDL.Opt(Account),
  });
  const TollkeeperArgs = IDL.Variant({
    'Upgrade' : UpgradeArgs,
    'Init' : InitArgs,
  });
  const AccessArgs = IDL.Record({
    'method' : IDL.Text,
    'path' : IDL.Text,
    'payer' : IDL.Principal,
    'payment_id' : IDL.Vec(IDL.Nat8),
  });
  const Receipt = IDL.Record({
    'fee' : IDL.Nat,
    'method' : IDL.Opt(IDL.Text),
    'block_index' : IDL.Nat,
    'path' : IDL.Opt(IDL.Text),
    'network' : IDL.Text,
    'ledger' : IDL.Principal,
    'payer' : IDL.Opt(Account),
    'payment_id' : IDL.Vec(IDL.Nat8),
    'amount' : IDL.Nat,
    'pay_to' : Account,
    'settled_at' : IDL.Nat64,
  });
  const Access = IDL.Record({ 'receipt' : Receipt, 'until' : IDL.Nat64 });
  const InvalidArgument = IDL.Record({
    'field' : IDL.Text,
    'limit' : IDL.Opt(IDL.Nat),
    'problem' : IDL.Text,
  });
  const AccessError = IDL.Variant({
    'NotPaid' : IDL.Null,
    'Refunded' : IDL.Null,
    'NotDelivered' : IDL.Null,
    'Unauthorized' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
    'Expired' : IDL.Record({ 'until' : IDL.Nat64 }),
  });
  const RouteError = IDL.Variant({
    'TooManyRoutes' : IDL.Record({ 'limit' : IDL.Nat32 }),
    'Unauthorized' : IDL.Null,
    'UnknownLedger' : IDL.Principal,
    'InvalidArgument' : InvalidArgument,
    'UnknownRoute' : IDL.Null,
  });
  const PageArgs = IDL.Record({
    'after' : IDL.Opt(IDL.Nat64),
    'limit' : IDL.Opt(IDL.Nat32),
  });
  const AdminAudit = IDL.Record({
    'at' : IDL.Nat64,
    'action' : IDL.Text,
    'subject' : IDL.Text,
    'number' : IDL.Nat64,
    'caller' : IDL.Principal,
  });
  const PaymentsError = IDL.Variant({
    'Unauthorized' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const PaymentAudit = IDL.Record({
    'at' : IDL.Nat64,
    'transition' : IDL.Variant({
      'RefundDue' : IDL.Record({ 'cause' : IDL.Text }),
      'Failed' : IDL.Record({ 'code' : IDL.Text }),
      'Refunded' : IDL.Record({ 'block_index' : IDL.Nat }),
      'Delivered' : IDL.Record({ 'block_index' : IDL.Nat }),
      'Opened' : IDL.Null,
      'WorkCalled' : IDL.Null,
      'Unknown' : IDL.Record({ 'reason' : IDL.Text }),
      'WorkFailed' : IDL.Record({ 'problem' : IDL.Text }),
      'Retried' : IDL.Null,
      'RefundTried' : IDL.Null,
      'RefundFailed' : IDL.Record({ 'problem' : IDL.Text }),
      'Settled' : IDL.Record({ 'block_index' : IDL.Nat }),
    }),
    'number' : IDL.Nat64,
    'payment' : IDL.Vec(IDL.Nat8),
  });
  const CancelArgs = IDL.Record({
    'valid_before_seconds' : IDL.Nat64,
    'nonce' : IDL.Vec(IDL.Nat8),
  });
  const CancelError = IDL.Variant({
    'TooManyCancellations' : IDL.Record({ 'limit' : IDL.Nat32 }),
    'InvalidArgument' : InvalidArgument,
    'TooFarAhead' : IDL.Record({ 'limit_seconds' : IDL.Nat64 }),
    'Expired' : IDL.Record({ 'now_seconds' : IDL.Nat64 }),
    'AnonymousCaller' : IDL.Null,
    'AlreadyUsed' : IDL.Record({ 'payment_id' : IDL.Vec(IDL.Nat8) }),
  });
  const Limits = IDL.Record({
    'max_timeout_seconds' : IDL.Nat32,
    'max_payments' : IDL.Nat64,
    'retention_seconds' : IDL.Nat32,
    'max_content_bytes' : IDL.Nat32,
    'max_routes' : IDL.Nat32,
    'max_content_total_bytes' : IDL.Nat64,
    'cycles_floor' : IDL.Nat,
  });
  const Config = IDL.Record({
    'network' : IDL.Text,
    'version' : IDL.Text,
    'operators' : IDL.Vec(IDL.Principal),
    'limits' : Limits,
    'pay_to' : Account,
  });
  const ContentBegin = IDL.Record({
    'method' : IDL.Text,
    'sha256' : IDL.Vec(IDL.Nat8),
    'path' : IDL.Text,
    'bytes' : IDL.Nat64,
  });
  const ContentError = IDL.Variant({
    'StorageFull' : IDL.Record({ 'limit' : IDL.Nat64 }),
    'UnknownUpload' : IDL.Null,
    'Unauthorized' : IDL.Null,
    'HashMismatch' : IDL.Record({
      'actual' : IDL.Vec(IDL.Nat8),
      'expected' : IDL.Vec(IDL.Nat8),
    }),
    'InvalidArgument' : InvalidArgument,
    'WrongOffset' : IDL.Record({ 'expected' : IDL.Nat64 }),
    'UnknownRoute' : IDL.Null,
    'Incomplete' : IDL.Record({
      'expected' : IDL.Nat64,
      'received' : IDL.Nat64,
    }),
    'TooManyUploads' : IDL.Record({ 'limit' : IDL.Nat32 }),
  });
  const Content = IDL.Record({
    'sha256' : IDL.Vec(IDL.Nat8),
    'bytes' : IDL.Nat64,
  });
  const HttpRequest = IDL.Record({
    'url' : IDL.Text,
    'method' : IDL.Text,
    'body' : IDL.Vec(IDL.Nat8),
    'headers' : IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text)),
    'certificate_version' : IDL.Opt(IDL.Nat16),
  });
  const HttpResponse = IDL.Record({
    'body' : IDL.Vec(IDL.Nat8),
    'headers' : IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text)),
    'upgrade' : IDL.Opt(IDL.Bool),
    'status_code' : IDL.Nat16,
  });
  const HttpUpdateRequest = IDL.Record({
    'url' : IDL.Text,
    'method' : IDL.Text,
    'body' : IDL.Vec(IDL.Nat8),
    'headers' : IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text)),
  });
  const SupportedStandard = IDL.Record({ 'url' : IDL.Text, 'name' : IDL.Text });
  const ConsentMetadata = IDL.Record({
    'utc_offset_minutes' : IDL.Opt(IDL.Int16),
    'language' : IDL.Text,
  });
  const ConsentMessageRequest = IDL.Record({
    'arg' : IDL.Vec(IDL.Nat8),
    'method' : IDL.Text,
    'user_preferences' : IDL.Record({
      'metadata' : ConsentMetadata,
      'device_spec' : IDL.Opt(
        IDL.Variant({ 'GenericDisplay' : IDL.Null, 'FieldsDisplay' : IDL.Null })
      ),
    }),
  });
  const ConsentValue = IDL.Variant({
    'Text' : IDL.Record({ 'content' : IDL.Text }),
    'TokenAmount' : IDL.Record({
      'decimals' : IDL.Nat8,
      'amount' : IDL.Nat64,
      'symbol' : IDL.Text,
    }),
    'TimestampSeconds' : IDL.Record({ 'amount' : IDL.Nat64 }),
    'DurationSeconds' : IDL.Record({ 'amount' : IDL.Nat64 }),
  });
  const ConsentInfo = IDL.Record({
    'metadata' : ConsentMetadata,
    'consent_message' : IDL.Variant({
      'FieldsDisplayMessage' : IDL.Record({
        'fields' : IDL.Vec(IDL.Tuple(IDL.Text, ConsentValue)),
        'intent' : IDL.Text,
      }),
      'GenericDisplayMessage' : IDL.Text,
    }),
  });
  const ConsentError = IDL.Variant({
    'GenericError' : IDL.Record({
      'description' : IDL.Text,
      'error_code' : IDL.Nat,
    }),
    'InsufficientPayment' : IDL.Record({ 'description' : IDL.Text }),
    'UnsupportedCanisterCall' : IDL.Record({ 'description' : IDL.Text }),
    'ConsentMessageUnavailable' : IDL.Record({ 'description' : IDL.Text }),
  });
  const InvoiceStatus = IDL.Variant({
    'NotSold' : IDL.Null,
    'Short' : IDL.Null,
    'Collecting' : IDL.Null,
    'Open' : IDL.Null,
    'Paid' : IDL.Record({ 'block_index' : IDL.Nat, 'settled_at' : IDL.Nat64 }),
    'NoRoom' : IDL.Null,
    'Refused' : IDL.Null,
    'Expired' : IDL.Null,
  });
  const Invoice = IDL.Record({
    'read_at' : IDL.Opt(IDL.Nat64),
    'status' : InvoiceStatus,
    'method' : IDL.Text,
    'decimals' : IDL.Nat8,
    'balance' : IDL.Nat,
    'offer' : IDL.Text,
    'path' : IDL.Text,
    'created_at' : IDL.Nat64,
    'refund_to' : IDL.Opt(Account),
    'ledger' : IDL.Principal,
    'account_identifier' : IDL.Opt(IDL.Text),
    'account' : Account,
    'price' : IDL.Nat,
    'payment_id' : IDL.Opt(IDL.Vec(IDL.Nat8)),
    'amount' : IDL.Nat,
    'expires_at' : IDL.Nat64,
    'returned' : IDL.Opt(
      IDL.Record({
        'to' : Account,
        'pending' : IDL.Bool,
        'made' : IDL.Opt(
          IDL.Record({
            'at' : IDL.Nat64,
            'block_index' : IDL.Nat,
            'amount' : IDL.Nat,
          })
        ),
      })
    ),
    'symbol' : IDL.Text,
    'pay_to' : Account,
    'account_text' : IDL.Text,
  });
  const InvoiceError = IDL.Variant({
    'TooManyRequests' : IDL.Record({ 'limit' : IDL.Nat32 }),
    'TooManyInvoices' : IDL.Record({ 'limit' : IDL.Nat32 }),
    'NotSold' : IDL.Null,
    'NothingToReturn' : IDL.Record({ 'fee' : IDL.Nat, 'balance' : IDL.Nat }),
    'UnknownInvoice' : IDL.Null,
    'UnknownLedger' : IDL.Null,
    'LedgerUnavailable' : IDL.Record({ 'problem' : IDL.Text }),
    'Unknown' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
    'InProgress' : IDL.Null,
    'NotEnded' : IDL.Record({ 'expires_at' : IDL.Nat64 }),
    'OtherAccount' : IDL.Record({ 'account' : Account }),
    'IdUsed' : IDL.Null,
  });
  const InvoiceArgs = IDL.Record({
    'id' : IDL.Vec(IDL.Nat8),
    'method' : IDL.Text,
    'path' : IDL.Text,
    'refund_to' : IDL.Opt(Account),
    'ledger' : IDL.Principal,
    'price' : IDL.Opt(IDL.Nat),
  });
  const InvoiceReturnArgs = IDL.Record({
    'id' : IDL.Vec(IDL.Nat8),
    'to' : IDL.Opt(Account),
    'ledger' : IDL.Principal,
  });
  const Ledger = IDL.Record({
    'fee' : IDL.Nat,
    'decimals' : IDL.Nat8,
    'standards' : IDL.Vec(IDL.Text),
    'block_log' : IDL.Opt(
      IDL.Variant({ 'Icrc3' : IDL.Null, 'QueryBlocks' : IDL.Null })
    ),
    'enabled' : IDL.Bool,
    'ledger' : IDL.Principal,
    'symbol' : IDL.Text,
  });
  const LedgerError = IDL.Variant({
    'NotALedger' : IDL.Record({ 'problem' : IDL.Text }),
    'TooManyLedgers' : IDL.Record({ 'limit' : IDL.Nat32 }),
    'Unauthorized' : IDL.Null,
    'UnknownLedger' : IDL.Null,
    'LedgerUnavailable' : IDL.Record({ 'problem' : IDL.Text }),
    'InvalidArgument' : InvalidArgument,
  });
  const NotifyStatus = IDL.Record({
    'next_try' : IDL.Opt(IDL.Nat64),
    'failures' : IDL.Nat16,
    'dropped' : IDL.Nat64,
    'latest_event_id' : IDL.Nat64,
    'sent' : IDL.Nat64,
    'target' : IDL.Opt(IDL.Principal),
    'waiting' : IDL.Nat64,
  });
  const RouteKey = IDL.Record({ 'method' : IDL.Text, 'path' : IDL.Text });
  const Offer = IDL.Record({
    'fee' : IDL.Nat,
    'decimals' : IDL.Nat8,
    'offer' : IDL.Text,
    'scheme' : IDL.Text,
    'max_timeout_seconds' : IDL.Nat32,
    'network' : IDL.Text,
    'ledger' : IDL.Principal,
    'amount' : IDL.Nat,
    'spender' : IDL.Principal,
    'symbol' : IDL.Text,
    'pay_to' : Account,
  });
  const PayArgs = IDL.Record({
    'id' : IDL.Vec(IDL.Nat8),
    'fee' : IDL.Nat,
    'method' : IDL.Text,
    'path' : IDL.Text,
    'from_subaccount' : IDL.Opt(IDL.Vec(IDL.Nat8)),
    'ledger' : IDL.Principal,
    'created_at_time' : IDL.Nat64,
    'amount' : IDL.Nat,
    'pay_to' : Account,
  });
  const Purchased = IDL.Record({
    'receipt' : Receipt,
    'body' : IDL.Vec(IDL.Nat8),
    'mime_type' : IDL.Text,
  });
  const PayError = IDL.Variant({
    'Failed' : IDL.Record({
      'code' : IDL.Text,
      'message' : IDL.Text,
      'payment_id' : IDL.Vec(IDL.Nat8),
    }),
    'Duplicate' : IDL.Record({
      'receipt' : IDL.Opt(Receipt),
      'payment_id' : IDL.Vec(IDL.Nat8),
    }),
    'InvalidArgument' : InvalidArgument,
    'Refused' : IDL.Record({ 'code' : IDL.Text, 'message' : IDL.Text }),
    'AnonymousCaller' : IDL.Null,
    'Pending' : IDL.Record({ 'payment_id' : IDL.Vec(IDL.Nat8) }),
  });
  const PaymentStatus = IDL.Variant({
    'Refunding' : IDL.Record({
      'block_index' : IDL.Nat,
      'cause' : IDL.Text,
      'attempts' : IDL.Nat16,
      'since' : IDL.Nat64,
      'problem' : IDL.Text,
      'settled_at' : IDL.Nat64,
    }),
    'Failed' : IDL.Record({
      'code' : IDL.Text,
      'failed_at' : IDL.Nat64,
      'message' : IDL.Text,
    }),
    'Refunded' : IDL.Record({
      'block_index' : IDL.Nat,
      'refunded_at' : IDL.Nat64,
      'refund_block_index' : IDL.Nat,
      'settled_at' : IDL.Nat64,
    }),
    'Delivered' : IDL.Record({
      'block_index' : IDL.Nat,
      'delivered_at' : IDL.Nat64,
      'settled_at' : IDL.Nat64,
    }),
    'Settling' : IDL.Null,
    'Unknown' : IDL.Record({ 'since' : IDL.Nat64, 'reason' : IDL.Text }),
    'Settled' : IDL.Record({
      'block_index' : IDL.Nat,
      'work' : IDL.Opt(
        IDL.Record({
          'attempts' : IDL.Nat16,
          'since' : IDL.Nat64,
          'problem' : IDL.Opt(IDL.Text),
        })
      ),
      'settled_at' : IDL.Nat64,
    }),
  });
  const Payment = IDL.Record({
    'id' : IDL.Vec(IDL.Nat8),
    'fee' : IDL.Nat,
    'status' : PaymentStatus,
    'method' : IDL.Opt(IDL.Text),
    'path' : IDL.Opt(IDL.Text),
    'rail' : IDL.Text,
    'network' : IDL.Text,
    'created_at' : IDL.Nat64,
    'refund_amount' : IDL.Nat,
    'ledger' : IDL.Principal,
    'payer' : IDL.Opt(Account),
    'amount' : IDL.Nat,
    'sequence' : IDL.Opt(IDL.Nat64),
    'pay_to' : Account,
  });
  const RecheckError = IDL.Variant({
    'UnknownPayment' : IDL.Null,
    'Unauthorized' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const ResolveArgs = IDL.Record({
    'id' : IDL.Vec(IDL.Nat8),
    'outcome' : IDL.Variant({
      'NotMoved' : IDL.Null,
      'Moved' : IDL.Record({ 'block_index' : IDL.Nat }),
    }),
  });
  const ResolveError = IDL.Variant({
    'TooEarly' : IDL.Record({ 'from' : IDL.Nat64 }),
    'UnknownPayment' : IDL.Null,
    'NotInDoubt' : IDL.Null,
    'LogDecides' : IDL.Record({ 'until' : IDL.Nat64 }),
    'Unauthorized' : IDL.Null,
    'SettledPaymentsFull' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const Quote = IDL.Record({
    'mime_type' : IDL.Text,
    'description' : IDL.Text,
    'offers' : IDL.Vec(Offer),
  });
  const ReceiptSignError = IDL.Variant({
    'Failed' : IDL.Text,
    'TooFewCycles' : IDL.Record({ 'price' : IDL.Nat }),
    'TooMany' : IDL.Record({
      'limit' : IDL.Nat32,
      'retry_after_seconds' : IDL.Nat32,
    }),
    'Busy' : IDL.Null,
    'NotEnabled' : IDL.Null,
    'NotDelivered' : IDL.Null,
    'NotFound' : IDL.Null,
    'Unauthorized' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const ReceiptSigningArgs = IDL.Record({
    'per_day' : IDL.Nat32,
    'key_name' : IDL.Text,
  });
  const ReceiptSigning = IDL.Record({
    'setting' : IDL.Opt(ReceiptSigningArgs),
    'signed' : IDL.Nat64,
  });
  const ReceiptSigningError = IDL.Variant({
    'NoKey' : IDL.Text,
    'Unauthorized' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const RefundError = IDL.Variant({
    'UnknownPayment' : IDL.Null,
    'Unauthorized' : IDL.Null,
    'NotRefundable' : IDL.Null,
    'InvalidArgument' : InvalidArgument,
  });
  const PaymentIdentifier = IDL.Variant({
    'Required' : IDL.Null,
    'Optional' : IDL.Null,
  });
  const Price = IDL.Record({ 'ledger' : IDL.Principal, 'amount' : IDL.Nat });
  const Forward = IDL.Record({
    'mode' : IDL.Variant({ 'Serve' : IDL.Null, 'Http' : IDL.Null }),
    'on_failure' : IDL.Variant({ 'Refund' : IDL.Null, 'Retry' : IDL.Null }),
    'idempotent' : IDL.Bool,
    'canister' : IDL.Principal,
  });
  const Route = IDL.Record({
    'on_sale' : IDL.Bool,
    'method' : IDL.Text,
    'content' : IDL.Opt(Content),
    'transfers' : IDL.Bool,
    'path' : IDL.Text,
    'max_timeout_seconds' : IDL.Nat32,
    'mime_type' : IDL.Text,
    'description' : IDL.Text,
    'payment_identifier' : IDL.Opt(PaymentIdentifier),
    'invoices' : IDL.Bool,
    'prices' : IDL.Vec(Price),
    'forward' : IDL.Opt(Forward),
    'pay_to' : Account,
    'price_revision' : IDL.Nat64,
  });
  const RouteArgs = IDL.Record({
    'on_sale' : IDL.Bool,
    'method' : IDL.Text,
    'transfers' : IDL.Opt(IDL.Bool),
    'path' : IDL.Text,
    'max_timeout_seconds' : IDL.Opt(IDL.Nat32),
    'mime_type' : IDL.Text,
    'description' : IDL.Text,
    'payment_identifier' : IDL.Opt(PaymentIdentifier),
    'invoices' : IDL.Opt(IDL.Bool),
    'prices' : IDL.Vec(Price),
    'forward' : IDL.Opt(Forward),
    'pay_to' : IDL.Opt(Account),
  });
  const Solvency = IDL.Record({
    'balance' : IDL.Opt(IDL.Nat),
    'held' : IDL.Nat,
    'solvent' : IDL.Opt(IDL.Bool),
    'ledger' : IDL.Principal,
    'invoices' : IDL.Record({ 'open' : IDL.Nat64, 'returns' : IDL.Nat64 }),
    'owed_refunds' : IDL.Nat,
    'waiting' : IDL.Record({ 'amount' : IDL.Nat, 'refunds' : IDL.Nat64 }),
  });
  const WithdrawArgs = IDL.Record({
    'to' : Account,
    'from_subaccount' : IDL.Opt(IDL.Vec(IDL.Nat8)),
    'ledger' : IDL.Principal,
    'created_at_time' : IDL.Opt(IDL.Nat64),
    'amount' : IDL.Nat,
  });
  const WithdrawError = IDL.Variant({
    'TooMany' : IDL.Record({ 'from' : IDL.Nat64, 'limit' : IDL.Nat32 }),
    'NotMoved' : IDL.Record({ 'problem' : IDL.Text }),
    'Unauthorized' : IDL.Null,
    'UnknownLedger' : IDL.Null,
    'Unknown' : IDL.Record({ 'created_at_time' : IDL.Nat64 }),
    'InvalidArgument' : InvalidArgument,
    'InProgress' : IDL.Record({ 'created_at_time' : IDL.Nat64 }),
    'InsufficientFree' : IDL.Record({ 'available' : IDL.Nat }),
  });
  return IDL.Service({
    'access' : IDL.Func(
        [AccessArgs],
        [IDL.Variant({ 'Ok' : Access, 'Err' : AccessError })],
        ['query'],
      ),
    'access_readers' : IDL.Func([], [IDL.Vec(IDL.Principal)], ['query']),
    'access_readers_set' : IDL.Func(
        [IDL.Vec(IDL.Principal)],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'audit_admin' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(AdminAudit), 'Err' : PaymentsError })],
        ['query'],
      ),
    'audit_payments' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(PaymentAudit), 'Err' : PaymentsError })],
        ['query'],
      ),
    'cancel_authorization' : IDL.Func(
        [CancelArgs],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : CancelError })],
        [],
      ),
    'config' : IDL.Func([], [Config], ['query']),
    'content_begin' : IDL.Func(
        [ContentBegin],
        [IDL.Variant({ 'Ok' : IDL.Nat64, 'Err' : ContentError })],
        [],
      ),
    'content_chunk' : IDL.Func(
        [
          IDL.Record({
            'offset' : IDL.Nat64,
            'upload' : IDL.Nat64,
            'bytes' : IDL.Vec(IDL.Nat8),
          }),
        ],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : ContentError })],
        [],
      ),
    'content_commit' : IDL.Func(
        [IDL.Record({ 'upload' : IDL.Nat64 })],
        [IDL.Variant({ 'Ok' : Content, 'Err' : ContentError })],
        [],
      ),
    'get_api_doc' : IDL.Func([], [IDL.Text], ['query']),
    'http_request' : IDL.Func([HttpRequest], [HttpResponse], ['query']),
    'http_request_update' : IDL.Func([HttpUpdateRequest], [HttpResponse], []),
    'icrc10_supported_standards' : IDL.Func(
        [],
        [IDL.Vec(SupportedStandard)],
        ['query'],
      ),
    'icrc21_canister_call_consent_message' : IDL.Func(
        [ConsentMessageRequest],
        [IDL.Variant({ 'Ok' : ConsentInfo, 'Err' : ConsentError })],
        ['query'],
      ),
    'icrc28_trusted_origins' : IDL.Func(
        [],
        [IDL.Record({ 'trusted_origins' : IDL.Vec(IDL.Text) })],
        ['query'],
      ),
    'invoice' : IDL.Func([IDL.Vec(IDL.Nat8)], [IDL.Opt(Invoice)], ['query']),
    'invoice_check' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Variant({ 'Ok' : Invoice, 'Err' : InvoiceError })],
        [],
      ),
    'invoice_create' : IDL.Func(
        [InvoiceArgs],
        [IDL.Variant({ 'Ok' : Invoice, 'Err' : InvoiceError })],
        [],
      ),
    'invoice_return' : IDL.Func(
        [InvoiceReturnArgs],
        [
          IDL.Variant({
            'Ok' : IDL.Record({
              'to' : Account,
              'block_index' : IDL.Nat,
              'amount' : IDL.Nat,
            }),
            'Err' : InvoiceError,
          }),
        ],
        [],
      ),
    'ledger_add' : IDL.Func(
        [IDL.Principal],
        [IDL.Variant({ 'Ok' : Ledger, 'Err' : LedgerError })],
        [],
      ),
    'ledger_enable' : IDL.Func(
        [IDL.Principal, IDL.Bool],
        [IDL.Variant({ 'Ok' : Ledger, 'Err' : LedgerError })],
        [],
      ),
    'ledger_refresh' : IDL.Func(
        [IDL.Principal],
        [IDL.Variant({ 'Ok' : Ledger, 'Err' : LedgerError })],
        [],
      ),
    'ledgers' : IDL.Func([], [IDL.Vec(Ledger)], ['query']),
    'notify_set' : IDL.Func(
        [IDL.Opt(IDL.Principal)],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'notify_status' : IDL.Func(
        [],
        [IDL.Variant({ 'Ok' : NotifyStatus, 'Err' : PaymentsError })],
        ['query'],
      ),
    'offers' : IDL.Func([RouteKey], [IDL.Vec(Offer)], ['query']),
    'operator_add' : IDL.Func(
        [IDL.Principal],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'operator_remove' : IDL.Func(
        [IDL.Principal],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'origin' : IDL.Func([], [IDL.Opt(IDL.Text)], ['query']),
    'origin_set' : IDL.Func(
        [IDL.Opt(IDL.Text)],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'pay' : IDL.Func(
        [PayArgs],
        [IDL.Variant({ 'Ok' : Purchased, 'Err' : PayError })],
        [],
      ),
    'pay_to_set' : IDL.Func(
        [Account],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'payment' : IDL.Func([IDL.Vec(IDL.Nat8)], [IDL.Opt(Payment)], ['query']),
    'payment_recheck' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Variant({ 'Ok' : PaymentStatus, 'Err' : RecheckError })],
        [],
      ),
    'payment_resolve' : IDL.Func(
        [ResolveArgs],
        [IDL.Variant({ 'Ok' : PaymentStatus, 'Err' : ResolveError })],
        [],
      ),
    'payments' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(Payment), 'Err' : PaymentsError })],
        ['query'],
      ),
    'payments_failed' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(Payment), 'Err' : PaymentsError })],
        ['query'],
      ),
    'payments_open' : IDL.Func(
        [IDL.Opt(PageArgs)],
        [IDL.Variant({ 'Ok' : IDL.Vec(Payment), 'Err' : PaymentsError })],
        ['query'],
      ),
    'payments_waiting' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(Payment), 'Err' : PaymentsError })],
        ['query'],
      ),
    'quote' : IDL.Func([RouteKey], [IDL.Opt(Quote)], ['query']),
    'receipt' : IDL.Func([IDL.Vec(IDL.Nat8)], [IDL.Opt(Receipt)], ['query']),
    'receipt_proof' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Opt(IDL.Text)],
        ['query'],
      ),
    'receipt_sign' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Variant({ 'Ok' : IDL.Text, 'Err' : ReceiptSignError })],
        [],
      ),
    'receipt_signing' : IDL.Func([], [ReceiptSigning], ['query']),
    'receipt_signing_set' : IDL.Func(
        [IDL.Opt(ReceiptSigningArgs)],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : ReceiptSigningError })],
        [],
      ),
    'refund_by_merchant' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Variant({ 'Ok' : PaymentStatus, 'Err' : RefundError })],
        [],
      ),
    'refund_payment' : IDL.Func(
        [IDL.Vec(IDL.Nat8)],
        [IDL.Variant({ 'Ok' : PaymentStatus, 'Err' : RefundError })],
        [],
      ),
    'route' : IDL.Func([RouteKey], [IDL.Opt(Route)], ['query']),
    'route_put' : IDL.Func(
        [RouteArgs],
        [IDL.Variant({ 'Ok' : Route, 'Err' : RouteError })],
        [],
      ),
    'route_remove' : IDL.Func(
        [RouteKey],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'routes' : IDL.Func(
        [PageArgs],
        [IDL.Variant({ 'Ok' : IDL.Vec(Route), 'Err' : InvalidArgument })],
        ['query'],
      ),
    'solvency' : IDL.Func(
        [],
        [IDL.Variant({ 'Ok' : IDL.Vec(Solvency), 'Err' : PaymentsError })],
        [],
      ),
    'trusted_origins_set' : IDL.Func(
        [IDL.Vec(IDL.Text)],
        [IDL.Variant({ 'Ok' : IDL.Null, 'Err' : RouteError })],
        [],
      ),
    'withdraw' : IDL.Func(
        [WithdrawArgs],
        [IDL.Variant({ 'Ok' : IDL.Nat, 'Err' : WithdrawError })],
        [],
      ),
  });
};
export const init = ({ IDL }) => {
  const LimitsArg = IDL.Record({
    'max_timeout_seconds' : IDL.Opt(IDL.Nat32),
    'max_payments' : IDL.Opt(IDL.Nat64),
    'retention_seconds' : IDL.Opt(IDL.Nat32),
    'max_routes' : IDL.Opt(IDL.Nat32),
    'max_content_total_bytes' : IDL.Opt(IDL.Nat64),
    'cycles_floor' : IDL.Opt(IDL.Nat),
  });
  const Account = IDL.Record({
    'owner' : IDL.Principal,
    'subaccount' : IDL.Opt(IDL.Vec(IDL.Nat8)),
  });
  const UpgradeArgs = IDL.Record({
    'network' : IDL.Opt(IDL.Text),
    'operators' : IDL.Opt(IDL.Vec(IDL.Principal)),
    'limits' : IDL.Opt(LimitsArg),
    'pay_to' : IDL.Opt(Account),
  });
  const InitArgs = IDL.Record({
    'network' : IDL.Opt(IDL.Text),
    'operators' : IDL.Opt(IDL.Vec(IDL.Principal)),
    'limits' : IDL.Opt(LimitsArg),
    'pay_to' : IDL.Opt(Account),
  });
  const TollkeeperArgs = IDL.Variant({
    'Upgrade' : UpgradeArgs,
    'Init' : InitArgs,
  });
  return [IDL.Opt(TollkeeperArgs)];
};
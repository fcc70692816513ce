//! The official ICRC-1 and ICRC-2 conformance suite, on our ledger or on the wasm that `LEDGER_WASM` names.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use candid::Principal;
use candid::utils::{ArgumentDecoder, ArgumentEncoder};
use icrc1_test_env::LedgerEnv;
use support::pocket::{Pocket, ledger_wasm, minter};
use test_ledger::testing::LedgerInit;

/// One caller of the ledger.
#[derive(Clone)]
struct Caller {
    pocket: Arc<Pocket>,
    principal: Principal,
    callers: Arc<AtomicU64>,
}

impl Caller {
    fn call(&self, update: bool, method: &str, args: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let Pocket { pic, id } = &*self.pocket;
        let reply = if update {
            pic.update_call(*id, self.principal, method, args)
        } else {
            pic.query_call(*id, self.principal, method, args)
        };
        reply.map_err(|reject| anyhow!("{method}: {reject:?}"))
    }
}

fn encode(method: &str, input: impl ArgumentEncoder) -> anyhow::Result<Vec<u8>> {
    candid::encode_args(input).with_context(|| format!("{method}: encoding the arguments"))
}

fn decode<T: for<'a> ArgumentDecoder<'a>>(method: &str, reply: &[u8]) -> anyhow::Result<T> {
    candid::decode_args(reply).with_context(|| format!("{method}: decoding the reply"))
}

#[async_trait(?Send)]
impl LedgerEnv for Caller {
    fn fork(&self) -> Self {
        let number = self.callers.fetch_add(1, Ordering::Relaxed);
        Self {
            principal: Principal::self_authenticating(number.to_be_bytes()),
            ..self.clone()
        }
    }

    fn principal(&self) -> Principal {
        self.principal
    }

    async fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.pocket.now())
    }

    async fn query<Input, Output>(&self, method: &str, input: Input) -> anyhow::Result<Output>
    where
        Input: ArgumentEncoder + std::fmt::Debug,
        Output: for<'a> ArgumentDecoder<'a>,
    {
        let args = encode(method, input)?;
        decode(method, &self.call(false, method, args)?)
    }

    async fn update<Input, Output>(&self, method: &str, input: Input) -> anyhow::Result<Output>
    where
        Input: ArgumentEncoder + std::fmt::Debug,
        Output: for<'a> ArgumentDecoder<'a>,
    {
        let args = encode(method, input)?;
        decode(method, &self.call(true, method, args)?)
    }
}

#[test]
fn should_pass_the_official_icrc1_and_icrc2_suite() {
    let funds = Principal::self_authenticating(b"conformance");
    // Without `with_faults`: the plain ledger must pass.
    let init = LedgerInit::ckusdc(minter()).balance(funds, 100_000_000);
    let env = Caller {
        pocket: Arc::new(Pocket::install(ledger_wasm(), init.encode())),
        principal: funds,
        callers: Arc::new(AtomicU64::new(1)),
    };
    let passed = futures::executor::block_on(async {
        let tests = icrc1_test_suite::test_suite(env).await;
        // 8 tests of ICRC-1 and 8 of ICRC-2: none may be left out because a standard is not claimed.
        assert_eq!(tests.len(), 16);
        icrc1_test_suite::execute_tests(tests).await
    });
    assert!(passed, "see the TAP output above");
}

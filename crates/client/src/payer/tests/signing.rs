//! The beginning and end of an authorization.

use super::{
    seller::{Act, Seller, delivered, offer, price, priced},
    *,
};

/// A key that waits before it signs.
#[derive(Clone)]
struct Slow(Arc<ic_agent::identity::BasicIdentity>, Duration);

impl ic_agent::Identity for Slow {
    fn sender(&self) -> Result<Principal, String> {
        self.0.sender()
    }

    fn public_key(&self) -> Option<Vec<u8>> {
        self.0.public_key()
    }

    fn sign(
        &self,
        content: &ic_agent::agent::EnvelopeContent,
    ) -> Result<ic_agent::Signature, String> {
        self.0.sign(content)
    }

    fn sign_arbitrary(&self, content: &[u8]) -> Result<ic_agent::Signature, String> {
        std::thread::sleep(self.1);
        self.0.sign_arbitrary(content)
    }
}

fn slow(pause: Duration) -> Payer {
    let key = ic_agent::identity::BasicIdentity::from_raw_key(&[5; 32]);
    let identity = Identity::new(Arc::new(Slow(Arc::new(key), pause))).unwrap();
    Payer {
        account: identity.account(),
        identity,
        ..payer(Arc::new(MemoryJournal::new()))
    }
}

#[tokio::test]
async fn what_a_slow_key_signs_is_sent_while_it_is_good() {
    for (seconds, pause, good) in [
        (60, 0, true),
        (10, 1_100, true),
        (1, 1_100, false),
        (2, 2_100, false),
    ] {
        let seller = Seller::open(move |got, _| match got.payment {
            None => {
                let mut brief = offer(&got.method, &got.path);
                brief["maxTimeoutSeconds"] = json!(seconds);
                priced(json!([brief]))
            }
            Some(_) => delivered(got),
        })
        .await;
        let payer = slow(Duration::from_millis(pause));
        let started = now();
        match payer.pay(&get(&seller, "/a")).await {
            Ok(Outcome::Paid(paid)) => {
                assert!(good, "{seconds} {pause}");
                // As long as the offer allows, from the signature on.
                let end = paid.payment.valid_before().unwrap();
                assert!((started + seconds..=now() + seconds).contains(&end));
                assert!(paid.payment.valid_after().unwrap() <= started);
            }
            Err(PayError::SlowSigner { .. }) => {
                assert!(!good, "{seconds} {pause}");
                assert_eq!(payer.unresolved().unwrap(), []);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(seller.paid_requests() > 0, good);
    }
}

#[tokio::test]
async fn a_recorded_payment_is_fetched_again_by_its_id() {
    let seller = Seller::open(|got, before| match (&got.payment, before) {
        (None, _) => price(got),
        (Some(_), 0) => Act::HangUp,
        (Some(_), _) => delivered(got),
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new())).with_patience(Duration::ZERO);
    assert!(payer.pay(&get(&seller, "/a")).await.is_err());
    let id = payer.unresolved().unwrap().remove(0).payment.id().unwrap();
    let paid = payer.refetch(id).await.unwrap().unwrap();
    assert_eq!(
        (paid.payment.id(), paid.response.body.as_slice()),
        (Some(id), CONTENT)
    );
    assert!(payer.refetch(id).await.unwrap().is_none());
    assert_eq!(seller.authorizations("/a").len(), 1);
}

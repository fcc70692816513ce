//! The settings of all commands: payer, network, and folder of payments.

use super::{
    exit::{Failure, UNREACHABLE},
    text,
};
use clap::{Args, ValueEnum};
use reqwest::Url;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tollkeeper_client::{Identity, IdentityError, Network, NetworkError};

/// The default URL of a local replica.
const LOCAL_REPLICA: &str = "http://127.0.0.1:4943";

#[derive(Debug, Args)]
pub struct Common {
    /// The payer's private key: PEM with an Ed25519, secp256k1 or P-256 key [env: TOLLKEEPER_IDENTITY].
    #[arg(long, global = true, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The network to pay on [env: TOLLKEEPER_NETWORK] [default: mainnet].
    #[arg(long, global = true, value_enum)]
    network: Option<NetworkName>,
    /// The replica or boundary node to use [env: TOLLKEEPER_REPLICA] [default: <https://icp-api.io>, locally
    /// <http://127.0.0.1:4943>].
    #[arg(long, global = true, value_parser = replica, value_name = "URL")]
    replica: Option<String>,
    /// The folder in which payments are recorded before they are sent [env: TOLLKEEPER_PAYMENTS] [default:
    /// $XDG_STATE_HOME/tollkeeper/payments, else ~/.local/state/tollkeeper/payments].
    #[arg(long, global = true, value_name = "DIR")]
    payments: Option<PathBuf>,
    /// Print one JSON object on standard output, failures included.
    #[arg(long, global = true)]
    #[allow(dead_code, reason = "read before the arguments are parsed")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetworkName {
    /// The Internet Computer, with its built-in root key.
    Mainnet,
    /// A local replica, whose root key is fetched from it and not verified.
    Local,
}

fn replica(given: &str) -> Result<String, String> {
    let shown = text::line(given);
    match Url::parse(given) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(given.into()),
        // `localhost:4943` parses as a URL with the scheme `localhost`.
        _ if !given.is_empty() && !given.contains("://") => Err(format!(
            "it is not a URL: did you mean http://{shown} or https://{shown}?"
        )),
        Ok(url) => Err(format!("{} is neither http nor https", url.scheme())),
        Err(e) => Err(format!(
            "it is not a URL ({e}): write http://HOST:PORT or https://HOST"
        )),
    }
}

/// An environment variable; an empty one counts as none.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The same as text.
fn text_variable(name: &str) -> Result<Option<String>, Failure> {
    variable(name)
        .map(|value| {
            value
                .into_string()
                .map_err(|_| Failure::usage(format!("{name} is not UTF-8")))
        })
        .transpose()
}

impl Common {
    /// The payer's identity.
    pub fn identity(&self) -> Result<Identity, Failure> {
        let file = self.identity_file().ok_or_else(|| {
            Failure::usage("say who pays: --identity FILE or TOLLKEEPER_IDENTITY")
        })?;
        let named = text::path(&file);
        Identity::from_pem_file(file).map_err(|e| {
            let problem = match e {
                IdentityError::File { problem, .. } => problem.to_string(),
                other => other.to_string(),
            };
            Failure::usage(format!("--identity {named}: {}", text::line(&problem)))
        })
    }

    /// The identity for calls without a payment: the user's if there is one, else a random key.
    pub fn identity_or_any(&self) -> Result<Identity, Failure> {
        match self.identity_file() {
            Some(_) => self.identity(),
            None => {
                let key = ic_agent::identity::BasicIdentity::from_raw_key(&rand::random());
                Identity::new(std::sync::Arc::new(key)).map_err(Failure::usage)
            }
        }
    }

    /// The file of the payer's key.
    pub fn identity_file(&self) -> Option<PathBuf> {
        self.identity
            .clone()
            .or_else(|| variable("TOLLKEEPER_IDENTITY").map(PathBuf::from))
    }

    /// Checks what can be checked before any request is sent.
    pub fn check(&self) -> Result<(), Failure> {
        self.place().map(|_| ())?;
        match &self.payments {
            Some(folder) if folder.as_os_str().is_empty() => {
                Err(Failure::usage("--payments has no value"))
            }
            _ => Ok(()),
        }
    }

    /// The network's name and the replica's URL.
    fn place(&self) -> Result<(NetworkName, Option<String>), Failure> {
        let name = match self.network {
            Some(name) => name,
            None => match text_variable("TOLLKEEPER_NETWORK")? {
                Some(named) => NetworkName::from_str(&named, true).map_err(|_| {
                    Failure::usage("TOLLKEEPER_NETWORK is neither mainnet nor local")
                })?,
                None => NetworkName::Mainnet,
            },
        };
        let url = match &self.replica {
            Some(url) => Some(url.clone()),
            None => text_variable("TOLLKEEPER_REPLICA")?
                .map(|named| {
                    replica(&named).map_err(|e| Failure::usage(format!("TOLLKEEPER_REPLICA: {e}")))
                })
                .transpose()?,
        };
        Ok((name, url))
    }

    pub async fn network(&self, identity: &Identity) -> Result<Network, Failure> {
        let (name, url) = self.place()?;
        let unusable = |e: NetworkError| Failure::new(UNREACHABLE, "unreachable", e);
        match (name, url) {
            (NetworkName::Mainnet, None) => Network::mainnet(identity).map_err(unusable),
            (NetworkName::Mainnet, Some(url)) => {
                Network::mainnet_at(&url, identity).map_err(unusable)
            }
            (NetworkName::Local, url) => {
                let named = url.is_some();
                let url = url.unwrap_or_else(|| LOCAL_REPLICA.into());
                Network::local(&url, identity).await.map_err(|e| {
                    let failure = unusable(e);
                    let how = match named {
                        true => "is the local network running, and is that its URL (--replica URL, TOLLKEEPER_REPLICA)?",
                        false => "name the local network with --replica URL or TOLLKEEPER_REPLICA",
                    };
                    let message = format!("{}\n{how}", failure.message);
                    Failure { message, ..failure }
                })
            }
        }
    }

    /// The folder in which payments are recorded.
    pub fn payments(&self) -> Result<PathBuf, Failure> {
        let from_home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
        // The specification of base directories requires that relative paths are ignored.
        let state = variable("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        self.payments
            .clone()
            .or_else(|| variable("TOLLKEEPER_PAYMENTS").map(PathBuf::from))
            .or_else(|| Some(state.or_else(from_home)?.join("tollkeeper/payments")))
            .map(absolute)
            .ok_or_else(|| {
                Failure::usage(
                    "say where payments are recorded: --payments DIR or TOLLKEEPER_PAYMENTS (HOME is not set)",
                )
            })
    }
}

/// The path that is valid from any folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(Path::new(&path)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_without_scheme_is_explained() {
        for (text, words) in [
            ("localhost:4943", "http://localhost:4943"),
            ("127.0.0.1:4943", "http://127.0.0.1:4943"),
            ("icp-api.io", "https://icp-api.io"),
            ("[::1]:4943", "http://[::1]:4943"),
            ("ftp://host", "neither http nor https"),
            ("http://", "it is not a URL"),
            ("http://a:99999", "it is not a URL"),
            ("", "it is not a URL"),
        ] {
            let problem = replica(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
        for text in ["http://127.0.0.1:4943", "https://icp-api.io/"] {
            assert_eq!(replica(text), Ok(text.to_string()));
        }
    }
}

//! The PocketIC server's REST protocol, as the `pocket-ic` crate 16.1 speaks it.
//!
//! Every answer is given at once: the protocol's "started" and "busy" answers (202, 409) and the polling that
//! goes with them are never needed.

mod activity;
mod config;
mod convert;
mod gateways;
mod instance;

use crate::gateway::Gateway;
use crate::http::{BodyError, Hangup, HttpResponse, collect, json, text};
use crate::network::{Crashed, Network};
use crate::protocol::{CreateInstanceResponse, InstanceConfig};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

pub use activity::Activity;

/// Largest request body: stable memories are uploaded whole.
const MAX_BODY: usize = 4 << 30;

/// A request that fails; the client panics with the message.
#[derive(Debug, Error)]
pub(crate) enum RestError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error("not supported by the local runtime: {0}")]
    Unsupported(String),
    #[error(transparent)]
    Crashed(#[from] Crashed),
}

impl RestError {
    fn response(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Message {
            message: String,
        }
        let status = match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Crashed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        json(
            status,
            &Message {
                message: self.to_string(),
            },
        )
    }
}

/// A PocketIC server: instances, gateways, uploaded blobs.
#[derive(Default)]
pub struct Server {
    /// Indexed by instance id; `None` once deleted.
    instances: Mutex<Vec<Option<Arc<Network>>>>,
    gateways: Mutex<Vec<Option<gateways::Running>>>,
    blobs: Mutex<HashMap<[u8; 32], Bytes>>,
    activity: Arc<Activity>,
}

impl Server {
    /// When the last request ended.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Answers one request.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, Hangup> {
        let _pending = self.activity.begin();
        let (parts, body) = request.into_parts();
        let body = match collect(body, MAX_BODY).await {
            Ok(body) => body,
            Err(error @ BodyError::TooLarge(_)) => {
                return Ok(text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()));
            }
            Err(error) => return Ok(text(StatusCode::BAD_REQUEST, error.to_string())),
        };
        let gzip = parts
            .headers
            .get(header::CONTENT_ENCODING)
            .is_some_and(|encoding| encoding == "gzip");
        let path = parts.uri.path().to_owned();
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let answer = self
            .route(&parts.method, &segments, &path, body, gzip)
            .await;
        Ok(answer.unwrap_or_else(|error| error.response()))
    }

    async fn route(
        self: &Arc<Self>,
        method: &Method,
        segments: &[&str],
        path: &str,
        body: Bytes,
        gzip: bool,
    ) -> Result<HttpResponse, RestError> {
        match (method.as_str(), segments) {
            ("GET", ["status"]) => Ok(text(StatusCode::OK, "")),
            ("POST", ["instances"]) => Ok(self.create_instance(&body).await),
            ("GET", ["instances"]) => Ok(ok(&self.list_instances())),
            ("DELETE", ["instances", id]) => {
                self.delete_instance(index(id)?).await?;
                Ok(ok(&()))
            }
            (_, ["instances", id, rest @ ..]) => {
                let network = self.instance(index(id)?)?;
                instance::route(self, &network, method, rest, path, body).await
            }
            ("POST", ["blobstore"]) => self.store_blob(body, gzip).await,
            ("GET", ["blobstore", id]) => {
                let id = hex::decode(id)
                    .map_err(|_| RestError::BadRequest("blob ids are hexadecimal".into()))?;
                Ok(crate::http::response(
                    StatusCode::OK,
                    "application/octet-stream",
                    self.blob(&id)?,
                ))
            }
            ("POST", ["http_gateway"]) => Ok(ok(&self.create_gateway(parse(&body)?).await)),
            ("GET", ["http_gateway"]) => Ok(ok(&self.list_gateways())),
            ("POST", ["http_gateway", id, "stop"]) => {
                self.stop_gateway(index(id)?)?;
                Ok(ok(&()))
            }
            ("POST", ["verify_signature"]) => {
                Err(RestError::Unsupported("/verify_signature".into()))
            }
            _ => Err(RestError::NotFound(format!(
                "no such endpoint: {method} {path}"
            ))),
        }
    }

    async fn create_instance(self: &Arc<Self>, body: &[u8]) -> HttpResponse {
        match self.try_create_instance(body).await {
            Ok(created) => json(StatusCode::CREATED, &created),
            Err(error) => json(
                StatusCode::BAD_REQUEST,
                &CreateInstanceResponse::Error {
                    message: error.to_string(),
                },
            ),
        }
    }

    async fn try_create_instance(
        self: &Arc<Self>,
        body: &[u8],
    ) -> Result<CreateInstanceResponse, RestError> {
        let config: InstanceConfig = parse(body)?;
        let plan = config::check(config)?;
        let (subnets, initial_time) = (plan.subnets, plan.initial_time);
        let network = tokio::task::spawn_blocking(move || Network::new(subnets, initial_time))
            .await
            .map_err(|_| RestError::Crashed(Crashed))?
            .map_err(|error| RestError::BadRequest(error.to_string()))?;
        if plan.auto_progress {
            network.start_progress().await?;
        }
        let topology = network
            .run(|core| crate::network::describe::topology(core))
            .await?;
        let instance_id = {
            let mut instances = lock(&self.instances);
            instances.push(Some(network));
            instances.len() - 1
        };
        let http_gateway_info = match plan.gateway {
            None => None,
            Some(gateway) => match self.start_gateway(instance_id, gateway).await {
                Ok(info) => Some(info),
                Err(error) => {
                    self.delete_instance(instance_id).await?;
                    return Err(error);
                }
            },
        };
        Ok(CreateInstanceResponse::Created {
            instance_id,
            topology,
            http_gateway_info,
        })
    }

    fn list_instances(&self) -> Vec<String> {
        let name = |slot: &Option<Arc<Network>>| {
            if slot.is_some() {
                "Available"
            } else {
                "Deleted"
            }
        };
        lock(&self.instances)
            .iter()
            .map(|slot| name(slot).to_owned())
            .collect()
    }

    fn instance(&self, id: usize) -> Result<Arc<Network>, RestError> {
        lock(&self.instances)
            .get(id)
            .cloned()
            .flatten()
            .ok_or_else(|| {
                RestError::NotFound(format!("Instance with ID {id} was not found or deleted."))
            })
    }

    async fn delete_instance(&self, id: usize) -> Result<(), RestError> {
        let network = lock(&self.instances).get_mut(id).and_then(Option::take);
        self.stop_gateways_of(id);
        if let Some(network) = network {
            network.stop_progress();
            // Frees the memories of its canisters.
            tokio::task::spawn_blocking(move || drop(network))
                .await
                .map_err(|_| RestError::Crashed(Crashed))?;
        }
        Ok(())
    }

    async fn store_blob(&self, body: Bytes, gzip: bool) -> Result<HttpResponse, RestError> {
        let unpacked = tokio::task::spawn_blocking(move || {
            let data = if gzip {
                let mut data = Vec::new();
                flate2::read::GzDecoder::new(&body[..])
                    .take(MAX_BODY as u64)
                    .read_to_end(&mut data)
                    .map_err(|error| error.to_string())?;
                Bytes::from(data)
            } else {
                body
            };
            let id: [u8; 32] = Sha256::digest(&data).into();
            Ok((id, data))
        })
        .await
        .map_err(|_| RestError::Crashed(Crashed))?;
        let (id, data) = unpacked.map_err(|error: String| {
            RestError::BadRequest(format!("blob is not valid gzip: {error}"))
        })?;
        lock(&self.blobs).insert(id, data);
        Ok(text(StatusCode::OK, hex::encode(id)))
    }

    fn blob(&self, id: &[u8]) -> Result<Bytes, RestError> {
        <[u8; 32]>::try_from(id)
            .ok()
            .and_then(|id| lock(&self.blobs).get(&id).cloned())
            .ok_or_else(|| RestError::NotFound(format!("no blob with id {}", hex::encode(id))))
    }

    fn gateway_for(&self, id: usize, domains: Option<Vec<String>>) -> Result<Gateway, RestError> {
        let domains = domains.unwrap_or_else(|| vec!["localhost".into()]);
        Ok(Gateway::new(self.instance(id)?, domains, None))
    }
}

fn ok<T: Serialize>(value: &T) -> HttpResponse {
    json(StatusCode::OK, value)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body)
        .map_err(|error| RestError::BadRequest(format!("malformed request body: {error}")))
}

fn index(segment: &str) -> Result<usize, RestError> {
    segment
        .parse()
        .map_err(|_| RestError::BadRequest(format!("not an id: {segment}")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! HTTP gateways in front of instances (`make_live`).

use super::config::refuse;
use super::{RestError, Server, lock};
use crate::http::serve;
use crate::protocol::{
    CreateHttpGatewayResponse, HttpGatewayBackend, HttpGatewayConfig, HttpGatewayDetails,
    HttpGatewayInfo, InstanceHttpGatewayConfig,
};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A gateway that listens.
pub(super) struct Running {
    details: HttpGatewayDetails,
    stop: watch::Sender<bool>,
}

impl Running {
    fn is_for(&self, instance: usize) -> bool {
        self.details.forward_to == HttpGatewayBackend::PocketIcInstance(instance)
    }
}

impl Server {
    pub(super) async fn create_gateway(
        self: &Arc<Self>,
        config: HttpGatewayConfig,
    ) -> CreateHttpGatewayResponse {
        match self.try_create_gateway(config).await {
            Ok(info) => CreateHttpGatewayResponse::Created(info),
            Err(error) => CreateHttpGatewayResponse::Error {
                message: error.to_string(),
            },
        }
    }

    async fn try_create_gateway(
        self: &Arc<Self>,
        config: HttpGatewayConfig,
    ) -> Result<HttpGatewayInfo, RestError> {
        let HttpGatewayBackend::PocketIcInstance(instance) = config.forward_to else {
            return Err(RestError::Unsupported(
                "gateways to a replica elsewhere".into(),
            ));
        };
        self.start_gateway(instance, config.gateway).await
    }

    pub(super) async fn start_gateway(
        self: &Arc<Self>,
        instance: usize,
        config: InstanceHttpGatewayConfig,
    ) -> Result<HttpGatewayInfo, RestError> {
        refuse(config.https_config.is_some(), "https_config")?;
        refuse(
            config.domain_custom_provider_local_file.is_some(),
            "domain_custom_provider_local_file",
        )?;
        let gateway = Arc::new(self.gateway_for(instance, config.domains.clone())?);
        let address = config.ip_addr.as_deref().unwrap_or("127.0.0.1");
        let listener = TcpListener::bind((address, config.port.unwrap_or(0)))
            .await
            .map_err(|error| {
                RestError::BadRequest(format!("Failed to bind to address {address}: {error}"))
            })?;
        let port = listener
            .local_addr()
            .map_err(|error| RestError::BadRequest(error.to_string()))?
            .port();
        let (stop, stopped) = watch::channel(false);
        let activity = self.activity.clone();
        tokio::spawn(serve(listener, stopped, move |request| {
            let (gateway, activity) = (gateway.clone(), activity.clone());
            async move {
                let _pending = activity.begin();
                gateway.handle(request).await
            }
        }));
        let mut gateways = lock(&self.gateways);
        let instance_id = gateways.len();
        gateways.push(Some(Running {
            details: HttpGatewayDetails {
                instance_id,
                port,
                forward_to: HttpGatewayBackend::PocketIcInstance(instance),
                domains: config.domains,
                https_config: None,
            },
            stop,
        }));
        Ok(HttpGatewayInfo { instance_id, port })
    }

    pub(super) fn list_gateways(&self) -> Vec<HttpGatewayDetails> {
        lock(&self.gateways)
            .iter()
            .flatten()
            .map(|running| running.details.clone())
            .collect()
    }

    pub(super) fn stop_gateway(&self, id: usize) -> Result<(), RestError> {
        let running = lock(&self.gateways)
            .get_mut(id)
            .ok_or_else(|| RestError::NotFound(format!("HTTP gateway with ID {id} was not found")))?
            .take();
        if let Some(running) = running {
            running.stop.send_replace(true);
        }
        Ok(())
    }

    pub(super) fn stop_gateways_of(&self, instance: usize) {
        for slot in lock(&self.gateways).iter_mut() {
            if slot
                .as_ref()
                .is_some_and(|running| running.is_for(instance))
                && let Some(running) = slot.take()
            {
                running.stop.send_replace(true);
            }
        }
    }
}

//! Looks at RabbitMQ as a worker would find it: each node, what stands there, what the user may do. Changes nothing.

use lapin::Connection;

use super::connection::{BadAddress, ConnectError, Connector};
use super::greeting::Version;
use super::topology::{self, TopologyError};
use super::{Address, Settings};

/// What would keep a worker from its work, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Fault(#[from] Why);

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{address} runs RabbitMQ {version}: upgrade it to 3.10 or newer")]
    TooOld { address: String, version: Version },
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// What was found in order, or what was not.
pub type Finding = Result<String, Fault>;

/// Looks at every node, and at the rest by way of the first that lets the worker in.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut entry = None;
    for address in settings.addresses.all() {
        match visit(settings, address).await {
            Ok((connection, welcome)) => {
                findings.push(Ok(welcome));
                entry.get_or_insert(connection);
            }
            Err(why) => findings.push(Err(why.into())),
        }
    }
    if let Some(connection) = entry {
        let inspected = topology::inspect(&connection, settings).await;
        let inspected = inspected.into_iter();
        findings.extend(inspected.map(|finding| finding.map_err(|why| Why::from(why).into())));
        // There is nothing left to lose.
        connection.close(200, "done".into()).await.ok();
    }
    findings
}

/// A connection to the node, and how it was got.
async fn visit(settings: &Settings, address: &Address) -> Result<(Connection, String), Why> {
    let connector = Connector::new(settings, address)?;
    let connection = connector.connect("check").await?;
    let address = connector.address();
    let version = connector.version().await;
    let product = match version {
        Some(version) if version.is_too_old() => {
            let address = address.to_owned();
            return Err(Why::TooOld { address, version });
        }
        Some(version) => format!("RabbitMQ {version}"),
        None => "it tells no version of RabbitMQ".to_owned(),
    };
    let status = connection.status();
    let (user, vhost) = (status.username(), status.vhost());
    let welcome = format!("{address} lets user `{user}` into virtual host `{vhost}`: {product}");
    Ok((connection, welcome))
}

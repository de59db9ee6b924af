//! Questions to programs of our own on this machine.

use anyhow::Result;
use reqwest::Client;

#[derive(Debug, Clone)]
pub(crate) struct Http(Client);

impl Http {
    pub(crate) fn new() -> Result<Self> {
        // Without TLS there is nothing to trust, and looking for certificates takes a while.
        Ok(Self(Client::builder().tls_certs_only([]).build()?))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Vec<u8>> {
        let answer = self.0.get(url).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.into())
    }

    pub(crate) async fn delete(&self, url: &str) -> Result<()> {
        self.0.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    pub(crate) async fn put(&self, url: &str, body: String) -> Result<()> {
        self.0
            .put(url)
            .body(body)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }
}

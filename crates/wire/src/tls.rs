//! TLS for clients: rustls with ring, from PEM files.

use std::io::BufReader;
use std::sync::Arc;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, crypto};

/// What connections are encrypted with.
pub use tokio_rustls::rustls::ServerConfig as TlsConfig;

/// Why a certificate or a key can not be used; a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

fn failed(what: &str) -> impl Fn(&dyn std::fmt::Display) -> TlsError + '_ {
    move |error| TlsError(format!("{what}: {error}"))
}

/// A server's configuration from the PEM text of its certificate chain and key. With `client_ca` every client must show a
/// certificate that it signed.
pub fn server_config(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Arc<TlsConfig>, TlsError> {
    let chain = rustls_pemfile::certs(&mut BufReader::new(certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed("the certificate can not be read")(&error))?;
    let key = rustls_pemfile::private_key(&mut BufReader::new(key))
        .map_err(|error| failed("the key can not be read")(&error))?
        .ok_or_else(|| TlsError("the key file holds no private key".to_owned()))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = TlsConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS")(&error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in rustls_pemfile::certs(&mut BufReader::new(authority)) {
                let certificate = certificate.map_err(|error| failed("the client CA can not be read")(&error))?;
                roots.add(certificate).map_err(|error| failed("the client CA can not be used")(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| failed("the client CA can not be used")(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| failed("the certificate and the key can not be used")(&error))?;
    Ok(Arc::new(config))
}

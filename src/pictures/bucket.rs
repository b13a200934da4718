//! Pictures as objects in S3-compatible storage, for instances that share no folder.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig};
use secrecy::ExposeSecret;

use crate::config::BucketConfig;
use crate::identity::random_name;

/// The longest that one request to the storage takes, before it is tried once more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// A bucket, or a part of one.
#[derive(Clone)]
pub(super) struct S3Bucket {
    store: Arc<AmazonS3>,
    prefix: Path,
}

impl S3Bucket {
    /// The bucket that the settings name. Connects when first used.
    pub(super) fn new(config: &BucketConfig) -> io::Result<Self> {
        // The client of the storage takes the provider of the process.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let retry =
            RetryConfig { max_retries: 1, retry_timeout: 2 * REQUEST_TIMEOUT, ..RetryConfig::default() };
        let client =
            ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(REQUEST_TIMEOUT / 2);
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client.with_allow_http(config.allow_http))
            .with_retry(retry)
            .with_bucket_name(&config.bucket);
        for (key, value) in &config.access {
            builder = builder.with_config(*key, value.expose_secret());
        }
        let store = Arc::new(builder.build().map_err(io::Error::other)?);
        Ok(Self { store, prefix: Path::from(config.prefix.as_str()) })
    }

    /// Tries to write to it.
    pub(super) async fn prepare(&self) -> io::Result<()> {
        let probe = format!(".probe-{}", random_name());
        self.keep(&probe, Vec::new()).await?;
        self.remove(&probe).await
    }

    pub(super) async fn keep(&self, file: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.store.put(&self.object(file), bytes.into()).await.map(drop).map_err(io::Error::other)
    }

    pub(super) async fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        let found = match self.store.get(&self.object(file)).await {
            Ok(object) => object.bytes().await,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        found.map(|bytes| Some(bytes.to_vec())).map_err(io::Error::other)
    }

    pub(super) async fn remove(&self, file: &str) -> io::Result<()> {
        self.store.delete(&self.object(file)).await.map_err(io::Error::other)
    }

    /// The names of the objects older than an hour.
    pub(super) async fn settled(&self) -> io::Result<Vec<String>> {
        let before = SystemTime::now() - super::MIN_ORPHAN_AGE;
        let old = self
            .store
            .list(Some(&self.prefix))
            .try_filter_map(async |object| {
                let file = object.location.filename().map(str::to_owned);
                Ok(file.filter(|_| SystemTime::from(object.last_modified) <= before))
            })
            .try_collect();
        old.await.map_err(io::Error::other)
    }

    fn object(&self, file: &str) -> Path {
        self.prefix.clone().join(file)
    }
}

//! A store in a bucket of an S3-compatible service, locked by leases.
//!
//! Keys, region and endpoint come from the usual variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP` and the others that `object_store` knows.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
use tokio::runtime::Builder;

use super::lease::{self, Kind, Lease};
use super::objects::Objects;
use super::trouble::Place;
use super::{Backend, Entry, Lock};

/// No request takes longer: a lease lasts longer than one that is on its way.
const REQUEST: Duration = Duration::from_secs(120);

/// A bucket, or a part of one.
pub struct S3Backend {
    objects: Arc<Objects>,
    place: Place,
    url: String,
}

impl S3Backend {
    /// In this bucket, below this prefix, which may be empty.
    ///
    /// # Errors
    /// If the service cannot be reached, or has no such bucket for these keys.
    pub fn open(bucket: &str, prefix: &str, settings: &S3Settings) -> Result<Self> {
        let endpoint = settings.endpoint();
        if settings.is_plain() && !settings.allows_http() {
            let text = "AWS_ENDPOINT_URL is plain http, which anybody on the way can read: set AWS_ALLOW_HTTP=true if that \
                        is meant, or give an https address";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let place = Place {
            bucket: bucket.to_owned(),
            endpoint: endpoint.unwrap_or("Amazon S3").to_owned(),
            has_keys: KEYS.iter().any(|name| settings.get(name).is_some()),
        };
        let store = client(bucket, settings).map_err(|error| place.explain(&error))?;
        let store = PrefixStore::new(store, prefix);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let explain = place.clone();
        let objects = Objects::new(Box::new(store), Box::new(move |error| explain.explain(error)), runtime);
        let url =
            if prefix.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{prefix}") };
        let backend = Self { objects: Arc::new(objects), place, url };
        // A single object cannot tell whether it or its bucket is missing; a listing can.
        backend.list(lease::FOLDER).map(|_| backend)
    }

    fn lease(&self, kind: Kind) -> Result<Lease> {
        Lease::take(self.objects.clone(), kind)
    }
}

/// Any of these says with which keys, or where they are to be had.
const KEYS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// How to reach a service: the `AWS_…` variables.
#[derive(Clone, Default)]
pub struct S3Settings(BTreeMap<String, String>);

impl S3Settings {
    /// Those of this process's environment.
    pub fn from_environment() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn endpoint(&self) -> Option<&str> {
        ENDPOINTS.iter().find_map(|name| self.get(name))
    }

    fn is_plain(&self) -> bool {
        self.endpoint().is_some_and(|url| url.starts_with("http://"))
    }

    fn allows_http(&self) -> bool {
        self.get("AWS_ALLOW_HTTP").is_some_and(|value| ["1", "true", "yes", "on"].contains(&value))
    }
}

impl FromIterator<(String, String)> for S3Settings {
    /// Takes what begins with `AWS_` and is not empty.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        let is_meant = |(name, value): &(String, String)| name.starts_with("AWS_") && !value.is_empty();
        Self(variables.into_iter().filter(is_meant).collect())
    }
}

/// Where the service is; the first that is set counts.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

fn client(bucket: &str, settings: &S3Settings) -> object_store::Result<AmazonS3> {
    // Whoever installed one before has chosen as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(3),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(20),
    };
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &settings.0 {
        // Others are of no concern here.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let limit = format!("{} seconds", REQUEST.as_secs());
    builder = builder
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), limit);
    if let Some(endpoint) = settings.endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    if settings.is_plain() {
        // Nothing is encrypted, so nobody needs certificates, which a bare machine may not have.
        let key = AmazonS3ConfigKey::Client(ClientConfigKey::NoSystemCertificates);
        builder = builder.with_config(key, "true");
    }
    builder.build()
}

impl Backend for S3Backend {
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        self.objects.put(path, bytes, replace)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.objects.get(path)
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.objects.size(path)
    }

    fn stamp(&self, path: &str) -> Result<Option<String>> {
        self.objects.stamp(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        self.objects.list(folder)?.ok_or_else(|| self.place.no_bucket())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.objects.delete(path)
    }

    fn sweep(&self, _folder: &str) -> Result<()> {
        // An object is there whole or not at all.
        Ok(())
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    fn local_file(&self, _path: &str) -> Option<PathBuf> {
        None
    }

    fn scratch(&self) -> PathBuf {
        std::env::temp_dir()
    }

    fn lock_shared(&self) -> Result<Box<dyn Lock>> {
        let lease = self.lease(Kind::Saving)?;
        lease.wait_for_freeing()?;
        Ok(Box::new(lease))
    }

    fn try_lock_alone(&self) -> Result<Option<Box<dyn Lock>>> {
        let mut lease = self.lease(Kind::Freeing)?;
        Ok(if lease.is_alone()? { Some(Box::new(lease)) } else { None })
    }
}

//! Where a store is: a folder, or a bucket of an S3-compatible service.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use super::StoreError;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, or what is below a prefix in it.
    Bucket {
        /// Its name.
        bucket: String,
        /// Without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl Location {
    /// `$FLOB_STORE`, else `$XDG_DATA_HOME/flob`, else `~/.local/share/flob`.
    ///
    /// # Errors
    /// If none of these is set, or `$FLOB_STORE` is no place.
    pub fn from_environment() -> Result<Self, StoreError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(given) = variable("FLOB_STORE") {
            return Self::parse(&given);
        }
        let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        let folder = data.or_else(home).map(|folder| Self::Folder(folder.join("flob")));
        let text = "no place for checkpoints: set FLOB_STORE to a folder or to s3://BUCKET/PREFIX, or HOME";
        folder.ok_or_else(|| StoreError::Invalid(text.to_owned()))
    }

    /// A folder, or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// If it is an address of something else.
    pub fn parse(given: &OsStr) -> Result<Self, StoreError> {
        let Some((scheme, rest)) = given.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::Folder(given.into()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme != "s3" || bucket.is_empty() {
            let text = "is no place for checkpoints: give a folder, or s3://BUCKET or s3://BUCKET/PREFIX";
            return Err(StoreError::Invalid(format!("`{}` {text}", given.display())));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self::Bucket { bucket: bucket.to_owned(), prefix })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(formatter, "{}", folder.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(formatter, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(formatter, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_addresses_of_other_things_refused() {
        let parse = |text: &str| Location::parse(OsStr::new(text));
        let bucket = |bucket: &str, prefix: &str| Location::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(parse("s3://mine").expect("a place"), bucket("mine", ""));
        assert_eq!(parse("s3://mine/").expect("a place"), bucket("mine", ""));
        assert_eq!(parse("s3://mine/a/b/").expect("a place"), bucket("mine", "a/b"));
        assert_eq!(parse("/var/a:b").expect("a place"), Location::Folder("/var/a:b".into()));
        assert_eq!(parse("s3://mine/a").expect("a place").to_string(), "s3://mine/a");
        for wrong in ["s3://", "s3:///a", "https://mine/a", "gs://mine"] {
            let error = parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains("s3://BUCKET"), "{error}");
        }
    }
}

//! What a service says when something is wrong, in one line that says what to do.

use std::io::{Error, ErrorKind};

use object_store::Error as ObjectError;

/// Where the service is and how it is asked: what messages name.
#[derive(Clone)]
pub(super) struct Place {
    pub bucket: String,
    /// As given, or what stands for Amazon's own.
    pub endpoint: String,
    /// Whether the environment has keys, or says where they are to be had.
    pub has_keys: bool,
}

impl Place {
    pub fn explain(&self, error: &ObjectError) -> Error {
        let text = error.to_string();
        let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
        let is_refused =
            matches!(error, ObjectError::PermissionDenied { .. } | ObjectError::Unauthenticated { .. });
        match code {
            "NoSuchBucket" => self.no_bucket(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => self.wrong_region(),
            "NotImplemented" => conditions_missing(),
            "SlowDown" | "ServiceUnavailable" | "InternalError" => {
                let text = format!("{} cannot serve this now ({code}): try again in a while", self.endpoint);
                Error::other(text)
            }
            _ if is_refused => self.refused(code),
            "InvalidAccessKeyId"
            | "NotSignedUp"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken" => self.refused(code),
            "" if text.contains("redirect without LOCATION") => self.wrong_region(),
            "" if !self.has_keys => no_keys(),
            "" => self.no_answer(error),
            _ => {
                let said = between(&text, "<Message>", "</Message>").unwrap_or_default();
                Error::other(format!("{} answers {code}: {said}", self.endpoint))
            }
        }
    }

    pub fn no_bucket(&self) -> Error {
        let Self { bucket, endpoint, .. } = self;
        let text = format!("there is no bucket `{bucket}` at {endpoint}: make it first, or name another");
        Error::new(ErrorKind::NotFound, text)
    }

    fn refused(&self, code: &str) -> Error {
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let text = format!(
            "{} refuses{code}: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do in the bucket `{}`",
            self.endpoint, self.bucket
        );
        Error::new(ErrorKind::PermissionDenied, text)
    }

    fn wrong_region(&self) -> Error {
        Error::other(format!("the bucket `{}` is in another region: set AWS_REGION", self.bucket))
    }

    fn no_answer(&self, error: &ObjectError) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let kind = cause.downcast_ref::<Error>().map_or(ErrorKind::Other, Error::kind);
        let text = format!(
            "no answer from {} ({cause}): is the service there, and AWS_ENDPOINT_URL right?",
            self.endpoint
        );
        Error::new(kind, text)
    }
}

/// Nothing says with which keys.
fn no_keys() -> Error {
    let text = "there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for another \
                service than Amazon's)";
    Error::new(ErrorKind::PermissionDenied, text)
}

/// The service cannot do what locks need.
pub(super) fn conditions_missing() -> Error {
    let text = "this service does not heed If-None-Match, so processes cannot keep out of each other's way: use one that has \
                conditional writes";
    Error::new(ErrorKind::Unsupported, text)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

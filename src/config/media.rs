//! `MEDIA_URL` or `MEDIA_ROOT`: where pictures are kept.

use std::path::PathBuf;

use object_store::aws::AmazonS3ConfigKey;
use secrecy::SecretString;

use super::reader::Reader;

/// Where pictures are kept.
#[derive(Debug, Clone)]
pub enum MediaConfig {
    /// Files of a folder; instances that share the accounts must share it too.
    Folder(PathBuf),
    /// Objects in S3-compatible storage.
    Bucket(BucketConfig),
}

/// `s3://bucket/prefix`, and how to get there.
#[derive(Debug, Clone)]
pub struct BucketConfig {
    pub bucket: String,
    /// In front of every object's name; may be empty.
    pub prefix: String,
    /// Region, endpoint and keys. Without keys, those of the machine's own role are asked for.
    pub access: Vec<(AmazonS3ConfigKey, SecretString)>,
    /// Whether the endpoint is one without TLS.
    pub allow_http: bool,
}

/// The usual names of AWS' own tools.
const ACCESS: [(&str, AmazonS3ConfigKey); 10] = [
    ("AWS_DEFAULT_REGION", AmazonS3ConfigKey::Region),
    ("AWS_REGION", AmazonS3ConfigKey::Region),
    ("AWS_ENDPOINT_URL", AmazonS3ConfigKey::Endpoint),
    ("AWS_ENDPOINT_URL_S3", AmazonS3ConfigKey::Endpoint),
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
];

impl MediaConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let root = read.text("MEDIA_ROOT", "media");
        let url = read.text("MEDIA_URL", "");
        for (name, _) in ACCESS {
            read.know(name);
        }
        match url.split_once("://") {
            None if url.is_empty() => Self::Folder(root.into()),
            Some(("file", path)) if path.starts_with('/') => Self::Folder(path.into()),
            Some(("s3", place)) if !place.is_empty() && !place.starts_with('/') => {
                Self::Bucket(BucketConfig::read(read, place))
            }
            _ => {
                read.mistake(
                    "MEDIA_URL",
                    "must look like file:///var/lib/latchkey/media or s3://bucket/prefix",
                );
                Self::Folder(root.into())
            }
        }
    }
}

impl BucketConfig {
    fn read(read: &mut Reader<'_>, place: &str) -> Self {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let mut access = Vec::new();
        let mut allow_http = false;
        for (name, key) in ACCESS {
            let value = read.text(name, "");
            if key == AmazonS3ConfigKey::Endpoint && value.starts_with("http://") {
                allow_http = true;
                read.warn(&format!(
                    "{name} does not use TLS: anyone on the network path can see every picture"
                ));
            }
            if !value.is_empty() {
                access.push((key, value.into()));
            }
        }
        let given = |wanted| access.iter().any(|(key, _)| *key == wanted);
        if given(AmazonS3ConfigKey::AccessKeyId) != given(AmazonS3ConfigKey::SecretAccessKey) {
            read.mistake("AWS_ACCESS_KEY_ID", "and AWS_SECRET_ACCESS_KEY must be given together");
        }
        Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned(), access, allow_http }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(settings: &[(&str, &str)]) -> Result<MediaConfig, String> {
        let lookup = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut read = Reader::new(&lookup);
        let media = MediaConfig::read(&mut read);
        read.finish().map(|_| media).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn pictures_lie_in_a_folder_or_in_a_bucket() {
        assert!(matches!(media(&[]), Ok(MediaConfig::Folder(folder)) if folder == *"media"));
        let folder = media(&[("MEDIA_URL", "file:///var/pictures"), ("MEDIA_ROOT", "elsewhere")]);
        assert!(matches!(folder, Ok(MediaConfig::Folder(folder)) if folder == *"/var/pictures"));
        let Ok(MediaConfig::Bucket(bucket)) = media(&[("MEDIA_URL", "s3://accounts/some/pictures/")]) else {
            panic!("a bucket")
        };
        assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str()), ("accounts", "some/pictures"));
        for bad in ["/var/pictures", "file://pictures", "s3://", "s3:///pictures", "gs://accounts"] {
            assert!(media(&[("MEDIA_URL", bad)]).is_err(), "{bad}");
        }
        let half = media(&[("MEDIA_URL", "s3://accounts"), ("AWS_ACCESS_KEY_ID", "hunter2")]);
        assert!(half.is_err_and(|mistakes| !mistakes.contains("hunter2")));
    }
}

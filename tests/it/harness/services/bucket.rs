//! A server that speaks S3, with its objects as files of a folder.

use std::collections::HashMap;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::free_port;

/// A bucket that only who knows its keys may use.
pub struct Bucket {
    port: u16,
    service: S3Service,
    serving: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Bucket {
    pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("accounts")).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a folder"));
        builder.set_auth(SimpleAuth::from_single("AKIAIOSFODNN7EXAMPLE", Self::SECRET));
        let mut bucket = Self { port: free_port(), service: builder.build(), serving: None, folder };
        bucket.go_on().await;
        bucket
    }

    /// The settings that lead to it.
    pub fn settings(&self) -> HashMap<&'static str, String> {
        HashMap::from([
            ("MEDIA_URL", "s3://accounts/some/pictures".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET.to_owned()),
        ])
    }

    /// The files of the pictures in it.
    pub fn pictures(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.folder.path().join("accounts/some/pictures"));
        folder.into_iter().flatten().map(|entry| entry.expect("a file").path()).collect()
    }

    /// Hangs up on everybody.
    pub fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// Listens again.
    pub async fn go_on(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("a free port");
        let service = self.service.clone();
        self.serving = Some(actix_web::rt::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // Whoever hangs up has their reasons.
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        }));
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
    }
}

//! Requests that arrive at the very same time: each is sent but for its last byte, then all last bytes follow.

use std::fmt::Write as _;
use std::io::ErrorKind;

use futures_util::future::join_all;
use reqwest::{Request, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, as far as a burst looks at it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: String,
    /// Whether it says on the next page that something was done.
    pub has_notice: bool,
}

/// Sends them all at once.
pub async fn at_once(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<Answer> {
    let waiting = requests.into_iter().map(|request| open(request.build().expect("a request")));
    let mut waiting = join_all(waiting).await;
    // The server reads what it has and waits for the rest.
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    for (stream, last) in &mut waiting {
        stream.write_all(last).await.expect("the server listens");
    }
    join_all(waiting.into_iter().map(|(stream, _)| read(stream))).await
}

async fn open(request: Request) -> (TcpStream, Vec<u8>) {
    let mut text = wire(&request);
    let last = text.split_off(text.len() - 1);
    let address = (request.url().host_str().expect("a host"), request.url().port().expect("a port"));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream.write_all(&text).await.expect("the server listens");
    (stream, last)
}

fn wire(request: &Request) -> Vec<u8> {
    let url = request.url();
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method(), url.path(), url.authority());
    for (name, value) in request.headers() {
        write!(head, "{name}: {}\r\n", value.to_str().expect("text")).expect("memory");
    }
    write!(head, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).expect("memory");
    [head.as_bytes(), body].concat()
}

async fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let whole =
        tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    if let Err(error) = whole.expect("an answer within half a minute") {
        // One that is refused before its last byte arrives is answered, and then there is nobody to take that byte.
        let is_answered = error.kind() == ErrorKind::ConnectionReset
            && bytes.windows(4).any(|end_of_head| end_of_head == b"\r\n\r\n");
        assert!(is_answered, "{error} after {} bytes", bytes.len());
    }
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let location =
        text.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().to_owned();
    let has_notice = text.lines().any(|line| line.starts_with("set-cookie: latchkey-notice="));
    Answer { status, location, has_notice }
}

/// Sends bytes as they are; the first line of what comes back.
pub async fn first_line_of_answer(site: &super::Site, request: &str) -> String {
    let address = site.url.strip_prefix("http://").expect("a URL").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server listens");
    let mut answer = Vec::new();
    // It may close on us: what came until then counts.
    stream.read_to_end(&mut answer).await.unwrap_or_default();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

//! A tiny real application: says what it was sent, line by line, and speaks a little websocket.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An application at a port of its own, for as long as the test's runtime lives.
pub struct TinyApplication {
    pub port: u16,
}

/// The key and the answer of the handshake in RFC 6455, 1.3.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl TinyApplication {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A proxy may hang up in the middle.
                actix_web::rt::spawn(async move { drop(serve(stream).await) });
            }
        });
        Self { port }
    }
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        if header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket")) {
            return speak(stream).await;
        }
        if header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let length = header("content-length").and_then(|length| length.parse().ok());
        let body = match (length, header("transfer-encoding")) {
            (Some(length), _) => {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await?;
                length
            }
            (None, Some(_)) => chunked(&mut stream).await?,
            (None, None) => 0,
        };
        let said = if header("accept").is_some_and(|accept| accept.contains("text/html")) {
            page(&head, &header("remote-name").unwrap_or_default(), body)
        } else {
            format!("{}body: {body}\n", head.replace("\r\n\r\n", "\n").replace("\r\n", "\n"))
        };
        let kind = if said.starts_with('<') { "text/html" } else { "text/plain" };
        let length = said.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await?;
        if !head.starts_with("HEAD ") {
            stream.write_all(said.as_bytes()).await?;
        }
    }
}

/// What somebody with a browser sees.
fn page(head: &str, name: &str, body: usize) -> String {
    let asked = head.lines().next().unwrap_or_default();
    format!(
        "<!DOCTYPE html><title>Tiny</title><h1>Hello, {name}</h1><p>{asked}, {body} bytes</p>\
         <form method=\"post\" action=\"/save\"><input type=\"hidden\" name=\"a\" value=\"b\"><button>Save</button></form>"
    )
}

async fn chunked(stream: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or_default();
        let mut piece = vec![0; size + 2];
        stream.read_exact(&mut piece).await?;
        if size == 0 {
            return Ok(total);
        }
        total += size;
    }
}

/// Says hello, and everything back that it hears, as text.
async fn speak(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(b"\x81\x05hello").await?;
    let mut said = [0; 256];
    loop {
        let length = stream.read(&mut said).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&said[..length]).await?;
    }
}

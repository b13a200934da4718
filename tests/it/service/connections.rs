//! Connections that keep quiet or send without end: they are hung up on, and nobody else waits for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{MailServer, PASSWORD, Program, Site, Visitor, free_port, pictures, run_alone};

/// For how long a connection is left open to who sends a beginning and then a byte a second.
async fn held(site: &Site, beginning: &str, piece: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(site.listens_at).await.unwrap();
    let started = Instant::now();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    loop {
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return started.elapsed(),
            Ok(Ok(_)) => {}
            Err(_) if stream.write_all(piece).await.is_err() => return started.elapsed(),
            Err(_) => {
                assert!(started.elapsed() < Duration::from_secs(60), "{beginning:?} is never hung up on");
            }
        }
    }
}

#[test]
fn heads_and_bodies_that_dribble_end_on_the_second_request_as_on_the_first() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let host = format!("Host: {}", site.listens_at);
        let whole = format!("GET /healthz HTTP/1.1\r\n{host}\r\n\r\n");
        let slow_head = format!("GET / HTTP/1.1\r\n{host}\r\nX-A: ");
        let second_head = format!("{whole}{slow_head}");
        let third_head = format!("{whole}{whole}{slow_head}");
        let form = format!(
            "POST /auth/forgot-password/ HTTP/1.1\r\n{host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nusername="
        );
        let second_form = format!("{whole}{form}");
        let nowhere = format!("POST /nowhere HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let unread = format!("GET / HTTP/1.1\r\n{host}\r\nContent-Length: 5000\r\n\r\na");
        let kinds = [
            (&slow_head, &b"a"[..]),
            (&second_head, b"a"),
            (&third_head, b"a"),
            (&form, b"a"),
            (&second_form, b"a"),
            (&nowhere, b"1\r\na\r\n"),
            (&unread, b"a"),
        ];
        let all = kinds.iter().map(async |(beginning, piece)| held(&site, beginning, piece).await);
        let times = futures_util::future::join_all(all).await;
        for ((beginning, _), time) in kinds.iter().zip(&times) {
            assert!(*time <= Duration::from_secs(20), "{beginning:?}: {time:?}");
        }
        site.stop().await;
    });
}

/// A slow line, and no proxy that takes the picture first: who is hung up on in the middle would see "connection reset".
#[test]
fn whoever_is_refused_early_may_go_on_sending_and_sees_why() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut stream = TcpStream::connect(site.listens_at).await.unwrap();
        let head = format!(
            "POST /user-profile/change-picture/ HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=b\r\n\
             Content-Length: 3000000\r\n\r\n",
            site.listens_at
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..30 {
            stream.write_all(&vec![b'a'; 100_000]).await.expect("somebody takes it");
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 303", "{}", String::from_utf8_lossy(&answer));
        site.stop().await;
    });
}

/// A folder on another machine that is away answers nothing, not even an error.
#[test]
fn pictures_that_cannot_be_read_keep_nobody_from_the_pages() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/change-picture/").await;
        ann.choose_file("Picture", "a.png", "image/png", &pictures::png(30, 30)).press("Save").await;
        ann.visit("/user-profile/").await;
        let address = ann.page().body.split('"').find(|part| part.contains("/user-profile/picture/"));
        let address = address.expect("a picture").to_owned();
        for file in site.folder.path().join("media").read_dir().unwrap() {
            let file = file.unwrap().path();
            std::fs::remove_file(&file).unwrap();
            // Who opens it waits for somebody at the other end.
            assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        }
        let wait = |mut twin: Visitor, address: String| async move {
            twin.visit(&address).await;
            twin.page().status
        };
        let waiting = (0..20).map(|_| wait(ann.twin(), address.clone()));
        let waiting = actix_web::rt::spawn(futures_util::future::join_all(waiting));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let asked = Instant::now();
        ann.visit("/user-profile/").await;
        ann.status(200);
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
        assert_eq!(waiting.await.unwrap(), [503; 20]);
        site.stop().await;
    });
}

/// Many people send pictures at the same time: the machine's memory has an end, and whoever comes then is told to come again.
#[test]
fn pictures_that_many_send_at_once_take_so_much_memory_and_no_more() {
    run_alone(async || {
        let folder = tempfile::tempdir().unwrap();
        let mail = MailServer::start().await;
        let port = free_port();
        let public = HashMap::from([("PUBLIC_URL", format!("http://localhost:{port}"))]);
        let mut program = Program::serve(folder.path(), port, &mail, &public);
        let mut ann = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
        ann.sign_up("annalee", "annalee@example.org", PASSWORD).await;
        let code = mail.next_to("annalee@example.org").await.code();
        ann.fill("Code", &code).press("Confirm").await;
        let opening =
            "--b\r\nContent-Disposition: form-data; name=\"profile_picture\"; filename=\"a\"\r\n\r\n";
        let size = 10 * 1024 * 1024 - 1024;
        let head = format!(
            "POST /user-profile/change-picture/ HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n\
             Cookie: latchkey={}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{opening}",
            ann.cookie("latchkey").unwrap(),
            opening.len() + size + 7
        );
        let before = program.memory("VmRSS");
        let mut unfinished = Vec::new();
        for _ in 0..9 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            // All but the end.
            stream.write_all(&vec![b'a'; size]).await.unwrap();
            unfinished.push(stream);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut late = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        late.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        while late.write_all(&vec![b'a'; 256 * 1024]).await.is_ok() {
            let read = tokio::time::timeout(Duration::from_millis(20), late.read(&mut answer)).await;
            if read.is_ok_and(|read| read.is_ok_and(|bytes| bytes > 12)) {
                break;
            }
        }
        let said = String::from_utf8_lossy(&answer);
        assert!(said.starts_with("HTTP/1.1 503"), "{said}");
        let grown = program.memory("VmRSS") - before;
        assert!(grown < 160.0, "{grown} MB");
        drop(unfinished);
        tokio::time::sleep(Duration::from_secs(1)).await;
        ann.visit("/user-profile/change-picture/").await;
        ann.choose_file("Picture", "a.png", "image/png", &pictures::png(30, 30)).press("Save").await;
        ann.status(200);
        program.kill();
    });
}

#[test]
fn an_address_has_so_many_connections_and_the_proxy_as_many_as_it_likes() {
    run_alone(async || {
        for (trusted, expected) in [("192.0.2.1", 128), ("127.0.0.1", 300)] {
            let site = Site::start(HashMap::from([("TRUSTED_PROXIES", trusted.to_owned())])).await;
            let mut open = Vec::new();
            for _ in 0..300 {
                open.push(TcpStream::connect(site.listens_at).await.unwrap());
            }
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", site.listens_at);
            let ask = async |stream: &mut TcpStream| {
                let mut answer = [0; 16];
                let sent = stream.write_all(request.as_bytes()).await;
                let read = stream.read(&mut answer).await;
                sent.is_ok() && read.is_ok_and(|bytes| bytes > 0)
            };
            let mut answered = 0;
            for stream in &mut open {
                answered += usize::from(ask(stream).await);
            }
            assert_eq!(answered, expected, "{trusted}");
            // What is closed makes room.
            drop(open);
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(ask(&mut TcpStream::connect(site.listens_at).await.unwrap()).await);
            site.stop().await;
        }
    });
}

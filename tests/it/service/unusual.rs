//! What other programs, proxies and attackers write in ways of their own: understood where it means something, and nowhere taken
//! for something else.

use std::collections::HashMap;
use std::time::Instant;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Site, first_line_of_answer, pictures, run_alone, seconds, stories};

stories! {
    what_means_the_same_is_understood_in_any_dress,
    no_request_hides_in_the_body_of_another,
    reading_changes_nothing,
}

async fn what_means_the_same_is_understood_in_any_dress(site: &Site) {
    let mut ann = site.member("annalee").await;
    let sign_in = |kind: &'static str| {
        let post = site.visitor().request(Method::POST, "/auth/sign-in/user/").header("Content-Type", kind);
        async { post.body("username=a&password=b").send().await.unwrap().status().as_u16() }
    };
    for kind in [
        "Application/X-WWW-Form-Urlencoded",
        "APPLICATION/X-WWW-FORM-URLENCODED; Charset=\"UTF-8\"",
        "application/x-www-form-urlencoded ; charset=utf-8",
    ] {
        assert_eq!(sign_in(kind).await, 422, "{kind}");
    }
    let page = ann.visit("/").await.body.clone();
    let style = page[page.find("/static/site.").unwrap()..].split('"').next().unwrap().to_owned();
    for (accepts, packed) in [
        ("gzip;q=0", false),
        ("identity, gzip;q=0.0", false),
        ("br, *;q=0", false),
        ("GZIP", true),
        ("gzip;q=0.5", true),
        ("deflate, gzip;q=1.0, *;q=0.5", true),
    ] {
        let get = ann.request(Method::GET, &style).header("Accept-Encoding", accepts);
        let answer = get.send().await.unwrap();
        assert_eq!(answer.headers().contains_key("content-encoding"), packed, "{accepts}");
    }
    let port = site.url.rsplit(':').next().unwrap();
    for host in [format!("localhost.:{port}"), format!("LOCALHOST:{port}"), "localhost.".to_owned()] {
        let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(first_line_of_answer(site, &get).await.contains(" 200 "), "{host}");
    }
    // Another program of the same host put its own cookie beside ours, in Latin-1.
    let session = format!("; latchkey={}; ", ann.cookie("latchkey").unwrap());
    for other in [&b"name=J\xfcrgen"[..], b"=; ;;", b"a=\"x;y\"", b"%=%"] {
        let get = [
            &b"GET /user-profile/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: "[..],
            other,
            session.as_bytes(),
            other,
            b"\r\n\r\n",
        ];
        let answer = told(site, &get.concat()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{other:?}: {answer}");
    }
}

/// All that the server says to these bytes until it hangs up, or says nothing more for a while.
async fn told(site: &Site, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.listens_at).await.unwrap();
    // What is refused may be hung up on before all of it was taken.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(seconds(2), stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn no_request_hides_in_the_body_of_another(site: &Site) {
    let inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST /auth/sign-in/user/ HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}")
    };
    let length = inner.len();
    let chunked = format!("0\r\n\r\n{inner}");
    for (name, request) in [
        ("both lengths", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &chunked)),
        ("both, the other way", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", &chunked)),
        ("two lengths", post(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), inner)),
        ("a list of lengths", post(&format!("Content-Length: 0, {length}\r\n"), inner)),
        ("a length with a sign", post(&format!("Content-Length: +{length}\r\n"), inner)),
        ("a length in hexadecimal", post("Content-Length: 0x0\r\n", inner)),
        ("a blank before the colon", post("Content-Length : 0\r\n", inner)),
        ("chunks in disguise", post("Transfer-Encoding: xchunked\r\n", &chunked)),
        ("chunks and more", post("Transfer-Encoding: chunked, identity\r\n", &chunked)),
        ("a folded line", post("X: a\r\n Content-Length: 0\r\n", inner)),
        ("a chunk of a bad size", post("Transfer-Encoding: chunked\r\n", &format!("-1\r\n{inner}"))),
        (
            "a chunk with an end of its own",
            post("Transfer-Encoding: chunked\r\n", &format!("1;\n\r\nA\r\n{chunked}")),
        ),
    ] {
        let answers = told(site, request.as_bytes()).await;
        assert!(!answers.contains("ok\n"), "{name}: the inner one was answered: {answers}");
    }
    let whole = post(&format!("Content-Length: {length}\r\n"), inner);
    let answers = told(site, format!("{whole}{inner}").as_bytes()).await;
    assert!(answers.matches("HTTP/1.1 ").count() <= 2, "a body is a body: {answers}");
}

#[test]
fn an_upload_without_an_end_is_ended() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        let head = format!(
            "POST /user-profile/change-picture/ HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
             Cookie: latchkey={}\r\nContent-Type: multipart/form-data; boundary=b\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            ann.cookie("latchkey").unwrap()
        );
        let file = "--b\r\nContent-Disposition: form-data; name=\"profile_picture\"; filename=\"a\"\r\n\r\n";
        let nothing = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n";
        let uploads = [
            ("lines before the first part", "\r\n", "\r\n".repeat(32 * 1024)),
            ("a file", file, "a".repeat(64 * 1024)),
            ("parts", nothing, nothing.repeat(1024)),
            ("the head of a part", "--b\r\nX: ", "a".repeat(64 * 1024)),
        ];
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let all = uploads.iter().map(async |(name, begins, piece)| {
            let mut stream = TcpStream::connect(site.listens_at).await.unwrap();
            stream.write_all(format!("{head}{}", chunk(begins)).as_bytes()).await.unwrap();
            let (began, piece) = (Instant::now(), chunk(piece));
            // What it does not look at it throws away for a few seconds; then it hangs up.
            loop {
                match tokio::time::timeout(seconds(20), stream.write_all(piece.as_bytes())).await {
                    Ok(Ok(())) => assert!(began.elapsed() < seconds(40), "{name}: nobody hangs up"),
                    Ok(Err(_)) => break,
                    Err(waited) => panic!("{name}: nobody hangs up ({waited})"),
                }
                tokio::task::yield_now().await;
            }
        });
        futures_util::future::join_all(all).await;
        ann.visit("/user-profile/change-picture/").await;
        ann.choose_file("Picture", "a.png", "image/png", &pictures::png(30, 30)).press("Save").await;
        ann.status(200);
        site.stop().await;
    });
}

/// All rows, but for when somebody was last seen.
async fn rows(site: &Site) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["users", "links", "verifications", "outbox", "events", "mail_budgets", "sessions"] {
        let count: &'static str = Box::leak(format!("SELECT COUNT(*) FROM {table}").into_boxed_str());
        rows.push(format!("{table}: {}", site.count(count).await));
    }
    for query in [
        "SELECT username AS text FROM users ORDER BY id",
        "SELECT password_hash AS text FROM users ORDER BY id",
        "SELECT state AS text FROM outbox ORDER BY id",
        "SELECT id AS text FROM sessions WHERE ended_at IS NULL ORDER BY id",
        "SELECT id AS text FROM links WHERE used_at IS NULL AND revoked_at IS NULL ORDER BY id",
        "SELECT id AS text FROM verifications WHERE ended_at IS NULL ORDER BY id",
    ] {
        rows.extend(site.texts(query).await);
    }
    rows
}

async fn reading_changes_nothing(site: &Site) {
    site.appoint(latchkey::identity::Role::Superuser, "supervisor").await;
    let mut ann = site.member("annalee").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "supervisor", crate::harness::OTHER_PASSWORD).await;
    site.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'", 0).await;
    let before = rows(site).await;
    for mut reader in [site.visitor(), ann, chief] {
        let mut ahead = vec!["/".to_owned(), "/user-profile/".to_owned(), "/admin/".to_owned(), link.clone()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = ahead.pop() {
            // A file of all accounts is noted as taken.
            if path.contains("users.csv") || seen.len() > 60 || !seen.insert(path.clone()) {
                continue;
            }
            for method in [Method::HEAD, Method::OPTIONS] {
                reader.request(method, &path).send().await.unwrap();
            }
            reader.visit(&path).await;
            let body = reader.page().body.clone();
            let links = body.split(" href=\"/").skip(1).filter_map(|rest| rest.split('"').next());
            // Addresses that only take forms, too.
            let forms = body.split(" action=\"/").skip(1).filter_map(|rest| rest.split('"').next());
            ahead.extend(links.chain(forms).map(|path| format!("/{}", path.replace("&#38;", "&"))));
        }
        assert!(seen.len() > 5, "{seen:?}");
    }
    assert_eq!(rows(site).await, before);
}

#[test]
fn our_own_name_is_answered_whatever_other_hosts_are_allowed() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("ALLOWED_HOSTS", "other.example.org".to_owned())])).await;
        let port = site.url.rsplit(':').next().unwrap();
        for (host, expected) in [
            (format!("localhost:{port}"), " 200 "),
            ("other.example.org".to_owned(), " 200 "),
            ("third.example.org".to_owned(), " 400 "),
        ] {
            let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let first = first_line_of_answer(&site, &get).await;
            assert!(first.contains(expected), "{host}: {first}");
        }
        site.stop().await;
    });
}

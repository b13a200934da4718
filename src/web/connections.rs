//! Connections: how long one may keep quiet, and how many an address may have.
//!
//! actix limits the time for the first head of a connection and for none of the later ones (actix/actix-web#928), and reads a body
//! that nobody asked for as slowly as it comes. So each connection is watched from here: whoever has not sent a whole request some
//! seconds after the last answer is hung up on.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use ipnet::IpNet;
use rustix::net::Shutdown;
use tokio::time::Instant;

use super::client::{self, machine};
use super::journal::OncePerMinute;

/// From an answer to the end of the next head, or to the end of a body that nobody reads.
const QUIET: Duration = Duration::from_secs(12);
/// The same after the answer to a form: a body that nobody reads is thrown away meanwhile, as fast as it comes.
const QUIET_AFTER_FORM: Duration = Duration::from_secs(3);
/// How much longer a long body that nobody reads may take. Somebody who is cut off while still sending never sees the answer.
pub const MAX_UNREAD: Duration = Duration::from_secs(30);
/// The slowest that an answer may be taken, or a body that nobody reads be sent.
const BYTES_PER_SECOND: u64 = 16 * 1024;
/// The most connections of one address (IPv6: of one network of 64 bits) that is no proxy of ours: browsers have six.
const MAX_OF_ONE: usize = 128;

static OPEN: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);

/// A connection, for as long as it lasts.
#[derive(Clone)]
pub struct Connection(Rc<Watched>);

struct Watched {
    socket: OwnedFd,
    /// Until when it may keep quiet; `None` while a request is answered.
    quiet_until: Cell<Option<Instant>>,
    /// Under which name it counts.
    counted: Option<String>,
}

/// Watches a connection that has just been accepted, or hangs up on it when its address has too many.
pub fn watch(io: &dyn Any, data: &mut Extensions, trusted: &[IpNet]) {
    // Those of a unix socket are of our own proxy.
    let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
    let socket = match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => socket,
        // Without this handle there would be no time limit.
        Err(error) => {
            static SAID: OncePerMinute = OncePerMinute::new();
            SAID.warn(|| {
                format!("new connections are closed, because their time limits cannot be enforced: {error}")
            });
            return hang_up(stream);
        }
    };
    let peer = stream.peer_addr().ok().map(|peer| peer.ip());
    let counted = peer.filter(|peer| !client::is_proxy(Some(*peer), trusted)).map(machine);
    let number = counted.as_ref().map_or(0, |name| count(name));
    let is_one_too_many = number > MAX_OF_ONE;
    if let Some(name) = counted.as_ref().filter(|_| number == MAX_OF_ONE + 1) {
        log::warn!(
            "{name} has {MAX_OF_ONE} connections, and further ones are hung up on; if it is your proxy, add it to TRUSTED_PROXIES"
        );
    }
    let connection = Connection(Rc::new(Watched {
        socket,
        quiet_until: Cell::new(Some(Instant::now() + QUIET)),
        counted,
    }));
    if is_one_too_many {
        connection.0.hang_up();
    } else {
        actix_web::rt::spawn(hang_up_when_quiet(Rc::downgrade(&connection.0)));
    }
    data.insert(connection);
}

fn count(name: &str) -> usize {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = open.entry(name.to_owned()).or_default();
    *count += 1;
    *count
}

async fn hang_up_when_quiet(connection: Weak<Watched>) {
    loop {
        let Some(until) = connection.upgrade().map(|watched| watched.quiet_until.get()) else { return };
        match until {
            Some(until) if until <= Instant::now() => {
                if let Some(watched) = connection.upgrade() {
                    watched.hang_up();
                }
                return;
            }
            Some(until) => tokio::time::sleep_until(until).await,
            None => tokio::time::sleep(QUIET_AFTER_FORM / 2).await,
        }
    }
}

/// Notes that a whole head has come, of a request that passes no frame.
pub fn begin(req: &HttpRequest) -> Option<Connection> {
    let connection = req.conn_data::<Connection>().cloned();
    connection.inspect(Connection::begin)
}

/// Notes that its answer is on its way. Its body, if it has one, is never read.
pub fn end(connection: Option<Connection>, answer: &HttpResponse) {
    if let Some(connection) = connection {
        connection.end(match answer.body().size() {
            BodySize::Sized(bytes) => bytes,
            BodySize::None | BodySize::Stream => 0,
        });
    }
}

impl Connection {
    /// A whole head has come: its handler has limits of its own for the body.
    pub fn begin(&self) {
        self.0.quiet_until.set(None);
    }

    /// An answer of so many bytes is on its way.
    pub fn end(&self, bytes: u64) {
        self.quiet_for(QUIET, bytes);
    }

    /// An answer of so many bytes to a form is on its way. The form has `body` bytes, and may not have been read.
    pub fn end_form(&self, bytes: u64, body: u64) {
        let coming = Duration::from_secs(body / BYTES_PER_SECOND).min(MAX_UNREAD);
        self.quiet_for(QUIET_AFTER_FORM + coming, bytes);
    }

    fn quiet_for(&self, quiet: Duration, bytes: u64) {
        let taking = Duration::from_secs(bytes / BYTES_PER_SECOND);
        self.0.quiet_until.set(Some(Instant::now() + quiet + taking));
    }
}

/// A body whose end nobody knows: whoever does not take the next piece of it in time is hung up on.
pub struct Pieces {
    body: BoxBody,
    connection: Connection,
}

impl Pieces {
    /// Watches how a body is taken.
    pub fn of(body: BoxBody, connection: Connection) -> Self {
        Self { body, connection }
    }
}

impl MessageBody for Pieces {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        match &next {
            // We are the slow ones.
            Poll::Pending => self.connection.begin(),
            Poll::Ready(Some(Ok(piece))) => self.connection.end(piece.len() as u64),
            Poll::Ready(None) => self.connection.end(0),
            Poll::Ready(Some(Err(error))) => {
                log::warn!("an answer broke off in the middle: {error}");
                self.connection.end(0);
            }
        }
        next
    }
}

impl Watched {
    fn hang_up(&self) {
        hang_up(&self.socket);
    }
}

fn hang_up(socket: impl AsFd) {
    // It may have gone by itself.
    if let Err(error) = rustix::net::shutdown(socket, Shutdown::Both) {
        log::debug!("a connection has ended already: {error}");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(name) = &self.counted else { return };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                open.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::BodyStream;
    use futures_util::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn whoever_takes_each_piece_of_a_long_answer_in_time_is_not_hung_up_on() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let long_ago = Instant::now();
        let connection = Connection(Rc::new(Watched {
            socket: one.into(),
            quiet_until: Cell::new(Some(long_ago)),
            counted: None,
        }));
        let until = || connection.0.quiet_until.get();
        let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a"))]);
        // The second one is never ready: the database takes its time.
        let body = BoxBody::new(BodyStream::new(Box::pin(pieces.chain(stream::pending()))));
        let mut pieces = Box::pin(Pieces::of(body, connection.clone()));
        let mut next = async || {
            std::future::poll_fn(|context| Poll::Ready(pieces.as_mut().poll_next(context).is_ready())).await
        };
        assert!(next().await && until().is_some_and(|until| until >= long_ago + QUIET), "taken so far");
        assert!(!next().await && until().is_none(), "now it is our turn");
    }
}

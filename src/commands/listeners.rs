//! The sockets that we serve on: those that systemd opened for us, or those of `BIND`.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use listenfd::ListenFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, Listen};
use crate::server::{self, Listener};

/// Opens them all.
///
/// # Errors
/// With the place that cannot be listened on.
pub(super) fn open(config: &Config) -> Result<Vec<Listener>, String> {
    allow_many_files();
    let inherited = inherited().map_err(|error| format!("cannot use the sockets of systemd: {error}"))?;
    if config.debug && inherited.iter().any(is_open_to_others) {
        return Err("DEBUG=on is for this machine alone, and systemd listens for others: turn it off, or set ListenStream=127.0.0.1:8000".to_owned());
    }
    if !inherited.is_empty() {
        return Ok(inherited);
    }
    let open = |place: &Listen| {
        let opened = match place {
            Listen::Tcp(address) => server::listen(address).map(Listener::Tcp),
            Listen::Unix(path) => bind_unix(path).map(Listener::Unix),
        };
        opened.map_err(|error| format!("cannot listen on {place}: {error}; choose another address with BIND"))
    };
    config.bind.iter().map(open).collect()
}

/// Each connection takes two descriptors, and the soft limit, often 1,024, is only for old programs that can't handle more.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        log::debug!("cannot raise the limit of open files, so it stays as it was: {error}");
    }
}

fn is_open_to_others(listener: &Listener) -> bool {
    match listener {
        Listener::Tcp(tcp) => !tcp.local_addr().is_ok_and(|address| address.ip().is_loopback()),
        Listener::Unix(_) => false,
    }
}

/// Socket activation: what systemd listens on already (`LISTEN_FDS`).
fn inherited() -> io::Result<Vec<Listener>> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        let listener = match sockets.take_tcp_listener(index) {
            Ok(tcp) => tcp.map(Listener::Tcp),
            Err(_) => sockets.take_unix_listener(index)?.map(Listener::Unix),
        };
        listeners.extend(listener);
    }
    Ok(listeners)
}

/// Listens on a socket in the file system, which the group may use: the proxy's user is put into it. One that nobody listens on
/// any more is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        match UnixStream::connect(path) {
            Ok(_) => return Err(ErrorKind::AddrInUse.into()),
            Err(_) => fs::remove_file(path)?,
        }
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

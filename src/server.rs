//! The server: the order in which a request passes, and how it starts and stops.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::task::JoinHandle;
use actix_web::{HttpServer, web};

use crate::app::App;
use crate::courier::{Courier, WORKERS};
use crate::web::assets::Assets;
use crate::web::{connections, frame, passage, routes, session};
use crate::{housekeeping, site};

/// How many connections the kernel keeps for us until we take them (fewer where `somaxconn` is lower).
const WAITING_CONNECTIONS: i32 = 4096;

/// A socket to serve on.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Names where it listens.
    pub fn name(&self) -> String {
        let address = match self {
            Self::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            Self::Unix(listener) => listener.local_addr().map(|address| {
                let path = address.as_pathname().map(|path| path.display().to_string());
                format!("unix:{}", path.unwrap_or_default())
            }),
        };
        address.unwrap_or_else(|error| error.to_string())
    }
}

/// Listens on an address, and lets a burst of connections wait there. The standard library has room for 128: any more
/// wait for at least a second, or are reset without an answer.
///
/// # Errors
/// When the address isn't this machine's, or is already in use.
pub fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, WAITING_CONNECTIONS)?;
    Ok(listener)
}

/// Serves until it is stopped, then lets what is under way finish.
///
/// # Errors
/// When the listener or the mail transport cannot be used.
pub async fn serve(
    app: App,
    listeners: Vec<Listener>,
    on_start: impl FnOnce(ServerHandle),
) -> io::Result<()> {
    let couriers = if app.config.mail.courier { start_couriers(&app)? } else { Vec::new() };
    let housekeeper = actix_web::rt::spawn(housekeeping::work(app.clone()));
    let template = app.clone();
    let assets = web::Data::new(Assets::of(&app.config.brand, &app.config.applications));
    let trusted = app.config.trusted_proxies.clone();
    let mut server = HttpServer::new(move || {
        let app = template.for_worker();
        let session = session::layer(&app);
        let data = web::Data::new(app);
        actix_web::App::new()
            .app_data(web::Data::clone(&data))
            .app_data(web::Data::clone(&assets))
            .configure(|routes| {
                // No setting, no address.
                if !data.config.applications.is_empty() {
                    site::application_routes(routes);
                }
            })
            .service(
                web::scope("")
                    .wrap(from_fn(frame::draw))
                    .configure(site::public_routes)
                    .service(
                        web::scope("")
                            .wrap(from_fn(passage::pass))
                            .wrap(session)
                            .wrap(from_fn(session::around))
                            .configure(|routes| site::routes(routes, &data.config))
                            .default_service(web::to(routes::nowhere)),
                    )
                    .default_service(web::to(routes::nowhere)),
            )
    })
    // Answers made of several writes would otherwise wait 40 ms for the client's acknowledgement.
    .tcp_nodelay(true)
    // The database, files and hashes have threads of their own. These look up the names of hosts, which takes ten seconds each while
    // no name server answers.
    .worker_max_blocking_threads(16)
    .max_connections(1024)
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(15))
    .client_disconnect_timeout(connections::MAX_UNREAD)
    .on_connect(move |io, data| connections::watch(io, data, &trusted))
    .shutdown_timeout(30)
    .disable_signals();
    for listener in listeners {
        server = match listener {
            Listener::Tcp(listener) => server.listen(listener)?,
            Listener::Unix(listener) => server.listen_uds(listener)?,
        };
    }
    let server = server.run();
    on_start(server.handle());
    server.await?;
    app.begin_shutdown();
    housekeeper.abort();
    for courier in couriers {
        if let Err(error) = courier.await {
            log::error!("a courier ended early: {error}");
        }
    }
    Ok(())
}

/// Starts this process' couriers on the current thread.
///
/// # Errors
/// When the settings make no mail transport.
pub fn start_couriers(app: &App) -> io::Result<Vec<JoinHandle<()>>> {
    let courier = Courier::new(&app.config, &app.keys, app.courier_parts()).map_err(io::Error::other)?;
    let courier = Arc::new(courier);
    let work = || {
        let courier = Arc::clone(&courier);
        actix_web::rt::spawn(async move { courier.work().await })
    };
    Ok((0..WORKERS).map(|_| work()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_burst_of_connections_waits_and_none_is_dropped() {
        let listener = listen("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(900));
        // Some machines allow no more than the standard library asks for.
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        let number = most.trim().parse().unwrap_or(400).min(400);
        let connections: Vec<_> = (0..number).map(|_| connect().expect("room to wait in")).collect();
        listener.set_nonblocking(true).unwrap();
        let taken = connections.iter().filter(|_| listener.accept().is_ok()).count();
        assert_eq!(taken, connections.len());
    }
}

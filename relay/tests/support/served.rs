//! A whole relay of this process on loopback.

use std::net::SocketAddr;
use std::path::Path;

use khlong_crdt::address::RelayAddress;
use khlong_relay::hub::Policy;
use khlong_relay::server::{Server, ServerError, ServerOptions};
use khlong_store::engine::rocks::RocksOptions;
use khlong_sync::transport::quic::limits::QuicLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::PATIENCE;
use super::virtual_world::relay_key;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub struct Relay {
    pub address: RelayAddress,
    pub admin: SocketAddr,
    quit: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

pub fn options(folder: &Path) -> ServerOptions {
    let mebibyte = 1 << 20;
    ServerOptions {
        key: relay_key(),
        folder: folder.to_path_buf(),
        sizes: RocksOptions {
            write_buffer_bytes: mebibyte,
            block_cache_bytes: mebibyte,
            reserve_bytes: 1,
        },
        accept_loss: false,
        policy: Policy::default(),
        quic: LOOPBACK,
        admin: LOOPBACK,
        limits: QuicLimits::default(),
        public_host: "127.0.0.1".to_owned(),
        public_port: None,
        stop_within: khlong_relay::server::STOP_WITHIN,
    }
}

impl Relay {
    pub async fn start(options: ServerOptions) -> Self {
        Self::serve(Server::start(options).await.unwrap())
    }

    pub fn serve(server: Server) -> Self {
        let (address, admin) = (server.address().clone(), server.admin_addr());
        let (quit, stop) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async {
            let _ = stop.await;
        }));
        Self {
            address,
            admin,
            quit,
            served,
        }
    }

    pub async fn stop(self) {
        self.quit.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.served)
            .await
            .expect("it does not stop")
            .unwrap()
            .unwrap();
    }

    pub async fn get(&self, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }
}

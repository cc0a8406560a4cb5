//! A server of this test's own, and words for what is asked of it.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use khlong_crdt::id::LogId;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_gateway::app::{App, AppError, DriverClock, Handle, Open, Options};
use khlong_gateway::config::{Config, Environment, Flags};
use khlong_gateway::domains;
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::{Direction, Durability};
use khlong_store::identity::Role;
use khlong_store::journal::JournalId;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows as _;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Reply, try_call};
use crate::until::until;

pub(crate) const READER: &str = "reader-secret-0123456789abcdefghijkl";
pub(crate) const WRITER: &str = "writer-secret-0123456789abcdefghijkl";
pub(crate) const OTHER: &str = "other-secret-00123456789abcdefghijkl";
pub(crate) const OPERATOR: &str = "operator-secret-0123456789abcdefghij";
pub(crate) const ADMIN: &str = "admin-secret-00123456789abcdefghijkl";

pub(crate) const TRANSFERS: &str = "/v1/ledger/transfers";

/// A configuration with a key of each role, and one more writer.
pub(crate) fn config(more: &str) -> String {
    format!(
        r#"{more}
[listen]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
[store]
reserve = "1MiB"
block_cache = "1MiB"
write_buffer = "1MiB"
[keys.reader]
role = "reader"
secret = "{READER}"
[keys.shop]
role = "writer"
hash = "{}"
[keys.other]
role = "writer"
secret = "{OTHER}"
[keys.desk]
role = "operator"
secret = "{OPERATOR}"
[keys.boss]
role = "admin"
secret = "{ADMIN}"
"#,
        blake3::hash(WRITER.as_bytes()).to_hex()
    )
}

/// What these tests watch is what requests make the driver do, so its outbox is not looked at: a look
/// takes a place in the queue, whenever it comes.
pub(crate) fn options(folder: &Path, more: &str) -> Options {
    let config = Config::parse(
        &config(more),
        folder,
        Environment::default(),
        &Flags::default(),
    );
    let mut options = config.unwrap().options().unwrap();
    options.outbox.policy.look_every = Duration::from_secs(3_600);
    options
}

/// Of a server that is asked as often as a test likes.
pub(crate) fn often(folder: &Path) -> Options {
    options(folder, "[limits]\nrequests_per_minute = 1000000")
}

/// How a test opens the store of such a gateway.
pub(crate) fn opening(options: &Options) -> OpenOptions {
    OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([7; 16]),
        accept_loss: false,
        sizes: options.sizes,
    }
}

/// Makes the folder, unless it is there.
pub(crate) fn init(options: &Options) {
    if options.folder.exists() {
        return;
    }
    let store = Store::open(&options.folder, &opening(options)).unwrap();
    let journal = JournalId::from_bytes([9; 16]);
    Kernel::open(store, domains::all(), Logic::CURRENT, journal).unwrap();
}

/// Changes the last balances of an account in a folder that nobody has open, in a row with the right checksum:
/// `time 8 ‖ debits_pending 16 ‖ debits_posted 16 ‖ credits_pending 16 ‖ credits_posted 16 ‖ …`.
pub(crate) fn change_balances(options: &Options, account: u128, change: impl FnOnce(&mut [u8])) {
    let mut store = Store::open(&options.folder, &opening(options)).unwrap();
    let range = KeyRange::prefix(&account.to_be_bytes());
    let mut last = None;
    store
        .scan(
            Table::LedgerBalance,
            &range,
            Direction::Reverse,
            &mut |key, row| {
                last = Some((key.to_vec(), row.to_vec()));
                Ok(ControlFlow::Break(()))
            },
        )
        .unwrap();
    let (key, mut row) = last.unwrap();
    change(&mut row);
    let mut batch = store.batch();
    batch.put(Table::LedgerBalance, key, row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Of metrics and health.
    pub(crate) admin: SocketAddr,
    pub(crate) handle: Handle,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), AppError>>,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::with(folder, "")
    }

    /// `more`: lines of the configuration before its sections.
    pub(crate) fn with(folder: &Path, more: &str) -> Self {
        Self::of(options(folder, more))
    }

    pub(crate) fn of(options: Options) -> Self {
        init(&options);
        let server = Self::launch(|runtime| runtime.block_on(App::start(options)).unwrap());
        server.wait();
        server
    }

    /// Asked as often as a test likes.
    pub(crate) fn on(folder: &Path, open: Open, clock: DriverClock) -> Self {
        Self::with_clock(often(folder), open, clock)
    }

    pub(crate) fn with_clock(options: Options, open: Open, clock: DriverClock) -> Self {
        Self::launch(|runtime| {
            let app = App::start_on(options, open, clock);
            runtime.block_on(app).unwrap()
        })
    }

    fn launch(start: impl FnOnce(&Runtime) -> App) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let app = start(&runtime);
        let (stop, stopped) = oneshot::channel();
        let (address, admin, handle) = (app.http_addr(), app.admin_addr(), app.handle());
        let running = runtime.spawn(app.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            admin,
            handle,
            runtime,
            stop,
            running,
        }
    }

    /// Until the journal is read.
    pub(crate) fn wait(&self) {
        wait(self.address);
    }

    /// As a signal would.
    pub(crate) fn stop(self) -> Result<(), AppError> {
        let _ = self.stop.send(());
        self.runtime.block_on(self.running).unwrap()
    }

    /// Until it ends by itself.
    pub(crate) fn ended(self) -> Result<(), AppError> {
        self.runtime.block_on(self.running).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        get(self.address, path)
    }

    pub(crate) fn post(&self, path: &str, secret: &str, key: &str, body: &Value) -> Reply {
        try_post(self.address, path, secret, key, body).unwrap()
    }

    /// As the shop.
    pub(crate) fn send(&self, key: &str, transfers: Value) -> Reply {
        self.post(TRANSFERS, WRITER, key, &json!({ "transfers": transfers }))
    }

    /// The baht; account 1 without rules, and 2 to `accounts` that cannot be overdrawn.
    pub(crate) fn set_up(&self, accounts: u32) {
        set_up(self.address, accounts);
    }

    pub(crate) fn balance(&self, account: u32, field: &str) -> String {
        balance(self.address, account, field)
    }

    /// When it returns, the driver is in a read: what comes from now on stays in the queue.
    pub(crate) fn hold_driver(&self) -> Held {
        let (begun, has_begun) = mpsc::sync_channel::<()>(1);
        let (release, released) = mpsc::sync_channel::<()>(1);
        let read = self.handle.begin_read(move |_| {
            begun.send(()).unwrap();
            // An error: the test failed, and the driver is let go all the same.
            let _ = released.recv();
        });
        let read = read.unwrap();
        has_begun.recv().unwrap();
        Held { release, read }
    }
}

/// A driver in a read, until it is let go.
pub(crate) struct Held {
    release: mpsc::SyncSender<()>,
    read: oneshot::Receiver<()>,
}

impl Held {
    pub(crate) fn let_go(self) {
        self.release.send(()).unwrap();
        self.read.blocking_recv().unwrap();
    }
}

/// A clock whose two hands go together.
pub(crate) fn wall(millis: impl Fn() -> i64 + Send + Sync + 'static) -> DriverClock {
    Arc::new(move || {
        let millis = millis();
        Now {
            monotonic: Monotonic(u64::try_from(millis).unwrap_or(0) * 1_000),
            wall: UnixMillis(millis),
        }
    })
}

pub(crate) fn wait(address: SocketAddr) {
    wait_for(address, "/readyz");
}

/// Until this address is answered with 200.
pub(crate) fn wait_for(address: SocketAddr, path: &str) {
    until(&format!("{path} is well"), || {
        try_call(address, "GET", path, &[], b"").unwrap().status == 200
    });
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    let bearer = format!("Bearer {READER}");
    try_call(address, "GET", path, &[("authorization", &bearer)], b"").unwrap()
}

pub(crate) fn try_post(
    address: SocketAddr,
    path: &str,
    secret: &str,
    key: &str,
    body: &Value,
) -> std::io::Result<Reply> {
    let (bearer, key) = (format!("Bearer {secret}"), format!("\"{key}\""));
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", &key),
        ("content-type", "application/json"),
    ];
    try_call(address, "POST", path, &headers, body.to_string().as_bytes())
}

pub(crate) fn set_up(address: SocketAddr, accounts: u32) {
    let assets = json!({ "assets": [{ "ledger": 764, "scale": 2, "symbol": "THB" }] });
    let made = try_post(address, "/v1/ledger/assets", ADMIN, "set up", &assets).unwrap();
    assert_eq!(made.results(), ["ok"]);
    let account = |id: u32| {
        let rules: &[&str] = if id == 1 {
            &[]
        } else {
            &["debits_must_not_exceed_credits"]
        };
        json!({ "id": id.to_string(), "ledger": 764, "code": 1, "flags": rules })
    };
    let all: Vec<Value> = (1..=accounts).map(account).collect();
    let body = json!({ "accounts": all });
    let made = try_post(address, "/v1/ledger/accounts", WRITER, "set up", &body).unwrap();
    assert!(made.results().iter().all(|result| result == "ok"));
}

pub(crate) fn balance(address: SocketAddr, account: u32, field: &str) -> String {
    let reply = get(address, &format!("/v1/ledger/accounts/{account}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["balances"][field].as_str().unwrap().to_owned()
}

/// `amount` satang from one account to another.
pub(crate) fn pay(id: u64, debit: u32, credit: u32, amount: u64) -> Value {
    json!({
        "id": id.to_string(),
        "debit_account_id": debit.to_string(),
        "credit_account_id": credit.to_string(),
        "amount": amount.to_string(),
        "ledger": 764,
        "code": 1,
    })
}

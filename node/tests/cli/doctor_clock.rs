//! `doctor` and clocks: this machine's, that of a relay, and the times of files.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{LogId, RelayKey};
use khlong_crdt::time::UnixMillis;
use khlong_node::folder::KEY_FILE;
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::listener::Listener;
use khlong_sync::wire::frame::{Frame, Hello, Lane};

use crate::doctor::{examine, finds_only};
use crate::node::Node;

/// A relay that greets, with this clock, and does nothing else.
fn greeter(relay_time: Option<UnixMillis>) -> (tokio::runtime::Runtime, RelayAddress) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let key = SigningKey::from_bytes(&[5; 32]);
    let identity = Identity::from_seed(key.as_bytes()).unwrap();
    let _inside = runtime.enter();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(any, &identity, QuicLimits::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let greeting = Frame::Hello(Hello {
        versions: 1..=1,
        agent: "greeter".to_owned(),
        keep_alive_ms: 30_000,
        log: Some((LogId::from_bytes([1; 16]), 1)),
        token: None,
        relay_time,
    });
    runtime.spawn(async move {
        while let Some(mut link) = listener.accept().await {
            let greeting = greeting.clone();
            tokio::spawn(async move {
                link.recv().await;
                link.sender().send(Lane::Control, greeting).await.unwrap();
                link.recv().await;
            });
        }
    });
    let key = RelayKey::from_bytes(key.verifying_key().to_bytes());
    let address = RelayAddress::new(key, "127.0.0.1", port).unwrap();
    (runtime, address)
}

#[test]
fn a_clock_that_is_off_by_a_day() {
    let day = Duration::from_secs(86_400);
    let tomorrow = SystemTime::now() + day;
    let told = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).unwrap();
        Some(UnixMillis(since.as_millis() as i64))
    };
    let node = Node::new("mali");
    // The same relay key each time: whoever is added last is the one that is asked.
    let yesterday = SystemTime::now() - day;
    for (at, wanted) in [
        (tomorrow, "s behind that of"),
        (yesterday, "s ahead of that of"),
    ] {
        let (_greets, address) = greeter(told(at));
        let address = address.to_string();
        node.json(&["relay", "add", &address]);
        let wanted = [wanted, &address, "set the clock"];
        finds_only(&mut node.command(), "clock", 1, &wanted);
    }
    // Less than a person would notice is nothing, on either side.
    let little = Duration::from_secs(30);
    for at in [SystemTime::now() + little, SystemTime::now() - little] {
        let (_greets, address) = greeter(told(at));
        node.json(&["relay", "add", &address.to_string()]);
        assert_eq!(examine(&mut node.command()).0, 0);
    }

    // A relay that does not tell the time: files are all there is.
    let (_mute, address) = greeter(None);
    node.json(&["relay", "add", &address.to_string()]);
    assert_eq!(examine(&mut node.command()).0, 0);
    let keys = fs::File::open(node.home().join(KEY_FILE)).unwrap();
    keys.set_modified(tomorrow).unwrap();
    finds_only(&mut node.command(), "clock", 1, &["was written", KEY_FILE]);
}

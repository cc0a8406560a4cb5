//! Asking a relay that runs, over its operators' address.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use khlong_store::identity::Committed;

use super::CommandError;
use crate::admin::{Made, Operator};

/// The answer is a line.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// To a process of this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A checkpoint writes what is in memory, and links the rest: seconds on a slow disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Asks for a checkpoint; the last commit in it.
pub(super) fn checkpoint(
    address: SocketAddr,
    operator: &Operator,
) -> Result<Committed, CommandError> {
    let address = reachable(address);
    let failed = |source| CommandError::Unreachable { address, source };
    let answer = post(address, Made::PATH, operator).map_err(failed)?;
    let strange = || failed(io::Error::other("what answers is no relay"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse::<u16>().ok())
        .ok_or_else(strange)?;
    match status {
        200 => serde_json::from_str(body)
            .ok()
            .and_then(|made: Made| made.committed())
            .ok_or_else(strange),
        401 => Err(CommandError::OtherRelay { address }),
        404 | 405 => Err(strange()),
        status => Err(CommandError::NoCheckpoint {
            address,
            status,
            said: body.trim().to_owned(),
        }),
    }
}

/// Where a process of this machine reaches what listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let ip = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

fn post(address: SocketAddr, path: &str, operator: &Operator) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: {}\r\nContent-Length: 0\r\n\r\n",
        operator.header()
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

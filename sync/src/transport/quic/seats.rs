//! How many connections each network has: one address must not take what is for all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Who is counted together: an IPv4 address, or the /64 of an IPv6 address, of which one
/// customer has all 2⁶⁴. An IPv4 address in IPv6 clothes is that IPv4 address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// How many connections each network has, handshakes that are under way included.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

impl Seats {
    /// How many the network of `address` has.
    pub(super) fn taken(&self, address: IpAddr) -> usize {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(&network_of(address)).copied().unwrap_or_default()
    }

    /// One more, unless it has `max`.
    pub(super) fn take(&self, address: IpAddr, max: usize) -> Option<Seat> {
        let network = network_of(address);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&network).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        taken.insert(network, count + 1);
        drop(taken);
        Some(Seat {
            seats: self.clone(),
            network,
        })
    }
}

/// One connection's place in the count of its network; given back on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    network: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

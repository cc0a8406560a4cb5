//! Relay addresses and invite links: what people copy, scan and paste.
//!
//! The secret of an invite lies behind `#`, the part of a link that no browser or
//! proxy sends on.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::{
    id::{RelayKey, TimelineId},
    text::{self, TextError},
};

/// Scheme of both forms.
pub const SCHEME: &str = "khlong://";
/// UDP port on which a relay listens unless it is told another; an address always names its port.
pub const PORT_DEFAULT: u16 = 4747;
/// Relays that an invite may name.
pub const INVITE_RELAYS_MAX: usize = 4;
/// Longest host name (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 253;
/// Longest sealed invite secret: 32 bytes of HPKE key, 32 of secret, 16 of tag, and room.
pub const SEALED_INVITE_BYTES_MAX: usize = 256;

const _: () = assert!(32 + 32 + 16 <= SEALED_INVITE_BYTES_MAX);

/// Why an address or a link was refused. The text is not repeated: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the shape.
    #[error("expected {0}; copy it again, whole")]
    Shape(&'static str),
    /// The host is empty, too long, has letters that no host has, or stands there in another
    /// spelling than the one that it has in an address.
    #[error(
        "the host in the address is not a name in lowercase, or an IP address in its usual form"
    )]
    Host,
    /// The port is missing, zero or above 65535.
    #[error("the address needs a port from 1 to 65535 after `:`")]
    Port,
    /// No relay, too many, or one twice.
    #[error("an invite names 1 to 4 different relays")]
    Relays,
    /// A key, id or secret in it.
    #[error("a part of the link is damaged")]
    Text(#[source] TextError),
}

/// Where a relay is, and the key by which its certificate is pinned.
///
/// `khlong://KEY@HOST:PORT`, where KEY is the text form of the key without `rly_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddress {
    /// The pinned key.
    pub key: RelayKey,
    /// A DNS name in lowercase, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl RelayAddress {
    /// Checks host and port, and gives the host the spelling that it has in an address: a
    /// name in lowercase, an IPv6 address as in RFC 5952.
    ///
    /// # Errors
    /// [`AddressError::Host`], [`AddressError::Port`].
    pub fn new(key: RelayKey, host: &str, port: u16) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::Port);
        }
        Ok(Self {
            key,
            host: canonical_host(host)?,
            port,
        })
    }

    /// `KEY@HOST:PORT`, as it stands in a link.
    fn authority(&self) -> String {
        let text = self.key.to_string();
        let key = text.strip_prefix(RelayKey::PREFIX).unwrap_or(&text);
        if self.host.contains(':') {
            format!("{key}@[{}]:{}", self.host, self.port)
        } else {
            format!("{key}@{}:{}", self.host, self.port)
        }
    }

    fn from_authority(authority: &str) -> Result<Self, AddressError> {
        let (key, place) = authority
            .split_once('@')
            .ok_or(AddressError::Shape("KEY@HOST:PORT"))?;
        let key = format!("{}{key}", RelayKey::PREFIX)
            .parse()
            .map_err(AddressError::Text)?;
        let (host, port) = place.rsplit_once(':').ok_or(AddressError::Port)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) if inner.contains(':') => inner,
            None if !host.contains(':') => host,
            Some(_) | None => return Err(AddressError::Host),
        };
        if port.starts_with('+') || port.starts_with('0') {
            return Err(AddressError::Port);
        }
        let address = Self::new(key, host, port.parse().map_err(|_| AddressError::Port)?)?;
        // One spelling, so that one relay is not two addresses.
        if address.host != host {
            return Err(AddressError::Host);
        }
        Ok(address)
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}", self.authority())
    }
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or(AddressError::Shape("khlong://KEY@HOST:PORT"))?;
        Self::from_authority(rest)
    }
}

fn canonical_host(host: &str) -> Result<String, AddressError> {
    if host.contains(':') {
        let address: Ipv6Addr = host.parse().map_err(|_| AddressError::Host)?;
        return Ok(address.to_string());
    }
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let labels = |label: &str| !label.is_empty() && label.len() <= 63;
    if host.len() > HOST_BYTES_MAX || !host.bytes().all(letters) || !host.split('.').all(labels) {
        return Err(AddressError::Host);
    }
    Ok(host.to_ascii_lowercase())
}

/// The secret of an invite.
#[derive(Clone, PartialEq, Eq)]
pub enum InvitePayload {
    /// Whoever holds the link may join and, until it is used, read.
    Open([u8; 32]),
    /// HPKE-sealed to one user's card.
    Sealed(Vec<u8>),
}

impl InvitePayload {
    const OPEN: &'static str = "open.";
    const SEALED: &'static str = "sealed.";

    fn to_text(&self) -> String {
        match self {
            Self::Open(secret) => text::encode(Self::OPEN, secret),
            Self::Sealed(sealed) => text::encode(Self::SEALED, sealed),
        }
    }

    fn from_text(fragment: &str) -> Result<Self, AddressError> {
        if fragment.starts_with(Self::OPEN) {
            return text::decode_array(Self::OPEN, fragment)
                .map(Self::Open)
                .map_err(AddressError::Text);
        }
        let sealed = text::decode(Self::SEALED, fragment).map_err(AddressError::Text)?;
        if sealed.is_empty() || sealed.len() > SEALED_INVITE_BYTES_MAX {
            return Err(AddressError::Shape("a sealed secret of 1 to 256 bytes"));
        }
        Ok(Self::Sealed(sealed))
    }
}

/// Redacted: an open secret in a log lets its reader join.
impl fmt::Debug for InvitePayload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => formatter.write_str("Open(redacted)"),
            Self::Sealed(sealed) => write!(formatter, "Sealed({} bytes)", sealed.len()),
        }
    }
}

/// `khlong://KEY@HOST:PORT/join/tl_…?also=KEY@HOST:PORT#open.…` or `#sealed.…`.
///
/// `Display` writes the secret: it is meant for the one who is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// Where the timeline lies, 1 to [`INVITE_RELAYS_MAX`]; the first is the authority of the link.
    pub relays: Vec<RelayAddress>,
    /// What to join.
    pub timeline: TimelineId,
    /// The key to it.
    pub secret: InvitePayload,
}

impl fmt::Display for InviteLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, others) = self.relays.split_first().ok_or(fmt::Error)?;
        write!(formatter, "{first}/join/{}", self.timeline)?;
        for (index, relay) in others.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            write!(formatter, "{mark}also={}", relay.authority())?;
        }
        write!(formatter, "#{}", self.secret.to_text())
    }
}

impl FromStr for InviteLink {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        const SHAPE: AddressError =
            AddressError::Shape("khlong://KEY@HOST:PORT/join/tl_…#open.… or #sealed.…");
        let rest = text.strip_prefix(SCHEME).ok_or(SHAPE)?;
        let (place, fragment) = rest.split_once('#').ok_or(SHAPE)?;
        let (authority, path) = place.split_once("/join/").ok_or(SHAPE)?;
        let (timeline, query) = match path.split_once('?') {
            Some((timeline, query)) => (timeline, Some(query)),
            None => (path, None),
        };
        let mut relays = vec![RelayAddress::from_authority(authority)?];
        for pair in query.iter().flat_map(|query| query.split('&')) {
            let also = pair.strip_prefix("also=").ok_or(SHAPE)?;
            let relay = RelayAddress::from_authority(also)?;
            if relays.len() == INVITE_RELAYS_MAX || relays.contains(&relay) {
                return Err(AddressError::Relays);
            }
            relays.push(relay);
        }
        Ok(Self {
            relays,
            timeline: timeline.parse().map_err(AddressError::Text)?,
            secret: InvitePayload::from_text(fragment)?,
        })
    }
}

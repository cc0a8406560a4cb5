//! Section `outbox`: where notices go, and with which secret.

use axum::http::Uri;
use axum::http::uri::Scheme;

use super::derive::read;
use super::{Config, ConfigError, SecretText, TargetSection};
use crate::kernel::is_topic;
use crate::outbound::{Client, OutboundError, is_address};
use crate::outbox::limits::TARGETS_MAX;
use crate::outbox::{Secret, Target};

/// A target's name.
const NAME_BYTES_MAX: usize = 64;

impl Config {
    /// The targets with their secrets and certificates; reads their files.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn targets(&self) -> Result<Vec<Target>, ConfigError> {
        let sections = &self.outbox.target;
        if sections.len() > TARGETS_MAX {
            return Err(ConfigError::value(
                "outbox.target",
                format!("at most {TARGETS_MAX} targets are allowed"),
            ));
        }
        let mut targets: Vec<Target> = Vec::new();
        let mut system = None;
        for section in sections {
            let target = target(section, &mut system)?;
            if targets.iter().any(|known| known.name == target.name) {
                return Err(ConfigError::value(
                    format!("outbox.target {}", target.name),
                    "two targets have this name; give each its own",
                ));
            }
            targets.push(target);
        }
        Ok(targets)
    }
}

/// `system`: the client that trusts what the system trusts, once it is made.
fn target(section: &TargetSection, system: &mut Option<Client>) -> Result<Target, ConfigError> {
    let name = &section.name;
    let key = |field: &str| format!("outbox.target {name}.{field}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(ConfigError::value(
            "outbox.target.name",
            "a name has 1 to 64 letters, digits, - and _",
        ));
    }
    let url: Option<Uri> = section.url.parse().ok();
    let url = url.filter(is_address).ok_or_else(|| {
        ConfigError::value(
            key("url"),
            "http://HOST/PATH or https://HOST/PATH is needed, without a name or password",
        )
    })?;
    if section.topics.is_empty() || !section.topics.iter().all(|topic| is_topic(topic)) {
        return Err(ConfigError::value(
            key("topics"),
            "at least one topic is needed, such as books.day_closed",
        ));
    }
    let client = client(section, &url, system)
        .map_err(|error| ConfigError::value(key("ca_file"), error.to_string()))?;
    Ok(Target {
        name: name.clone(),
        url,
        topics: section.topics.iter().cloned().collect(),
        secret: secret(section, &key)?,
        client,
    })
}

fn client(
    section: &TargetSection,
    url: &Uri,
    system: &mut Option<Client>,
) -> Result<Client, OutboundError> {
    if let Some(file) = &section.ca_file {
        return Client::new(Some(file));
    }
    if url.scheme() != Some(&Scheme::HTTPS) {
        return Client::without_tls();
    }
    if let Some(known) = system {
        return Ok(known.clone());
    }
    let made = Client::new(None)?;
    Ok(system.insert(made).clone())
}

fn secret(section: &TargetSection, key: &impl Fn(&str) -> String) -> Result<Secret, ConfigError> {
    let inline = section.secret.as_ref().map(SecretText::expose);
    let (field, text) = match (inline, &section.secret_file) {
        (Some(text), None) => (key("secret"), text.to_owned()),
        (None, Some(file)) => {
            let field = key("secret_file");
            let text = read(&field, file)?;
            (field, text)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(ConfigError::value(
                key("secret"),
                "set exactly one of secret and secret_file",
            ));
        }
    };
    Secret::parse(&text)
        .ok_or_else(|| ConfigError::value(field, "whsec_ and 24 to 64 bytes in Base64 are needed"))
}

//! `init`, `id`, `nickname`, `relay`.

use khlong_document::timeline::limits::NICKNAME_BYTES_MAX;

use super::Run;
use super::args::{Init, Patience, Relay};
use super::error::CliError;
use super::gate::passphrase_of;
use super::output::Output;
use super::show;
use crate::api::{RelayView, Request, Response};
use crate::folder::{self, KeyProtection};
use crate::node::entropy;

/// Of whoever has no account name.
const NICKNAME_DEFAULT: &str = "anonymous";

pub(super) async fn init(run: &Run, init: Init) -> Result<(), CliError> {
    let protection = match (&run.passphrase_file, init.plain_keys) {
        (Some(file), _) => KeyProtection::Passphrase(passphrase_of(file)?),
        (None, true) => KeyProtection::Plain,
        (None, false) => {
            return Err(CliError::Usage(
                "say how the keys are kept: --passphrase-file FILE, or --plain-keys for a file that only you can read"
                    .to_owned(),
            ));
        }
    };
    let nickname = init.nickname.unwrap_or_else(account);
    folder::init(&run.home, &nickname, &protection, entropy()?)?;
    id(run, false).await
}

/// The name of the account on this machine, where it can be a nickname. Services and
/// containers often have none, and a nickname can be changed later.
fn account() -> String {
    let is_nickname = |name: &String| !name.trim().is_empty() && name.len() <= NICKNAME_BYTES_MAX;
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(is_nickname)
        .unwrap_or_else(|| NICKNAME_DEFAULT.to_owned())
}

pub(super) async fn id(run: &Run, qr: bool) -> Result<(), CliError> {
    let response = run.ask(Request::Id).await?;
    let Response::Id {
        user,
        device,
        card,
        nickname,
    } = &response
    else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(&response);
    }
    run.output.line(&format!("nickname  {nickname}"))?;
    run.output.line(&format!("user      {user}"))?;
    run.output.line(&format!("device    {device}"))?;
    run.output.line(&format!("card      {card}"))?;
    if qr {
        show::qr(run.output, card)
    } else {
        Ok(())
    }
}

pub(super) async fn nickname(
    run: &Run,
    nickname: String,
    patience: Patience,
) -> Result<(), CliError> {
    let (settled, gate) = run
        .write(
            Request::Nickname {
                nickname: nickname.clone(),
            },
            patience,
        )
        .await?;
    gate.close().await;
    if run.output.json {
        run.output.object(&settled.response)
    } else {
        run.output.line(&format!("others see you as {nickname}"))
    }
    .map_err(CliError::after_writing)?;
    settled.waited
}

pub(super) async fn relay(run: &Run, relay: Relay) -> Result<(), CliError> {
    let request = match relay {
        Relay::Ls => Request::RelayLs,
        Relay::Rm { relay, force } => Request::RelayRm { relay, force },
        Relay::Add {
            address,
            token_file,
        } => {
            let token = match token_file {
                None => None,
                Some(file) => {
                    let bytes = passphrase_of(&file)?;
                    let token = std::str::from_utf8(&bytes);
                    let not_text = |_| CliError::Usage(format!("{} is not text", file.display()));
                    Some(token.map_err(not_text)?.to_owned())
                }
            };
            Request::RelayAdd { address, token }
        }
    };
    let response = run.ask(request).await?;
    let Response::Relays { relays } = &response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(&response);
    }
    list(run.output, relays)
}

pub(super) fn list(output: Output, relays: &[RelayView]) -> Result<(), CliError> {
    relays.iter().try_for_each(|view| show::relay(output, view))
}

//! Keys and cards as bytes: what a folder keeps, and what people hand to each other.

use khlong_crdt::address::InvitePayload;
use khlong_crdt::text;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::device::DeviceSecret;
use khlong_document::keys::epoch::{ControlKey, EpochKey};
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::keys::invite::{InviteError, InviteSecret, SEALED_INVITE_BYTES};
use khlong_document::keys::principal::PrincipalSecret;
use khlong_document::keys::user::{UserCard, UserGenesis, UserSecret};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::secret_store::sealed_file::{
    FILE_BYTES_MAX, MEMORY_KIB_MAX, PassphraseCost, SECRET_BYTES_MAX, SealedFileError,
    encode_plain, open, seal_with_passphrase,
};

use crate::fuzzing::fuzz;
use crate::{TIMELINE, rng};

/// Does `read` take `bytes`, and only where `write` gives them back?
macro_rules! one_form {
    ($bytes:expr, $($secret:ty),+) => {
        [$(match <$secret>::from_bytes($bytes) {
            Ok(secret) => {
                assert_eq!(secret.to_bytes().as_slice(), $bytes, "one form");
                true
            }
            Err(_) => false,
        }),+]
    };
}

fuzz!(fuzz_secrets, 2_000, secrets(), secret);

fn secrets() -> Vec<Vec<u8>> {
    let invite = InviteSecret::from_seed([7; 32]);
    let timeline = |invite| TimelineSecrets {
        timeline: TIMELINE,
        principal: PrincipalSecret::from_seed([3; 32]),
        inbox: InboxSecret::from_seed([4; 32]),
        author: AuthorSecret::from_seed([2; 32]),
        invite,
    };
    vec![
        DeviceSecret::from_seed([1; 32]).to_bytes().to_vec(),
        AuthorSecret::from_seed([2; 32]).to_bytes().to_vec(),
        PrincipalSecret::from_seed([3; 32]).to_bytes().to_vec(),
        InboxSecret::from_seed([4; 32]).to_bytes().to_vec(),
        EpochKey::from_seed([5; 32]).to_bytes().to_vec(),
        ControlKey::from_seed([6; 32]).to_bytes().to_vec(),
        invite.to_bytes().to_vec(),
        UserSecret::from_seed([8; 32]).to_bytes().to_vec(),
        timeline(None).to_bytes().to_vec(),
        timeline(Some(invite)).to_bytes().to_vec(),
    ]
}

fn secret(bytes: &[u8]) -> bool {
    let read = one_form!(
        bytes,
        DeviceSecret,
        AuthorSecret,
        PrincipalSecret,
        InboxSecret,
        EpochKey,
        ControlKey,
        InviteSecret,
        UserSecret,
        TimelineSecrets
    );
    let kinds = read.iter().filter(|is_read| **is_read).count();
    assert!(kinds <= 1, "bytes are one kind of secret, or none");
    kinds == 1
}

fuzz!(fuzz_user, 1_000, users(), user);

fn users() -> Vec<Vec<u8>> {
    let device = DeviceSecret::from_seed([1; 32]);
    let user = UserSecret::from_seed([8; 32]);
    let genesis = UserGenesis::create(&device, &user, [5; 16]);
    vec![
        genesis.encode(),
        UserCard::new(genesis).to_string().into_bytes(),
    ]
}

/// A record, a card with it, and a card as text.
fn user(bytes: &[u8]) -> bool {
    let mut is_taken = false;
    if let Ok(genesis) = UserGenesis::decode(bytes) {
        is_taken = true;
        assert_eq!(genesis.encode(), bytes, "one form");
        let card = UserCard::new(genesis);
        assert_eq!(card.to_string().parse::<UserCard>().unwrap(), card);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return is_taken;
    };
    if let Ok(card) = text.parse::<UserCard>() {
        is_taken = true;
        assert_eq!(card.to_string(), text, "one spelling");
        // Everybody who reads the card can seal an invite for it.
        let invite = InviteSecret::from_seed([7; 32]);
        invite
            .targeted_payload(TIMELINE, &card, &mut rng(1))
            .unwrap();
    }
    // With a right checksum, so that the record is looked at.
    let record = &bytes[..bytes.len().min(text::TEXT_PAYLOAD_BYTES_MAX)];
    // No text is of 17 bytes.
    if record.len() != 17 {
        let card = text::encode("card_", record).parse::<UserCard>();
        assert_eq!(card.is_ok(), UserGenesis::decode(record).is_ok());
    }
    is_taken
}

fuzz!(fuzz_invite, 500, invites(), invite);

fn invites() -> Vec<Vec<u8>> {
    let device = DeviceSecret::from_seed([1; 32]);
    let user = UserSecret::from_seed([8; 32]);
    let card = UserCard::new(UserGenesis::create(&device, &user, [5; 16]));
    let payload = InviteSecret::from_seed([7; 32]).targeted_payload(TIMELINE, &card, &mut rng(1));
    match payload.unwrap() {
        InvitePayload::Sealed(sealed) => vec![sealed],
        InvitePayload::Open(_) => panic!("a targeted invite is sealed"),
    }
}

fn invite(sealed: &[u8]) -> bool {
    let user = UserSecret::from_seed([8; 32]);
    let payload = InvitePayload::Sealed(sealed.to_vec());
    let unsealed = InviteSecret::from_payload(TIMELINE, &payload, None);
    assert_eq!(unsealed.unwrap_err(), InviteError::UserKeyNeeded);
    let unsealed = InviteSecret::from_payload(TIMELINE, &payload, Some(&user));
    let is_taken = unsealed.is_ok();
    match unsealed {
        Ok(secret) => {
            assert_eq!(sealed, invites()[0], "nobody else sealed one");
            assert_eq!(secret, InviteSecret::from_seed([7; 32]));
        }
        Err(InviteError::Length { bytes }) => assert_ne!(bytes, SEALED_INVITE_BYTES),
        Err(error) => assert!(matches!(error, InviteError::Sealed(_))),
    }
    is_taken
}

/// As cheap as Argon2id can be.
const CHEAP: PassphraseCost = PassphraseCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};
/// Where a sealed file says how much memory it asks for.
const MEMORY_KIB: std::ops::Range<usize> = 18..22;

fuzz!(fuzz_secret_file, 1_000, secret_files(), secret_file);

fn secret_files() -> Vec<Vec<u8>> {
    vec![
        encode_plain(b"secret").unwrap().to_vec(),
        encode_plain(b"").unwrap().to_vec(),
        seal_with_passphrase(b"secret", b"passphrase", CHEAP, &mut rng(1)).unwrap(),
    ]
}

fn secret_file(bytes: &[u8]) -> bool {
    let mut is_taken = false;
    match open(bytes, None) {
        Ok(secret) => {
            assert_eq!(encode_plain(&secret).unwrap().as_slice(), bytes);
            is_taken = true;
        }
        Err(SealedFileError::TooLong) => assert!(bytes.len() > FILE_BYTES_MAX),
        Err(error) => assert_ne!(error, SealedFileError::Passphrase),
    }
    // What a file asks for is either refused at once or as cheap as here: a gigabyte for
    // each input would test the machine.
    let mut cheap = bytes.to_vec();
    let memory_kib = bytes.get(MEMORY_KIB).map(|field| field.try_into().unwrap());
    let is_dear = memory_kib.is_some_and(|field| {
        (CHEAP.memory_kib + 1..=MEMORY_KIB_MAX).contains(&u32::from_be_bytes(field))
    });
    if is_dear {
        cheap[MEMORY_KIB].copy_from_slice(&CHEAP.memory_kib.to_be_bytes());
    }
    if let Ok(secret) = open(&cheap, Some(b"passphrase")) {
        assert!(secret.len() <= SECRET_BYTES_MAX);
        assert_eq!(cheap, secret_files()[2], "nobody else sealed one");
        is_taken = true;
    }
    assert!(open(&cheap, Some(b"another")).is_err());
    is_taken
}

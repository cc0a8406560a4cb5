//! From the genesis to a second member, judged by the admission that a relay runs.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_crdt::address::InvitePayload;
use khlong_crdt::admission::{Admission, AdmissionError, History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::device::DeviceSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::{InviteError, InviteSecret};
use khlong_document::keys::user::{UserCard, UserCardError, UserGenesis, UserSecret};
use khlong_document::membership::joining::{
    InviteRequest, NewInvite, admit_inbox, create_invite, join,
};
use khlong_document::membership::key_op::KeyOp;
use khlong_document::membership::manifest::ParentKey;
use khlong_document::membership::mint::MintRequest;
use khlong_document::membership::opening::{OpenedTimeline, open_timeline};
use khlong_document::membership::role::{Role, SealedOp, decode_sealed_ops};
use khlong_document::seal::{SealRequest, open_auth_op, open_key_op, seal_auth_op, seal_key_op};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const TODAY: UnixMillis = UnixMillis(1_795_478_400_000);

/// An opened timeline as its admin sees it.
struct Admin {
    opened: OpenedTimeline,
    epoch: (EpochId, EpochKey),
    admission: Admission,
    rng: ChaCha20Rng,
    head: EnvelopeId,
    seq: Seq,
}

impl Admin {
    fn open(kind: TimelineKind, history: History) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let opened = open_timeline(kind, history, &mut rng);
        let [genesis, intro, mint] = opened.envelopes.as_slice() else {
            panic!("three")
        };
        let mut admission = Admission::open(genesis).unwrap();
        admission.apply(intro, TODAY).unwrap();
        admission.admits(mint.header(), TODAY).unwrap();
        let op = open_key_op(mint).unwrap();
        let epoch = opened.secrets.unwrap(&op).unwrap().unwrap_or_else(|| {
            let key = EpochKey::from_seed(admission.public_key().unwrap());
            (op.epoch_id(), key)
        });
        let (head, seq) = (mint.id(), mint.prefix().seq);
        Self {
            opened,
            epoch,
            admission,
            rng,
            head,
            seq,
        }
    }

    fn request(&mut self, kind: Kind, epoch_id: EpochId) -> SealRequest {
        self.seq = self.seq.next();
        SealRequest {
            kind,
            timeline: self.opened.timeline,
            seq: self.seq,
            prev: self.head,
            epoch_id,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        }
    }

    /// The auth-op and the key-ops of an invite.
    fn invite(&mut self, target: Option<&UserCard>) -> (NewInvite, VerifiedEnvelope, Vec<KeyOp>) {
        let timeline = self.opened.timeline;
        let request = InviteRequest {
            timeline,
            rights: Rights::MEMBER,
            role: Role::Member,
            expiry: UnixMillis(TODAY.0 + 1_000),
            quota_class: 0,
            target,
        };
        let invite = create_invite(&request, &mut self.rng).unwrap();
        let (epoch_id, key) = self.epoch.clone();
        let request = self.request(Kind::AuthOp, epoch_id);
        let sealed = Some((&key.control(), invite.sealed_ops.as_slice()));
        let author = &self.opened.secrets.author;
        let auth_op = seal_auth_op(request, &invite.ops, sealed, author, [1; 32]).unwrap();
        self.head = auth_op.id();
        self.admission.apply(&auth_op, TODAY).unwrap();

        let parents = [(epoch_id, ParentKey::Epoch(key.clone()))];
        let epochs = MintRequest {
            timeline,
            history: self.admission.history(),
            parents: &parents,
            auth_heads: &[auth_op.id()],
            minter: self.opened.secrets.principal.public(),
            recipients: &[self.opened.secrets.inbox.public()],
            public_key: self.admission.public_key().is_some().then_some(&key),
        };
        let newcomer = invite.secret.inbox().public();
        let ops = admit_inbox(&epochs, newcomer, &mut self.rng).unwrap().ops;
        for op in &ops {
            let request = self.request(Kind::KeyOp, EpochId::ZERO);
            let envelope = seal_key_op(request, op, &self.opened.secrets.author).unwrap();
            self.head = envelope.id();
            self.admission.admits(envelope.header(), TODAY).unwrap();
            assert_eq!(open_key_op(&envelope).unwrap(), *op);
        }
        (invite, auth_op, ops)
    }
}

fn user(seed: u8) -> (UserSecret, UserCard) {
    let user = UserSecret::from_seed([seed; 32]);
    let device = DeviceSecret::from_seed([seed; 32]);
    let card = UserCard::new(UserGenesis::create(&device, &user, [seed; 16]));
    (user, card)
}

#[test]
fn a_timeline_opens_with_an_admin_who_can_read() {
    let mut seen = Vec::new();
    for kind in TimelineKind::ALL {
        let admin = Admin::open(kind, History::Full);
        assert_eq!(admin.admission.kind(), kind);
        assert_eq!(admin.admission.history(), History::Full);
        let secrets = &admin.opened.secrets;
        let principal = secrets.principal.public();
        assert_eq!(
            admin.admission.principal_of(&secrets.author.public()),
            Some(principal)
        );
        assert_eq!(
            admin.admission.inbox_of(&principal),
            Some(secrets.inbox.public())
        );
        let mint = open_key_op(admin.opened.envelopes.last().unwrap()).unwrap();
        let KeyOp::Mint { manifest, .. } = &mint else {
            panic!("a mint")
        };
        assert_eq!(manifest.check_key(&admin.epoch.1), Ok(()));
        let is_public = kind == TimelineKind::Public;
        assert_eq!(mint.wraps().is_empty(), is_public);
        assert_eq!(admin.admission.public_key().is_some(), is_public);
        let heads: Vec<_> = admin
            .opened
            .envelopes
            .iter()
            .take(2)
            .map(VerifiedEnvelope::id)
            .collect();
        assert!(heads.iter().all(|head| manifest.auth_heads.contains(head)));
        for envelope in &admin.opened.envelopes {
            seen.push(
                VerifiedEnvelope::verify(envelope.bytes().to_vec())
                    .unwrap()
                    .id(),
            );
        }
    }
    assert_eq!(seen.len(), 15);
}

#[test]
fn an_open_invite_leads_to_a_principal_of_ones_own() {
    for history in [History::Full, History::SinceJoin, History::Ephemeral] {
        let mut admin = Admin::open(TimelineKind::Group, history);
        let timeline = admin.opened.timeline;
        let (invite, auth_op, key_ops) = admin.invite(None);
        // A member, and no relay, sees the role.
        let control = admin.epoch.1.control();
        let sealed = open_auth_op(&auth_op, &control).unwrap().unwrap();
        let principal = invite.secret.principal().public();
        let role = SealedOp::Role {
            principal,
            role: Role::Member,
        };
        assert_eq!(decode_sealed_ops(&sealed).unwrap(), [role]);

        let secret = InviteSecret::from_payload(timeline, &invite.payload, None).unwrap();
        let joined = join(timeline, &secret, &mut admin.rng);
        let [hello] = joined.envelopes.as_slice() else {
            panic!("one")
        };
        admin.admission.apply(hello, TODAY).unwrap();
        let me = joined.secrets.principal.public();
        assert_ne!(me, principal);
        let author = joined.secrets.author.public();
        assert_eq!(
            admin.admission.judge(&author, Rights::APPEND, TODAY),
            Ok(me)
        );
        assert_eq!(
            admin.admission.inbox_of(&me),
            Some(joined.secrets.inbox.public())
        );

        let [key_op] = key_ops.as_slice() else {
            panic!("one key-op")
        };
        let (epoch, key) = joined.secrets.unwrap(key_op).unwrap().unwrap();
        assert_eq!(epoch == admin.epoch.0, history == History::Full);
        match key_op {
            KeyOp::Grant { .. } => assert_eq!(key, admin.epoch.1),
            KeyOp::Mint { manifest, .. } => {
                let parents = manifest.open_parents(&key).unwrap();
                let control = ParentKey::Control(admin.epoch.1.control());
                assert_eq!(parents, [(admin.epoch.0, control)]);
                assert!(admin.opened.secrets.unwrap(key_op).unwrap().is_some());
            }
        }
        // Once: whoever else has the link comes too late.
        let second = join(timeline, &secret, &mut admin.rng);
        let refused = admin
            .admission
            .apply(second.envelopes.first().unwrap(), TODAY);
        assert_eq!(refused, Err(AdmissionError::AlreadyHandedOver(principal)));
    }
}

#[test]
fn an_invite_expires_and_a_public_timeline_needs_no_wrap() {
    let mut admin = Admin::open(TimelineKind::Public, History::Full);
    let (invite, _, key_ops) = admin.invite(None);
    assert_eq!(key_ops, []);
    let joined = join(admin.opened.timeline, &invite.secret, &mut admin.rng);
    let late = UnixMillis(TODAY.0 + 1_001);
    let hello = joined.envelopes.first().unwrap();
    assert!(admin.admission.clone().apply(hello, late).is_err());
    admin.admission.apply(hello, TODAY).unwrap();
}

#[test]
fn a_targeted_invite_opens_for_its_person_only() {
    let mut admin = Admin::open(TimelineKind::Direct, History::Full);
    let timeline = admin.opened.timeline;
    let (mali, card) = user(1);
    let (somchai, _) = user(2);
    let (invite, ..) = admin.invite(Some(&card));
    let open = |timeline, payload: &InvitePayload, user| {
        InviteSecret::from_payload(timeline, payload, user)
    };
    assert_eq!(
        open(timeline, &invite.payload, Some(&mali)).unwrap(),
        invite.secret
    );
    assert_eq!(
        open(timeline, &invite.payload, None),
        Err(InviteError::UserKeyNeeded)
    );
    let refused = open(timeline, &invite.payload, Some(&somchai));
    assert!(matches!(refused, Err(InviteError::Sealed(_))));
    let elsewhere = open(
        TimelineId::from_bytes([9; 32]),
        &invite.payload,
        Some(&mali),
    );
    assert!(matches!(elsewhere, Err(InviteError::Sealed(_))));
    let InvitePayload::Sealed(sealed) = &invite.payload else {
        panic!("sealed")
    };
    assert_eq!(sealed.len(), 80);
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        *flipped.get_mut(at).unwrap() ^= 1;
        assert!(
            open(timeline, &InvitePayload::Sealed(flipped), Some(&mali)).is_err(),
            "{at}"
        );
        let cut = InvitePayload::Sealed(sealed.get(..at).unwrap().to_vec());
        assert_eq!(
            open(timeline, &cut, Some(&mali)),
            Err(InviteError::Length { bytes: at })
        );
    }
}

#[test]
fn a_card_survives_copying_and_nothing_else() {
    let (mali, card) = user(1);
    let text = card.to_string();
    let copied: UserCard = text.parse().unwrap();
    assert_eq!(copied, card);
    assert_eq!((copied.id(), copied.user_key()), (card.id(), mali.public()));
    assert!(matches!(
        text.replace("card_", "usr_").parse::<UserCard>(),
        Err(UserCardError::Text(_))
    ));
    for at in "card_".len()..text.len() {
        let mut letters: Vec<char> = text.chars().collect();
        let letter = letters.get_mut(at).unwrap();
        *letter = if *letter == 'a' { 'b' } else { 'a' };
        assert!(
            letters
                .into_iter()
                .collect::<String>()
                .parse::<UserCard>()
                .is_err(),
            "{at}"
        );
    }
    // A well-formed text around a record that someone changed.
    let record = card.genesis().encode();
    assert_eq!(record.len(), 145);
    for at in 0..record.len() {
        let mut flipped = record.clone();
        *flipped.get_mut(at).unwrap() ^= 1;
        assert!(UserGenesis::decode(&flipped).is_err(), "{at}");
        let text = khlong_crdt::text::encode("card_", &flipped);
        assert!(
            matches!(text.parse::<UserCard>(), Err(UserCardError::Record(_))),
            "{at}"
        );
    }
}

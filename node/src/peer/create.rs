//! Making a node on a store, and opening one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::admission::ClearOp;
use khlong_crdt::envelope::{Expiry, Kind};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::device::DeviceSecret;
use khlong_document::keys::user::{UserCard, UserGenesis, UserSecret};
use khlong_document::seal::{SealRequest, seal_auth_op};
use khlong_document::timeline::write::WriteError;
use khlong_store::batch::Overlay;
use khlong_store::engine::Durability;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::Peer;
use super::blocks::Blocks;
use super::book::{BOOK_ROW, Book};
use super::find::check_nickname;
use super::moves::Moves;
use super::receipt_pace::ReceiptPace;
use super::reoffers::Reoffers;
use super::snapshots::SnapshotPace;
use super::timelines::{load, load_outbox, secret_row};
use super::vault::{MasterKey, Vault};
use crate::error::NodeError;

const USER_ROW: &str = "user";
const DEVICE_ROW: &str = "device";

impl Peer {
    /// Makes a node on a store of its own: user and device, sealed by `master`.
    /// One durable commit; whatever an attempt that was cut off left is overwritten,
    /// so the caller must know that no node lives there.
    ///
    /// The store may be a folder or a `MemoryDisk`; `entropy` must never be used
    /// for another node, or both have the same keys.
    ///
    /// # Errors
    /// [`NodeError::Usage`] for a nickname that is empty or too long,
    /// [`NodeError::Store`] for what the store refused.
    pub fn create_on(
        store: &mut Store,
        master: &MasterKey,
        nickname: &str,
        entropy: [u8; 32],
    ) -> Result<(), NodeError> {
        check_nickname(nickname)?;
        let mut rng = ChaCha20Rng::from_seed(entropy);
        let (user, device) = (
            UserSecret::generate(&mut rng),
            DeviceSecret::generate(&mut rng),
        );
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let card = UserCard::new(UserGenesis::create(&device, &user, nonce));
        let vault = Vault::new(master);
        let mut batch = store.batch();
        for (name, secret) in [(USER_ROW, user.to_bytes()), (DEVICE_ROW, device.to_bytes())] {
            let mut nonce = [0; 24];
            rng.fill_bytes(&mut nonce);
            named::put(
                &mut batch,
                Named::Secret,
                name.as_bytes(),
                vault.seal(name, &secret, nonce),
            )
            .map_err(NodeError::Store)?;
        }
        let book = Book::new(nickname, card.to_string()).encode();
        named::put(&mut batch, Named::NodeState, BOOK_ROW.as_bytes(), book)
            .map_err(NodeError::Store)?;
        let writes = batch.into_writes();
        store
            .commit(writes, Durability::Synced)
            .map(|_| ())
            .map_err(NodeError::Store)
    }

    /// Opens the node on `store` and loads its timelines. It starts offline:
    /// call [`Peer::go_online`], then [`Peer::commit`].
    ///
    /// `entropy` seeds every key, nonce and back-off of this peer. Each opening
    /// needs its own; equal ones and equal inputs give equal outputs.
    ///
    /// # Errors
    /// [`NodeError::Settings`] where no node lives, [`NodeError::Secret`] with
    /// another node's master key, or what the store refused.
    pub fn open_on(
        store: Store,
        master: &MasterKey,
        entropy: [u8; 32],
        now: Now,
    ) -> Result<Self, NodeError> {
        let vault = Vault::new(master);
        let row = named::get(&store.batch(), Named::NodeState, BOOK_ROW.as_bytes())
            .map_err(NodeError::Store)?
            .ok_or_else(|| NodeError::Settings {
                name: BOOK_ROW.to_owned(),
            })?;
        let book = Book::decode(&row)?;
        let user = user_secret(&store, &vault)?;
        let (mut timelines, mut unkept) = (BTreeMap::new(), BTreeMap::new());
        let mut restored = 0;
        for key in book.timelines.keys() {
            let id: TimelineId = key.parse().map_err(|_| NodeError::Settings {
                name: BOOK_ROW.to_owned(),
            })?;
            let loaded = load(&store.batch(), &vault, id)?;
            timelines.insert(id, loaded.timeline);
            unkept.insert(id, loaded.unkept);
            restored += usize::from(loaded.is_restored);
        }
        let reoffers = Reoffers::load(&store)?;
        let outbox = load_outbox(&store, &reoffers)?;
        let blocks = Blocks::load(&store)?;
        let mut peer = Self {
            store,
            vault,
            rng: ChaCha20Rng::from_seed(entropy),
            user,
            book,
            blocks,
            owing: timelines.keys().copied().collect(),
            receipts: ReceiptPace::default(),
            moves: Moves::of_all(timelines.keys().copied()),
            timelines,
            unkept,
            without_snapshot: BTreeSet::new(),
            restored,
            outbox,
            reoffers,
            links: BTreeMap::new(),
            online: false,
            overlay: Overlay::default(),
            held: Vec::new(),
            events: VecDeque::new(),
            missed: 0,
            released: VecDeque::new(),
            failed: None,
            is_ahead: false,
            pace: SnapshotPace::PRODUCTION,
        };
        for address in peer.known_relays() {
            peer.link_to(now, address);
        }
        Ok(peer)
    }

    /// Begins a new author key in every timeline. A copy of the folder may have
    /// written on under the old keys, and two devices with one key would fork its
    /// chain. A timeline that is still being joined gets its new key as soon as it
    /// lets this member in, before anything is written there: both copies wrote
    /// the same first envelope, and nothing after it. Commits before it returns.
    ///
    /// # Errors
    /// What the folder refused; drop the peer and open it again.
    pub fn renew_authors(&mut self, now: Now) -> Result<(), NodeError> {
        for entry in self.book.timelines.values_mut() {
            entry.renew_author = true;
        }
        self.save_book()?;
        let ids: Vec<TimelineId> = self.timelines.keys().copied().collect();
        for id in ids {
            self.renew_author_in(now, id)?;
        }
        self.commit(now)
    }

    /// Begins a new author key where one is due and can be introduced; in one
    /// batch with its introduction, so that neither is there without the other.
    pub(super) fn renew_author_in(&mut self, now: Now, id: TimelineId) -> Result<(), NodeError> {
        let (Some(timeline), Some(entry)) = (
            self.timelines.get(&id),
            self.book.timelines.get_mut(&id.to_string()),
        ) else {
            return Ok(());
        };
        if !entry.renew_author || !timeline.can_acknowledge() {
            return Ok(());
        }
        entry.renew_author = false;
        let mut secrets = timeline.secrets().clone();
        self.save_book()?;
        secrets.author = AuthorSecret::generate(&mut self.rng);
        let author = secrets.author.public();
        let introduction = ClearOp::Author {
            principal: secrets.principal.public(),
            author,
            signature: secrets.principal.certify_author(id, author),
        };
        let request = SealRequest {
            kind: Kind::AuthOp,
            timeline: id,
            seq: Seq::FIRST,
            prev: EnvelopeId::ZERO,
            epoch_id: EpochId::ZERO,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        };
        let random = self.random();
        let envelope = seal_auth_op(request, &[introduction], None, &secrets.author, random)
            .map_err(|error| NodeError::Write(WriteError::Seal(error)))?;
        let name = secret_row(id);
        let nonce = self.random();
        let row = self.vault.seal(&name, &secrets.to_bytes(), nonce);
        self.with_batch(|batch| named::put(batch, Named::Secret, name.as_bytes(), row))?;
        self.queue(now, &envelope)?;
        let batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let renewed = load(&batch, &self.vault, id);
        self.overlay = batch.into_overlay();
        let renewed = renewed?;
        self.timelines.insert(id, renewed.timeline);
        self.unkept.insert(id, renewed.unkept);
        self.owing.insert(id);
        for link in self.links.values_mut() {
            if let Some(live) = link.live() {
                live.proven.remove(&id);
            }
        }
        Ok(())
    }

    /// Copies the store, as it was committed last, into the new folder `target`.
    ///
    /// # Errors
    /// What the folder refused.
    pub fn checkpoint(&self, target: &Path) -> Result<(), NodeError> {
        self.store.checkpoint(target).map_err(NodeError::Store)
    }

    /// Of the book, and of every timeline that is followed.
    fn known_relays(&self) -> Vec<RelayAddress> {
        let followed = self.book.timelines.values().filter(|entry| entry.followed);
        self.book
            .relay_addresses()
            .chain(
                followed
                    .flat_map(|entry| &entry.relays)
                    .filter_map(|address| address.parse().ok()),
            )
            .collect()
    }
}

fn user_secret(store: &Store, vault: &Vault) -> Result<UserSecret, NodeError> {
    let missing = || NodeError::Secret {
        name: USER_ROW.to_owned(),
    };
    let row = named::get(&store.batch(), Named::Secret, USER_ROW.as_bytes())
        .map_err(NodeError::Store)?
        .ok_or_else(missing)?;
    UserSecret::from_bytes(&vault.open(USER_ROW, &row)?).map_err(|_| missing())
}

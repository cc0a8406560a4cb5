//! A group with an owner, and the check that a refusal changes nothing.

use khlong_crdt::{
    admission::{Admission, AdmissionError, Refusal, Rights},
    envelope::VerifiedEnvelope,
    time::UnixMillis,
};

use super::{Chain, genesis, grant};

pub(crate) const NOW: UnixMillis = UnixMillis(1_000);
pub(crate) const LATER: UnixMillis = UnixMillis(2_000);

/// A group whose owner has introduced itself.
pub(crate) fn opened() -> (Admission, Chain) {
    let mut admission = Admission::open(&genesis()).unwrap();
    let (owner, introduction) = Chain::introduced("owner", "phone");
    admission.apply(&introduction, NOW).unwrap();
    (admission, owner)
}

/// [`opened`], and a member that owner granted `rights`.
pub(crate) fn with_member(name: &str, rights: Rights) -> (Admission, Chain, Chain) {
    let (mut admission, mut owner) = opened();
    admission
        .apply(&owner.auth(&[grant(name, rights)]), NOW)
        .unwrap();
    let (member, introduction) = Chain::introduced(name, "phone");
    admission.apply(&introduction, NOW).unwrap();
    (admission, owner, member)
}

/// The state is as before, whatever was refused.
pub(crate) fn refused(
    admission: &mut Admission,
    envelope: &VerifiedEnvelope,
    at: UnixMillis,
) -> AdmissionError {
    let before = admission.clone();
    let error = admission.apply(envelope, at).unwrap_err();
    assert_eq!(*admission, before, "all or nothing");
    error
}

pub(crate) fn not(refusal: Refusal) -> AdmissionError {
    AdmissionError::Refused(refusal)
}

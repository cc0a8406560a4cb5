//! Every bound of the protocol, with its arithmetic. `PROTOCOL.md` lists the same numbers.

use khlong_crdt::limits::ENVELOPE_BYTES_MAX;

/// The oldest protocol version that is spoken.
pub const PROTOCOL_VERSION_MIN: u16 = 1;
/// The newest protocol version that is spoken.
pub const PROTOCOL_VERSION_MAX: u16 = 2;
/// From this version on, what the connection implies is left out of frames.
pub const PROTOCOL_VERSION_SHADOWS: u16 = 2;

/// Headers that one lane remembers in one direction; each side has the same.
pub const SHADOW_SLOTS: usize = 32;
/// The same of what a client sends, before a relay has answered its first proof: whoever can
/// reach a port costs it no more.
pub const SHADOW_SLOTS_UNPROVEN: usize = 1;

/// Bytes before a frame on a stream: its length, big-endian.
pub const FRAME_LENGTH_BYTES: usize = 4;
/// Bytes of one frame without its length.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Keys (of any field) in the body of a frame, counted before anything is decoded.
pub const FRAME_FIELDS_MAX: usize = 4_200;
/// Keys in a frame around its body.
pub const FRAME_OUTER_FIELDS_MAX: usize = 8;
/// Bytes of a trace context.
pub const TRACE_CONTEXT_BYTES_MAX: usize = 64;

/// Bytes of the name and version by which a peer calls itself.
pub const AGENT_BYTES_MAX: usize = 64;
/// Bytes of the token that lets a client open timelines.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Bytes of the sentence in an error.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 256;
/// Bytes of one ephemeral payload; with its head it fits a datagram of 1,200 bytes.
pub const EPHEMERAL_BYTES_MAX: usize = 1_024;

/// Envelopes in one append.
pub const APPEND_ENVELOPES_MAX: usize = 256;
/// Bytes of all envelopes in one append.
pub const APPEND_BYTES_MAX: usize = 3 * 512 * 1024;
/// Appends of one connection that wait for their ack.
pub const APPENDS_IN_FLIGHT_MAX: usize = 8;
/// Envelopes that one ack answers for: all appends that may wait for it.
pub const ACK_OUTCOMES_MAX: usize = APPENDS_IN_FLIGHT_MAX * APPEND_ENVELOPES_MAX;
/// Bytes of one outcome in an ack: key and length, then number, arrival, code and retry time.
const ACK_OUTCOME_BYTES_MAX: usize = 2 + 2 + 11 + 6 + 6;
/// Bytes of one answer in an ack without its outcomes: key and length, then the request.
const ACK_ANSWER_BYTES_MAX: usize = 4 + 11;

/// Appends that a client keeps until their timelines are proven or a place in flight is free.
pub const APPENDS_PARKED_MAX: usize = 32;

/// Entries in one push.
pub const PUSH_ENTRIES_MAX: usize = 256;
/// Bytes of all envelopes in one push; the envelope that passes it still goes.
pub const PUSH_BYTES_MAX: usize = 256 * 1024;
/// Entries pushed in one class and not yet pulled; the push that passes it still goes.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 1_024;
/// Bytes pushed in one class and not yet pulled; the push that passes it still goes.
pub const BYTES_IN_FLIGHT_MAX: usize = 2 * 1024 * 1024;

/// Timelines in one subscribe.
pub const TIMELINES_PER_SUBSCRIPTION_MAX: usize = 4_096;
/// Timelines to which one connection may be subscribed.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 4_096;
/// Author keys that one connection may prove.
pub const PROOFS_PER_CONNECTION_MAX: usize = 8_192;
/// Author keys of one timeline that one connection may prove: as many as one principal
/// may have, since one connection is one device of one person. Each is judged at every push.
pub const PROOFS_PER_TIMELINE_MAX: usize = khlong_crdt::limits::AUTHORS_PER_PRINCIPAL_MAX;
/// Bytes that a subscribed timeline takes in a subscribe: id, four positions, keys and lengths.
pub const SUBSCRIBED_TIMELINE_BYTES_MAX: usize = 34 + 4 * 11 + 3;

/// From the connection to the end of the handshake.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// Default 30 s: under the shortest UDP binding time that carriers are known to keep with traffic both ways.
pub const KEEP_ALIVE_MS_DEFAULT: u32 = 30_000;
/// No peer may ask for more frequent pings.
pub const KEEP_ALIVE_MS_MIN: u32 = 1_000;
/// Nor for rarer ones.
pub const KEEP_ALIVE_MS_MAX: u32 = 600_000;
/// Silence that an owner who asks whether the peer is there bears: some round trips of a
/// slow mobile network, a ping that was lost twice among them.
pub const PROBE_SILENCE_MAX_MS: u64 = 10_000;
/// A silent connection is closed after so many keep-alive intervals.
pub const IDLE_INTERVALS: u64 = 3;
/// What a frame may take however slowly its bytes come.
pub const PARTIAL_FRAME_TIMEOUT_MS: u64 = 30_000;
/// Slower than this for longer than [`PARTIAL_FRAME_TIMEOUT_MS`] is an attack or a dead link.
pub const PARTIAL_FRAME_BYTES_PER_SECOND_MIN: u64 = 1_024;

/// Control frames (prove, subscribe, unsubscribe, ping, idle pulls) at once. A subscribe
/// costs one more for each timeline that it names.
pub const CONTROL_FRAMES_BURST: u32 = 16_384;
/// Control frames a second in the long run.
pub const CONTROL_FRAMES_PER_SECOND: u32 = 256;
/// A subscribe costs one control frame more for so many timelines that are subscribed already.
pub const SUBSCRIPTIONS_PER_TOKEN: usize = 64;
/// Ephemeral frames at once.
pub const EPHEMERAL_FRAMES_BURST: u32 = 32;
/// Ephemeral frames a second in the long run.
pub const EPHEMERAL_FRAMES_PER_SECOND: u32 = 16;

/// Unspecified retry times become this.
pub const RETRY_AFTER_MS_DEFAULT: u32 = 1_000;

const _: () = assert!(PROTOCOL_VERSION_MIN < PROTOCOL_VERSION_SHADOWS);
const _: () = assert!(PROTOCOL_VERSION_SHADOWS <= PROTOCOL_VERSION_MAX);
const _: () = assert!(0 < SHADOW_SLOTS_UNPROVEN && SHADOW_SLOTS_UNPROVEN <= SHADOW_SLOTS);
// What a frame carries fits it, with room for the keys and lengths around it.
const _: () = assert!(APPEND_BYTES_MAX + APPEND_ENVELOPES_MAX * 8 + 64 <= FRAME_BYTES_MAX);
const _: () = assert!(ENVELOPE_BYTES_MAX <= APPEND_BYTES_MAX);
const _: () = assert!(ENVELOPE_BYTES_MAX + 256 <= FRAME_BYTES_MAX);
const _: () =
    assert!(PUSH_BYTES_MAX + ENVELOPE_BYTES_MAX + PUSH_ENTRIES_MAX * 40 + 256 <= FRAME_BYTES_MAX);
const _: () = assert!(
    TIMELINES_PER_SUBSCRIPTION_MAX * SUBSCRIBED_TIMELINE_BYTES_MAX + 1_024 <= FRAME_BYTES_MAX
);
const _: () = assert!(TIMELINES_PER_SUBSCRIPTION_MAX + 16 <= FRAME_FIELDS_MAX);
const _: () = assert!(APPEND_ENVELOPES_MAX + 16 <= FRAME_FIELDS_MAX);
const _: () = assert!(PUSH_ENTRIES_MAX + 16 <= FRAME_FIELDS_MAX);
// One ack can answer everything that is in flight; its keys are counted two levels deep.
const _: () = assert!(
    ACK_OUTCOMES_MAX * ACK_OUTCOME_BYTES_MAX + APPENDS_IN_FLIGHT_MAX * ACK_ANSWER_BYTES_MAX + 256
        <= FRAME_BYTES_MAX
);
const _: () = assert!(ACK_OUTCOMES_MAX + 2 * APPENDS_IN_FLIGHT_MAX + 16 <= FRAME_FIELDS_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= u32::MAX as usize);
// A subscribe can name all that may be subscribed, and its answer all that was refused.
const _: () = assert!(TIMELINES_PER_SUBSCRIPTION_MAX == SUBSCRIPTIONS_PER_CONNECTION_MAX);
const _: () = assert!(SUBSCRIPTIONS_PER_CONNECTION_MAX <= PROOFS_PER_CONNECTION_MAX);
// An honest client that comes back with all it may have is not over the rate.
const _: () = assert!(
    PROOFS_PER_CONNECTION_MAX + SUBSCRIPTIONS_PER_CONNECTION_MAX <= CONTROL_FRAMES_BURST as usize
);
// A window holds at least one full push.
const _: () = assert!(PUSH_ENTRIES_MAX <= ENTRIES_IN_FLIGHT_MAX);
const _: () = assert!(PUSH_BYTES_MAX <= BYTES_IN_FLIGHT_MAX);
const _: () = assert!(ENVELOPE_BYTES_MAX <= BYTES_IN_FLIGHT_MAX);
const _: () = assert!(KEEP_ALIVE_MS_MIN < KEEP_ALIVE_MS_DEFAULT);
const _: () = assert!(KEEP_ALIVE_MS_DEFAULT < KEEP_ALIVE_MS_MAX);
const _: () = assert!(EPHEMERAL_BYTES_MAX + 48 <= 1_200);

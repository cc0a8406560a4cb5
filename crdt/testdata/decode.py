#!/usr/bin/env python3
"""Reads the frozen vectors with nothing but the specs and the standard library.

Written from crdt/ENVELOPE.md, crdt/document/DOCUMENT.md and sync/PROTOCOL.md. Verifies every
vector and the captured sessions; exits 1 at the first mismatch. With --self-check each vector
is then changed by one bit and must fail, so that the check is known to be able to fail.
"""
import base64, hashlib, json, pathlib, re, struct, sys
from collections import Counter, defaultdict

sys.dont_write_bytecode = True
import compact, model

HERE, M32 = pathlib.Path(__file__).parent, 0xFFFFFFFF
class Mismatch(Exception): """What did not fit."""
def need(ok, what):
    if not ok:
        raise Mismatch(what)
# --- BLAKE3 (the paper of 2020), as derive_key ----------------------------------------------
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERM = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
LANES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
rotated = lambda word, n: (word << n | word >> 32 - n) & M32
def quarter(v, lane, rotations, x=0, y=0):
    a, b, c, d = lane
    for add, rot_d, rot_b in ((x, *rotations[:2]), (y, *rotations[2:])):
        v[a] = v[a] + v[b] + add & M32
        v[d] = rotated(v[d] ^ v[a], rot_d)
        v[c] = v[c] + v[d] & M32
        v[b] = rotated(v[b] ^ v[c], rot_b)
def compress(cv, block, counter, size, flags):
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = list(cv) + IV[:4] + [counter & M32, counter >> 32, size, flags]
    for _ in range(7):
        for i, lane in enumerate(LANES):
            quarter(v, lane, (16, 20, 24, 25), m[2 * i], m[2 * i + 1])
        m = [m[i] for i in PERM]
    return [v[i] ^ v[i + 8] for i in range(8)]
def node(key, flags, data, counter):  # the arguments of a subtree's last compression
    if len(data) <= 1024:
        blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
        cv = key
        for i, block in enumerate(blocks[:-1]):
            cv = compress(cv, block, counter, 64, flags | (START if i == 0 else 0))
        return cv, blocks[-1], counter, len(blocks[-1]), flags | END | (START if len(blocks) == 1 else 0)
    left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
    parts = (data[:left], counter), (data[left:], counter + left // 1024)
    cvs = [w for part, at in parts for w in compress(*node(key, flags, part, at))]
    return key, struct.pack("<16I", *cvs), 0, 64, flags | PARENT
def blake3(data, key, flags):
    cv, block, _, size, flags = node(key, flags, data, 0)
    return struct.pack("<8I", *compress(cv, block, 0, size, flags | ROOT))
def derive(name, *parts):
    key = struct.unpack("<8I", blake3(b"khlong.network 2026-11 %s v1" % name.encode(), IV, CONTEXT))
    return blake3(b"".join(parts), list(key), MATERIAL)
# --- Ed25519, strict (RFC 8032 §5.1.7; no small-order points, canonical everything) ----------
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def mul(n, p):
    q = (0, 1, 1, 0)
    for bit in bin(n)[2:]:
        q = add(add(q, q), p) if bit == "1" else add(q, q)
    return q
def point(raw, what):
    sign, y = raw[31] >> 7, int.from_bytes(raw, "little") & (2**255 - 1)
    need(y < P, what + ": not canonical")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    need(x * x % P == square and not (x == 0 and sign), what + ": not on the curve")
    x = x if x & 1 == sign else P - x
    need(mul(8, (x, y, 1, x * y % P))[0] % P != 0, what + ": small order")
    return x, y, 1, x * y % P
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"), "base")
def verify(key, message, signature, what):
    a, r, s = point(key, what + ": key"), point(signature[:32], what + ": R"), int.from_bytes(signature[32:], "little")
    need(s < L, what + ": S not canonical")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = mul(s, BASE), add(r, mul(k, a))
    need(all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1)), what + ": signature")
# --- XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) ----------------------------------
def rounds(state):
    v = list(state)
    for lane in LANES * 10:
        quarter(v, lane, (16, 12, 8, 7))
    return v
def chacha(key, counter, nonce):
    state = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *(a + b & M32 for a, b in zip(state, rounds(state))))
def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")
def aead_open(key, nonce, aad, sealed):
    words = rounds(struct.unpack("<16I", b"expand 32-byte k" + key + nonce[:16]))
    key, nonce = struct.pack("<8I", *(words[:4] + words[12:])), b"\0" * 4 + nonce[16:]
    text, tag = sealed[:-16], sealed[-16:]
    mac = b"".join(part + b"\0" * (-len(part) % 16) for part in (aad, text)) + struct.pack("<QQ", len(aad), len(text))
    need(poly1305(chacha(key, 0, nonce)[:32], mac) == tag, "AEAD tag")
    stream = b"".join(chacha(key, 1 + i, nonce) for i in range(-(-len(text) // 64)))
    return bytes(a ^ b for a, b in zip(text, stream))
# --- ENVELOPE.md -----------------------------------------------------------------------------
class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0
    def take(self, count):
        need(self.at + count <= len(self.data), "cut short")
        self.at += count
        return self.data[self.at - count : self.at]
    def u(self, size):
        return int.from_bytes(self.take(size), "big")
    def end(self, what):
        need(self.at == len(self.data), "bytes left in " + what)
def text(prefix, payload):
    size = 4 if len(payload) == 16 else 3
    whole = payload + derive("text checksum", prefix.encode(), payload)[:size]
    return prefix + base64.b32encode(whole).decode().lower().rstrip("=")
def untext(prefix, form):
    body = form.removeprefix(prefix).upper()
    whole = base64.b32decode(body + "=" * (-len(body) % 8))
    payload = whole[: -4 if len(whole) == 20 else -3]
    need(text(prefix, payload) == form, "text form " + form[:12])
    return payload
KINDS = [None, "Change", "Fragment", "Receipt", "AuthOp", "KeyOp", "Notice"]
def clear_op(r, timeline, author):
    tag, r = r.u(1), Reader(r.take(r.u(2)))
    prn = lambda: text("prn_", r.take(32))
    if tag == 1:
        op = {"op": "genesis", "kind": r.u(1), "history": r.u(1), "admin": prn(), "public_key": r.take(32).hex() if r.u(1) else None, "nonce": r.take(16).hex()}
    elif tag == 2:
        op = {"op": "grant", "principal": prn(), "rights": r.u(1), "expiry": r.u(8), "quota_class": r.u(1), "one_use": r.u(1) == 1}
    elif tag == 3:
        op = {"op": "revoke", "principal": prn()}
        op["cuts"] = [{"author": text("aut_", r.take(32)), "seq": r.u(8), "id": text("env_", r.take(32))} for _ in range(r.u(1))]
    else:
        name, first, second, prefix = {4: ("author", "principal", "author", "aut_"), 5: ("inbox", "principal", "inbox", "inb_"), 6: ("handover", "from", "to", "prn_")}[tag]
        a, b, statement = r.take(32), r.take(32), b"khlong %s v1\0" % name.encode() + timeline
        for signer in (a, b) if tag == 6 else (a,):
            verify(signer, statement + a + b, r.take(64), name)
        need(tag != 4 or b == author, "certificate of another author")
        op = {"op": name, first: text("prn_", a), second: text(prefix, b)}
    r.end("an op")
    return op
def envelope(data):
    r = Reader(data)
    need(r.u(1) == 0x11, "version")
    kind, timeline, author, seq, prev, epoch, expiry = r.u(1), r.take(32), r.take(32), r.u(8), r.take(32), r.take(32), r.u(1)
    refs = [text("med_", r.take(32)) for _ in range(r.u(1))]
    prefix, nonce, body_len, body_hash = data[: r.at], r.take(24), r.u(4), r.take(32)
    header, signature = data[: r.at], r.take(64)
    need(1 <= kind <= 6 and expiry <= 5 and len(refs) <= 8, "kind, expiry or refs")
    need(seq > 0 and (seq == 1) == (prev == b"\0" * 32), "chain")
    need(kind > 3 or epoch != b"\0" * 32, "epoch")
    need(0 < body_len <= (1 << 20 if kind == 2 else 1 << 18) and len(data) - r.at in (0, body_len), "length")
    body = data[r.at :]
    need(not body or derive("envelope body", body) == body_hash, "body hash")
    verify(author, b"khlong envelope v1\0" + header, signature, "envelope")
    ops = None
    if kind == 4 and body:
        b = Reader(body)
        clear = Reader(b.take(b.u(4)))
        need(clear.u(1) == 1, "version of ops")
        ops = [clear_op(clear, timeline, author) for _ in range(clear.u(1))]
        clear.end("the clear part")
    fields = {"kind": KINDS[kind], "timeline": text("tl_", timeline), "author": text("aut_", author), "seq": seq, "prev": prev.hex(), "epoch": epoch.hex(), "expiry": expiry, "refs": refs, "nonce": nonce.hex()}
    fields.update(body_len=body_len, body_hash=body_hash.hex(), id=text("env_", derive("envelope id", header)), pruned=not body, ops=ops, bytes=data.hex())
    return fields, prefix, timeline + author, nonce, body
def merkle(ids):
    level = [derive("receipt leaf", i) for i in ids]
    while len(level) > 1:
        level = [derive("receipt node", *level[i : i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]
def check_envelopes(v):
    fields = envelope(bytes.fromhex(v["bytes"]))[0]
    need({**fields, "name": v["name"]} == v, v["name"])
def refused(check, v):
    try:
        check(v)
    except (Mismatch, ValueError, LookupError, TypeError):
        return True
def check_hostile(v):
    need(refused(lambda v: envelope(bytes.fromhex(v["bytes"])), v), "accepted: " + v["name"])
def check_texts(v):
    need(untext(v["prefix"], v["text"]).hex() == v["bytes"], v["text"])
def check_links(v):
    link = r"khlong://(.{56})@\[?(.+?)\]?:(\d+)(?:/join/(\w+)(?:\?also=(.*))?#(\w+)(\..*))?"
    key, host, port, timeline, also, kind, secret = re.fullmatch(link, v["text"]).groups()
    key = untext("rly_", "rly_" + key).hex()
    if not timeline:
        return need((key, host, int(port)) == (v["key"], v["host"], v["port"]), v["text"])
    need(also is None or ["khlong://" + a for a in also.split("&also=")] == v["relays"][1:], "relays of a link")
    need(v["text"].startswith(v["relays"][0]) and untext("tl_", timeline).hex() == v["timeline"], "link")
    need({kind: untext(kind + ".", kind + secret).hex()} == v["secret"], "secret of a link")
def check_arrivals(v, before={0: bytes(32)}):
    running = derive("arrival chain", before[v["arrival"] - 1], struct.pack(">BQ", v["class"], v["arrival"]), bytes.fromhex(v["id"]))
    cursor = bytes.fromhex(v["log"]) + struct.pack(">IQ", v["log_epoch"], v["arrival"]) + running[:8]
    need((running.hex(), cursor.hex()) == (v["running"], v["cursor"]), "running hash")
    before[v["arrival"]] = running
def receipt(data, count, root):
    need(len(data) == 160 and (count, root) == (int.from_bytes(data[60:64], "big"), data[64:96]), "receipt")
    verify(data[:32], b"khlong stored v1\0" + data[:96], data[96:], "receipt")
def check_receipts(v):
    data, ids = bytes.fromhex(v["bytes"]), [bytes.fromhex(i) for i in v["ids"]]
    receipt(data, len(ids), merkle(ids))
    need((text("rly_", data[:32]), data[64:96].hex()) == (v["relay"], v["root"]), "fields of a receipt")
def check_proofs(v):
    r, node = Reader(bytes.fromhex(v["bytes"])), derive("receipt leaf", bytes.fromhex(v["id"]))
    signed, at, width = r.take(160), r.u(4), v["count"]
    need(at == v["index"] < width, "place of a proof")
    while width > 1:
        if at % 2 or at + 1 < width:
            node = derive("receipt node", *((r.take(32), node) if at % 2 else (node, r.take(32))))
        at, width = at // 2, (width + 1) // 2
    r.end("a proof")
    receipt(signed, v["count"], node)
# --- DOCUMENT.md §8: what codec 1 stands for --------------------------------------------------
def changes_check(changes):
    return derive("changes check", *(hashlib.sha256(change[8:]).digest() for change in changes))[:8]
def check_compact(v, author, epoch):
    clock, changes, check = compact.rebuilt(Reader(bytes.fromhex(v["plaintext"])), author, epoch)
    need((clock, [change.hex() for change in changes]) == (v["clock"], v["changes"]), "rebuilt changes")
    need(changes_check(changes) == check, "check of a compact plaintext")
def check_compact_refused(v):  # each for its reason: by the rules, or by its check alone
    def rebuild(v):
        return compact.rebuilt(Reader(bytes.fromhex(v["plaintext"])), bytes.fromhex(v["author"]), bytes.fromhex(v["epoch"]))
    if v["why"] != "check":
        return need(refused(rebuild, v), "read: " + v["name"])
    _, changes, check = rebuild(v)
    need(changes_check(changes) != check, "checks: " + v["name"])
# --- DOCUMENT.md §2: sealed bodies (zstd ones to the packed bytes, all others in full) -------
def padme(length):
    e = length.bit_length() - 1
    bits = e - e.bit_length()
    return -(-length >> bits << bits) if bits > 0 else length
def check_sealed(v):
    fields, prefix, who, nonce, body = envelope(bytes.fromhex(v["bytes"]))
    if v["kind"] > 4:  # HPKE is left to the Rust tests
        return need(fields["id"] == v["id"], "id")
    key, name = bytes.fromhex(v["epoch_key"]), "body key"
    if fields["kind"] == "AuthOp":
        cut = 4 + int.from_bytes(body[:4], "big")
        key, name, prefix, body = derive("control key", key), "control body key", prefix + body[:cut], body[cut:]
    r = Reader(aead_open(derive(name, key, who), nonce, prefix, body))
    packing, head = r.u(1), b""
    if packing in (2, 3):
        head, size, packed = compact.varint(r), compact.varint(r), compact.varint(r)
        head, packed = r.take(head), r.take(packed)
        if packed[0] & 7 == 1:  # one block, stored as it is
            need(int.from_bytes(packed[:3], "little") >> 3 == len(packed) - 3, "length of a block")
            packing, packed = 0, packed[3:]
    elif packing in (4, 5):
        head, size = compact.varint(r), compact.varint(r)
        head, code = r.take(head), r.data[r.at :].rstrip(b"\0")
        r.take(len(code))
        packed = model.unpack({4: "thai-2026.model", 5: "english-2026.model"}[packing], code, size) + b"\xfc"
        packing, size = 0, size + 1
    else:
        size, packed = r.u(4), r.take(r.u(4))
    need(not any(r.data[r.at :]) and len(r.data) == padme(r.at), "padding")
    told = bytes.fromhex(v["plaintext"])
    need(len(head) + size == len(told) and told.startswith(head) and (packing > 0 or head + packed == told), "plaintext")
    if "changes" in v:
        check_compact(v, who[32:], bytes.fromhex(fields["epoch"]))
# --- PROTOCOL.md: captured sessions -----------------------------------------------------------
FRAMES = "_ hello prove proved subscribe subscribed unsubscribe subscription_ended totals push pull caught_up backfill_done behind append ack ephemeral error ping pong goodbye".split()
# What session.json says of a frame: name=field, through messages with dots, # counts a list, ? may be absent.
TOLD = {1: "version_min=1 version_max=2 keep_alive_ms=4", 2: "timeline=1 author=2", 4: "request=1 timelines=#3", 5: "request=1 class=2.1 seq=2.4 refused=#4"}
TOLD |= {9: "backfill=1? class=2.1 seq=2.4", 11: "class=1.1 seq=1.4", 14: "request=1", 15: "request=1 outcomes=#2 root=3.6?", None: "request=1 outcomes=#2", 16: "payload=2"}
def protobuf(data):
    r, fields = Reader(data), defaultdict(list)
    varint = lambda: (lambda b: b & 127 | (varint() << 7 if b & 128 else 0))(r.u(1))
    while r.at < len(data):
        tag = varint()
        need(tag & 7 in (0, 2), "wire type")
        fields[tag >> 3].append(r.take(varint()) if tag & 7 == 2 else varint())
    return fields
def value(fields, path, absent=0):
    head, _, rest = path.strip("#?").partition(".")
    found = fields[int(head)] or [b"" if rest else absent]
    return value(protobuf(found[0]), rest, absent) if rest else len(fields[int(head)]) if path[0] == "#" else found[0]
def told(number, fields):
    items = (item.split("=") for item in TOLD.get(number, "").split())
    values = ((name, value(fields, path, None if "?" in path else 0)) for name, path in items)
    return {name: v.hex() if isinstance(v, bytes) else v for name, v in values}
# Version 2: slots by direction and lane; a slot is the header that it keeps, its id beside it.
def unpack(slots, packed):
    r, form, keep = Reader(packed), packed[0] & 0xE0, packed[0] & 31
    if r.u(1) < 32:
        whole = packed[1:]
    else:
        need(form == 0x20 and keep < len(slots), "form of a packed envelope")
        (like, like_id), flags = slots[keep], r.u(1)
        keep = r.u(1) if flags & 1 else keep
        author = r.take(32) if flags & 2 else like[34:66]
        if flags & 4:
            seq = r.take(8)
            prev = bytes(32) if seq == struct.pack(">Q", 1) else r.take(32)
        else:
            seq, prev = struct.pack(">Q", int.from_bytes(like[66:74], "big") + 1), like_id
        epoch = r.take(32) if flags & 8 else like[106:138]
        kind, expiry = (r.take(1), r.take(1)) if flags & 16 else (like[1:2], like[138:139])
        refs = r.take(1) if flags & 32 else b"\0"
        refs += r.take(32 * refs[0])
        nonce = bytes(24) if flags & 64 else r.take(24)
        signature, body = r.take(64), r.data[r.at :]
        need(flags < 128 and body, "flags or body of a shadow")
        tail = nonce + struct.pack(">I", len(body)) + derive("envelope body", body)
        whole = like[:1] + kind + like[2:34] + author + seq + prev + epoch + expiry + refs + tail + signature + body
    need(keep <= len(slots) and keep < 32, "slot of a packed envelope")
    slots[keep : keep + 1] = [(whole, untext("env_", envelope(whole)[0]["id"]))]
    return whole
def check_session(v):
    r, frames, appended, slots, hello = Reader(bytes.fromhex(v["bytes"])), [], {}, defaultdict(list), None
    while r.at < len(r.data):
        frames.append(frame := {"direction": r.u(1), "lane": r.u(1), "bytes": r.u(4)})
        [(number, [body])] = protobuf(r.take(frame["bytes"])).items()
        f = protobuf(body)
        further = {"further": [told(None, protobuf(a)) for a in f[4]]} if number == 15 and f[4] else {}
        frame |= {"frame": FRAMES[number], "fields": told(number, f) | further}
        if number in (9, 14):  # push, append
            packed = f[3] if number == 14 else [value(protobuf(x), "3") for x in f[4]]
            sent = f[2] if number == 14 else [value(protobuf(x), "3") for x in f[3]]
            sent += [unpack(slots[frame["direction"], frame["lane"]], x) for x in packed]
            ids = [untext("env_", envelope(x)[0]["id"]) for x in sent]
            frame["fields"]["envelope_ids"] = [i.hex() for i in ids]
            appended[frame["direction"], number, value(f, "1")] = ids
        if number == 1 and frame["direction"] == 1:
            hello = value(f, "5"), value(f, "6")
        if number == 15 and f[3] + f[5]:  # an ack with a receipt
            pairs = [pair for a in [f, *map(protobuf, f[4])] for pair in zip(appended[1 - frame["direction"], 14, value(a, "1")], a[2])]
            kept = [i for i, outcome in pairs if value(protobuf(outcome), "1") < 3]
            if f[3]:
                relay, log, epoch, at, count, root, signature = (value(protobuf(f[3][0]), str(n)) for n in range(1, 8))
            else:
                at, signature = (value(protobuf(f[5][0]), str(n)) for n in (1, 2))
                relay, (log, epoch), count, root = bytes.fromhex(v["told"]["relay"]), hello, len(kept), merkle(kept)
            receipt(relay + log + struct.pack(">IqI", epoch, at >> 1 ^ -(at & 1), count) + root + signature, len(kept), merkle(kept))
    need({"relay": v["told"].get("relay")} | {"schema_version": 1, "frames": frames} == {"relay": None} | v["told"], "what session.json says of session.bin")
# What frames-v2-told.json says of frames-v2.json: everything that a frame of version 2 leaves out.
unzigzag = lambda n: n >> 1 ^ -(n & 1)
def check_frames(v):
    r, said, slots, log, appended = Reader(bytes.fromhex(v["bytes"])), [], defaultdict(list), None, {}
    def cursor(data):  # the log of Hello, where none is named
        f = protobuf(data)
        need(bool(f[2]) == bool(f[3]), "half a log in a cursor")
        return {"class": value(f, "1"), "log": (f[2] or [log[0]])[0].hex(), "log_epoch": (f[3] or [log[1]])[0], "seq": value(f, "4"), "hash": value(f, "5").hex()}
    while r.at < len(r.data):
        direction, lane, size = r.u(1), r.u(1), r.u(4)
        [(number, [body])] = protobuf(r.take(size)).items()
        f, lane, told = protobuf(body), slots[direction, lane], {"frame": FRAMES[number]}
        if number == 1:
            told["versions"] = [value(f, "1"), value(f, "2")]
            log = (value(f, "5"), value(f, "6")) if f[5] else log
        elif number == 14:
            told |= {"request": value(f, "1"), "envelopes": [unpack(lane, x).hex() for x in f[3]]}
            appended[told["request"]] = [untext("env_", envelope(bytes.fromhex(x))[0]["id"]) for x in told["envelopes"]]
        elif number == 9:
            told["cursor"], entries, date = cursor(f[2][0]), [], 0
            for entry in map(protobuf, f[4]):
                date += unzigzag(value(entry, "2"))  # the first as it is, the others by their difference
                entries.append({"gap": value(entry, "1"), "received_at": date, "envelope": unpack(lane, value(entry, "3")).hex()})
            at = told["cursor"]["seq"] + 1
            for entry in reversed(entries):
                at -= 1 + entry.pop("gap")
                need(at > 0, "an arrival before the log")
                entry["arrival"] = at
            told["entries"] = entries
        elif number == 11:
            told["cursor"] = cursor(f[1][0])
        else:
            need(number == 15 and f[5], "a frame of another kind")
            at, signature = value(f, "5.1"), value(f, "5.2")
            ids = [i for i, outcome in zip(appended[value(f, "1")], f[2]) if value(protobuf(outcome), "1") < 3]
            # It was signed in another log than that of Hello, so the whole one is given.
            whole = bytes.fromhex(v["told"]["frames"][len(said)]["receipt"])
            receipt(whole, len(ids), merkle(ids))
            relay, date = bytes.fromhex(v["told"]["relay"]), struct.pack(">q", unzigzag(at))
            need((whole[:32], whole[52:60], whole[96:]) == (relay, date, signature), "a short receipt")
            told |= {"request": value(f, "1"), "received_at": unzigzag(at), "receipt": whole.hex()}
        said.append(told)
    need(said == v["told"]["frames"], "what frames-v2-told.json says of frames-v2.json")
def vectors():
    clear = json.loads((HERE / "envelopes.json").read_text())
    yield from ((name, item) for name in sorted(clear.keys() - {"schema_version"}) for item in clear[name])
    sealed = json.loads((HERE / "sealed.json").read_text())
    yield from (("sealed", {"epoch_key": sealed["epoch_key"], **case, "bytes": case["envelope"]}) for case in sealed["cases"])
    bad = json.loads((HERE / "compact-refused.json").read_text())
    yield from (("compact_refused", {**case, "author": bad["author"], "epoch": bad["epoch"]}) for case in bad["cases"])
    frames = json.loads((HERE / "../../sync/testdata/frames-v2.json").read_text())
    raw = b"".join(bytes([f["direction"], f["lane"]]) + struct.pack(">I", len(f["frame"]) // 2) + bytes.fromhex(f["frame"]) for f in frames)
    yield "frames", {"bytes": raw.hex(), "told": json.loads((HERE / "../../sync/testdata/frames-v2-told.json").read_text())}
    for path in sorted((HERE / "../../sync/testdata").glob("session*.bin")):
        yield "session", {"bytes": path.read_bytes().hex(), "told": json.loads(path.with_suffix(".json").read_text())}
def spoilt(name, v):  # one letter of the vector changed; None where the vector says that it is bad
    if name in ("hostile", "compact_refused"):
        return None
    field = "text" if name in ("texts", "links") else "id" if name == "arrivals" else "bytes"
    at = len(v[field]) * 5 // 8
    return {**v, field: v[field][:at] + ("b" if v[field][at] != "b" else "c") + v[field][at + 1 :]}
def main():
    passed, spoiled = Counter(), Counter()
    for name, v in vectors():
        check, bad = globals()["check_" + name], spoilt(name, v)
        check(v)
        passed[name] += 1
        if bad and "--self-check" in sys.argv:
            need(refused(check, bad), "a spoilt vector passed: " + name)
            spoiled[name] += 1
    for what, counts in {"verified": passed, "refused when spoilt": spoiled}.items():
        print(f"{what}:", ", ".join(f"{count} {name}" for name, count in counts.items()) or "none; run with --self-check")
if __name__ == "__main__":
    try:
        main()
    except (Mismatch, OSError, ValueError, KeyError) as error:
        sys.exit(f"decode.py: {error!r}")

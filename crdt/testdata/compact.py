"""What an envelope of codec 1 stands for: DOCUMENT.md sections 8 and 11, read and rebuilt.

Beside decode.py, which hands over its reader. Written from the specification, not from the Rust code.
"""
import hashlib

def need(ok, what):
    if not ok:
        raise ValueError(what)
def varint(r):
    value = shift = 0
    while True:
        byte = r.u(1)
        need(byte or not shift, "varint longer than needed")
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            need(value < 1 << 64, "varint of more than 64 bits")
            return value
unsign = lambda value: value >> 1 ^ -(value & 1)
def up_to(limit, r):
    value = varint(r)
    need(value <= limit, "number beyond its limit")
    return value
def one_text(r):
    said = ""
    while (byte := r.u(1)) != 0xFC:
        need(byte < 0xEB or byte > 0xFC, "no text")
        if byte >= 0xFD:
            code = r.u(3) if byte == 0xFF else r.u(2) + (0x10000 if byte == 0xFE else 0)
            need(code >= (0x800, 0x10000, 0x20000)[byte - 0xFD] and not 0xE00 <= code <= 0xE5B, "text with a shorter coding")
        else:
            code = byte if byte < 0x80 else 0xE00 + byte - 0x80 if byte < 0xDC else 0x80 + 128 * (byte - 0xDC) + r.u(1) - 0x80
        said += chr(code)
    need(len(said.encode()) <= 16 * 1024, "text too long")
    return said.encode()
def leb(value, signed=False):
    out = bytearray()
    while True:
        byte, value = value & 127, value >> 7
        if value == (-(byte >> 6) if signed else 0):
            return bytes(out) + bytes([byte])
        out.append(byte | 128)
def runs(values, write):
    out, at = b"", 0
    if all(value is None for value in values):
        return b""
    same = lambda i: next(j for j in range(i, len(values) + 1) if j == len(values) or values[j] != values[i]) - i
    while at < len(values):
        count = same(at)
        if values[at] is None:
            out += leb(0, True) + leb(count)
        elif count > 1:
            out += leb(count, True) + write(values[at])
        else:
            count = next(j for j in range(at, len(values) + 1) if j == len(values) or values[j] is None or same(j) > 1) - at
            out += leb(-count, True) + b"".join(write(value) for value in values[at : at + count])
        at += count
    return out
def chunk(author, seq, start, dependencies, after, messages):
    others = sorted({bytes(32)} | ({after[1]} if after else set()) - {author})
    actor = lambda key: 0 if key == author else others.index(key) + 1
    rows, at, values, key_at = [], start, b"", 0
    for body, sent, reply in messages:  # list or map, key: actor, counter and name, insert, value
        rows.append((actor(bytes(32)), 2, actor(after[1]) if after else None, after[0] if after else 0, None, True, 0, b""))
        fields = [("b", 6, body), ("t", 4, leb(sent, True))] + ([("r", 7, reply)] if reply else [])
        rows += [(0, at, None, None, name, False, kind, value) for name, kind, value in fields]
        after, at = (at, author), at + 1 + len(fields)
    columns, steps, flags = [list(c) for c in zip(*rows)], [], b""
    for counter in columns[3]:
        steps.append(None if counter is None else counter - key_at)
        key_at = key_at if counter is None else counter
    for place in (i for i in range(len(rows)) if i == 0 or columns[5][i] != columns[5][i - 1]):
        flags += (leb(0) if place == 0 and columns[5][0] else b"") + leb(next(j for j in range(place, len(rows) + 1) if j == len(rows) or columns[5][j] != columns[5][place]) - place)
    named, put = lambda text: leb(len(text)) + text.encode(), lambda value: leb(value, True)
    data = {1: runs(columns[0], leb), 2: runs(columns[1], leb), 0x11: runs(columns[2], leb), 0x13: runs(steps, put), 0x15: runs(columns[4], named), 0x34: flags}
    data |= {0x42: runs([int(not i) for i in columns[5]], leb), 0x56: runs([len(v) << 4 | k for k, v in zip(*columns[6:])], leb), 0x57: b"".join(columns[7]), 0x70: runs([0] * len(rows), leb)}
    data = {name: column for name, column in data.items() if column}
    content = leb(len(dependencies)) + b"".join(dependencies) + leb(32) + author + leb(seq) + leb(start) + bytes(2)
    content += leb(len(others)) + b"".join(leb(32) + other for other in others) + leb(len(data))
    content += b"".join(leb(name) + leb(len(column)) for name, column in data.items()) + b"".join(data.values())
    content = b"\1" + leb(len(content)) + content
    return bytes.fromhex("856f4a83") + hashlib.sha256(content).digest()[:4] + content, at
def rebuilt(r, author, epoch):
    """The client clock, the changes in order, and the check that comes with them; what may not be read raises."""
    need((r.u(1), r.u(1)) == (1, 1), "codec")
    clock = told_clock = unsign(varint(r))
    r.take(16 * up_to(32, r))
    heads, changes, before, room = [], [], None, 5461
    for _ in range(up_to(64, r)):
        tag = up_to(4 * 255 + 3, r)
        need(tag % 4 < 3, "lineage")
        need(tag % 4 < 2 or r.take(32) not in (epoch, bytes(32)), "lineage with a shorter form")
        up_to(1 << 20, r)  # n
        follows = False
        for _ in range(up_to(1024, r)):
            if (form := up_to(1025, r)) == 0:
                heads.append(up_to(256 * 1024, r))
                follows = False
                continue
            need(tag < 4 and (form > 1 or follows), "messages of another document, or behind no change")
            place, follows = (varint(r), varint(r), [r.take(32) for _ in range(form - 1)]) if form > 1 else None, True
            need(not place or 0 < place[1] <= 1 << 30 and all(a < b for a, b in zip(place[2], place[2][1:])), "start_op or dependencies")
            back, messages = varint(r), []
            other = r.take(32) if back and back % 2 == 0 else None
            need(other != author, "author with a shorter form")
            count = up_to(room, r)
            need(count > 0, "no message")
            room -= count
            for _ in range(count):
                step = varint(r)
                clock += unsign(step >> 1)
                need(-(1 << 63) <= clock < 1 << 63, "time")
                messages.append((clock, r.take(16) if step & 1 else None))
            heads.append((place, (back + 1) // 2, other or author, messages))
    check = r.take(8)
    for head in heads:
        if isinstance(head, int):
            changes.append(r.take(head))
            continue
        place, back, other, messages = head
        seq, start, dependencies = place or (before[0] + 1, before[1], [hashlib.sha256(changes[-1][8:]).digest()])
        need(seq < 1 << 64 and start >= back, "seq or operation")
        raw, after = chunk(author, seq, start, dependencies, (start - back, other) if back else None, [(one_text(r), *m) for m in messages])
        need(len(raw) <= 256 * 1024 and sum(map(len, changes)) + len(raw) <= 1 << 20, "changes too long")
        changes.append(raw)
        before = seq, after
    r.end("a plaintext")
    return told_clock, changes, check

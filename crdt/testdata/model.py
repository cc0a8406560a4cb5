"""Texts as packings 4 and 5 hold them: DOCUMENT.md section 2, read with numbers of any size.

Beside decode.py. Written from the specification, not from the Rust code: a context is found by its bytes, and the
one right code is made again from the range that was left.
"""
import functools, pathlib

from compact import need

TOTAL, START = 1 << 15, b"\xfc"
number = lambda code: code if code < 4 else (4 + code % 4) << code // 4 - 1
escape = lambda code: number(code) if code < 52 else TOTAL - number(103 - code)

@functools.cache
def contexts(name):
    data = (pathlib.Path(__file__).parent / "../document/dictionaries" / name).read_bytes()
    names, found, at = [b""], {}, 0
    for context in names:  # grows while it is read
        codes = []
        while True:
            symbol, code = data[at], data[at + 1]
            at += 2
            codes.append((symbol, code & 63))
            if code & 64:
                names.append(context + bytes([symbol]))
            if code & 128:
                break
        (first, none), *others = codes
        weights = {first: TOTAL - escape(none) - sum(number(code) for _, code in others)}
        weights |= {symbol: number(code) for symbol, code in others}
        need(min(weights.values()) > 0 and escape(none) > 0 and len(weights) == len(codes), "weights of a model")
        found[context] = weights, escape(none)
    need(at == len(data), "bytes left in a model")
    return found

class Range:
    def __init__(self, code):
        self.code, self.steps, self.low, self.range = code, 0, 0, 2**64 - 1
        self.number = int.from_bytes(code[:8].ljust(8, b"\0"), "big")
    def choose(self, shares):
        """The one of (what, weight) in whose share the code lies."""
        unit, below = self.range // sum(weight for _, weight in shares), 0
        for what, weight in shares:
            if self.number < self.low + unit * (below + weight):
                self.low, self.range = self.low + unit * below, unit * weight
                if self.range < 1 << 32:
                    more = self.code[8 + 4 * self.steps : 12 + 4 * self.steps].ljust(4, b"\0")
                    self.steps += 1
                    self.number = self.number << 32 | int.from_bytes(more, "big")
                    self.low, self.range = self.low << 32, self.range << 32
                return what
            below += weight
        need(False, "a code in no share")
    def only_code(self):
        size = 8 + 4 * self.steps
        for count in range(size + 1):
            step = 1 << 8 * (size - count)
            first = -(-self.low // step)
            if first * step < self.low + self.range:
                return first.to_bytes(count, "big")

def unpack(model, code, size):
    found, out, state = contexts(model), bytearray(START), Range(code)
    longest = max(map(len, found))
    ends = lambda text: (text[at:] for at in range(len(text) + 1) if text[at:] in found)
    for _ in range(size):
        listed, before, symbol = {}, set(), None
        for context in ends(bytes(out[-longest:])):
            weights, none = found[context]
            shares = [(s, weight) for s, weight in weights.items() if s not in listed]
            before |= set(listed)
            listed = weights
            symbol = state.choose(shares + [(None, none)])
            if symbol is not None:
                break
        if symbol is None:
            symbol = state.choose([(s, 1) for s in range(256) if s not in listed])
        need(symbol not in before, "a byte that a longer context listed")
        out.append(symbol)
    need(state.only_code() == code, "another code than the only one")
    return bytes(out[1:])

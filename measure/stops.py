#!/usr/bin/env python3
"""Does every phase of a statement stop in time? Each of some 200 long statements is stopped by statement_timeout (after 100 and
400 ms) and by a cancel request (after 150 ms), and the time from then until the answer is told.

    measure/stops.py PORT [--only WORD] [--all]

A node without passwords must listen on that port of loopback; it is given tables of its own. One line for each statement that was
late (over 250 ms, in two of three tries) or that ended otherwise than with 57014; `--all` shows every one. Exit status 1 if one was
late. Answers that the client has yet to read count as late here, as they do for a user: a COPY of rows as fast as they are made may
have 4 MB under way. Run it on a quiet machine."""
import argparse, socket, struct, sys, threading, time

from stop_statements import CLEAR, SETUP, SHAPES, STATEMENTS

LATE, GUARD = 0.25, 60.0


class Session:
    """A connection with no more than is wanted here: texts out, the SQLSTATE back."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=GUARD)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = None
        body = b"user\0postgres\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        self.answer()

    def send(self, text):
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)

    def answer(self):
        """Reads up to ReadyForQuery: the SQLSTATE of the error, or 'ended'."""
        buffer, state = bytearray(), "ended"
        while True:
            at = 0
            while len(buffer) - at >= 5:
                tag, length = buffer[at:at + 1], struct.unpack_from("!i", buffer, at + 1)[0]
                if len(buffer) - at < 1 + length:
                    break
                if tag == b"E":
                    fields = bytes(buffer[at + 5:at + 1 + length]).split(b"\0")
                    state = next((f[1:].decode() for f in fields if f[:1] == b"C"), "?")
                elif tag == b"K":
                    self.key = struct.unpack_from("!ii", buffer, at + 5)
                elif tag == b"G":
                    self.socket.sendall(b"c\0\0\0\4")
                elif tag == b"Z":
                    return state
                at += 1 + length
            del buffer[:at]
            more = self.socket.recv(1 << 18)
            if not more:
                return "hung up"
            buffer += more

    def run(self, text):
        self.send(text)
        return self.answer()

    def cancel(self):
        with socket.create_connection(("127.0.0.1", self.port)) as other:
            other.sendall(struct.pack("!iiii", 16, 80877102, *self.key))


def stopped(port, text, way, after):
    """Seconds from the stop to the answer, its SQLSTATE, and seconds from the sending to the answer."""
    session = Session(port)
    if way == "timeout":
        session.run(f"SET statement_timeout = {int(after * 1000)}")
    session.send(text)
    sent = time.monotonic()
    at = [sent + after]

    def cancel():
        time.sleep(after)
        at[0] = time.monotonic()
        session.cancel()

    canceller = threading.Thread(target=cancel) if way == "cancel" else None
    if canceller:
        canceller.start()
    try:
        state = session.answer()
    except OSError as error:
        state = f"no answer: {error}"
    end = time.monotonic()
    if canceller:
        canceller.join()
    session.socket.close()
    return end - at[0], state, end - sent


def measured(port, text):
    for way, after in (("timeout", 0.1), ("timeout", 0.4), ("cancel", 0.15)):
        late, state, took = stopped(port, text, way, after)
        if late > LATE and state == "57014":
            late = sorted([late] + [stopped(port, text, way, after)[0] for _ in range(2)])[1]
        yield f"{way} {int(after * 1000)} ms", late, state, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    keeper = Session(args.port)
    for text in SETUP:
        if (state := keeper.run(text)) != "ended":
            sys.exit(f"set-up failed with {state}: {text}")
    statements = {name: text for name, text in {**STATEMENTS, **SHAPES}.items() if args.only in name}
    worst, late_ones = [], 0
    for name, text in statements.items():
        found = list(measured(args.port, text() if callable(text) else text))
        stops = [late for _, late, state, _ in found if state == "57014"]
        is_late = max(stops, default=0) > LATE
        late_ones += is_late
        worst.append((max(stops, default=0), name))
        if is_late or args.all or len(stops) < len(found):
            shown = "; ".join(f"{way}: {late:+.3f} s" if state == "57014" else f"{way}: {state} after {took:.2f} s"
                              for way, late, state, took in found)
            print("LATE" if is_late else "    ", f"{name:20}", shown, flush=True)
        for text in CLEAR:
            keeper.run(text)
    worst.sort(reverse=True)
    print(f"{len(statements)} statements, {late_ones} late; the slowest to stop: "
          + ", ".join(f"{name} {late:.3f} s" for late, name in worst[:8]))
    sys.exit(late_ones > 0)


main()

"""How fast files get from a browser into S3 over a line like a person's, beside AWS's command line. `make bench` runs it."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.calibration import calibrate
from tests.benchmarks.material import many_files, one_file
from tests.benchmarks.memory import Memory, of_chromium
from tests.benchmarks.peer import Peer
from tests.benchmarks.processors import PAGE
from tests.benchmarks.relay.process import Line, RelayProcess
from tests.benchmarks.report import Row, at_least, at_most, at_most_times, show, write
from tests.benchmarks.turns import Sending, Turn, Turns, median, prepare_group
from tests.e2e.browser import find_chromium
from tests.e2e.site import Site

ROUNDS = 3
NEAR = Line(0.0, None)
USUAL, FAR = Line(0.03, 300e6), Line(0.1, None)
DISTANT = Line(0.03, None)
# Small files first: after large ones the disk is busy for minutes with what it was given.
PARTS = ("line", "small", "tiny", "mixed", "large", "near")
# What the sender of release 1.0.0 took of the renderer's processor for 1 GiB, by the same measure on the machine of the table.
RENDERER_SECONDS = 3.8
FILES_A_REQUEST = 500
LEAST = "requests × delay / connections, or bytes / rate"
AREA = "From a browser to S3"
HOW = (
    "Chromium, the site and the embedded AWS (IAM enforced, every object written to the disk) on one machine, which share its "
    "cores. Between S3 and whoever sends is a relay in a process of its own, which delays what passes and lets all bodies share "
    "one rate; the first rows are what a plain socket finds of it. The peer is `aws s3 cp` of {version}, by the same relay, with "
    "its own settings (10 requests at a time) and a member's short-lived credentials. Medians of {rounds}, the two in turns. Timed "
    "from pressing “Upload” until the page says complete, which is after the control plane has asked S3 for size and checksum; "
    "`aws s3 cp` from its start to its end. Nothing listens to the browser while it sends."
)


def main(folder: Path, peer: Peer, rounds: int = ROUNDS, only: Sequence[str] = ()) -> None:
    """Start a site behind a relay, measure everything, print and write the table. Raises RuntimeError without Chromium.

    With `only` measure these parts (see PARTS), and write nothing.
    """
    if find_chromium() is None:
        raise RuntimeError(
            "The uploads cannot be measured: Chromium is missing. Install it (Debian, Ubuntu: apt-get install chromium)."
        )
    site = Site(folder / "var", DEMO="0")
    with RelayProcess(site.aws_port) as relay:
        site.change(S3_BROWSER_URL=relay.endpoint)
        print("Starting a site ...", flush=True)
        site.start()
        try:
            prepare_group(site)
            uploads = Uploads(Sending(site, relay, peer, folder), relay, peer.version, folder, rounds)
            rows = list(uploads.rows(only or PARTS))
        finally:
            site.stop()
    show(rows, AREA)
    if not only:
        write(rows, AREA, HOW.format(version=peer.version, rounds=rounds))


class Uploads:
    """Every row of the table."""

    def __init__(self, sending: Sending, relay: RelayProcess, peer: str, folder: Path, rounds: int) -> None:
        """Take where to send. `peer` is the name of AWS's command line in the table."""
        self._sending, self._relay, self._folder, self._rounds = sending, relay, folder, rounds
        self._copy, self._copies = f"`aws s3 cp` of {peer}", f"`aws s3 cp --recursive` of {peer}"

    def rows(self, parts: Sequence[str]) -> Iterator[Row]:
        """Measure these parts, and give each row."""
        measures = {
            "line": lambda: calibrate(USUAL),
            "small": self._small_files,
            "tiny": self._tiny_files,
            "mixed": self._mixed,
            "large": self._large_file,
            "near": self._near,
        }
        for part in parts:
            yield from measures[part]()

    def _small_files(self) -> Iterator[Row]:
        source = many_files(self._folder / "many", 2_000, 100_000)
        self._relay.set_line(USUAL)
        start_up = self._sending.start_up_seconds()
        yield Row(f"{self._copy}: an empty file, 30 ms and 300 Mbit/s", round(start_up, 2), "s")
        yield from self._compare("2,000 files of 100 kB, 100 ms", source, FAR, self._copies, 1.0)
        yield from self._compare("2,000 files of 100 kB, 30 ms and 300 Mbit/s", source, USUAL, self._copies, 0.6, 0.9)

    def _tiny_files(self) -> Iterator[Row]:
        source = many_files(self._folder / "tiny", 10_000, 10_000, folders=500)
        yield from self._compare("10,000 files of 10 kB in 500 folders, 30 ms", source, DISTANT, self._copies, 0.5, 0.9)

    def _mixed(self) -> Iterator[Row]:
        folder = many_files(self._folder / "mixed", 1_000, 100_000)
        one_file(folder / "large.bin")
        name = "1 GiB and 1,000 files of 100 kB, 30 ms and 300 Mbit/s"
        turns = self._turns(name, folder, USUAL)
        yield from self._against(name, turns, self._copies, 1.0)
        idle = median(turns.browser, lambda turn: turn.longest_idle) * 1e3
        yield at_most(f"{name}: the link’s longest pause", idle, "ms", 200)

    def _large_file(self) -> Iterator[Row]:
        name, source = "1 GiB, 30 ms and 300 Mbit/s", one_file(self._folder / "one")
        turns = self._turns(name, source, USUAL)
        yield from self._against(name, turns, self._copy, 0.98)
        link = source.stat().st_size * 8 / (USUAL.rate or 1)
        last = median(turns.browser, lambda turn: turn.last_part)
        yield at_most_times(f"{name}: last part answered", last, "s", link, "the link’s own time", 1.05)
        yield at_most(f"{name}: first byte after pressing “Upload”", median(turns.browser, lambda turn: turn.first_byte), "s", 0.5)
        used = median(turns.browser, lambda turn: turn.processors.get(PAGE, 0.0))
        alone = self._sending.reading_alone(source)
        note = f"Reading it and its CRC-32 alone, with nothing sent, take the same worker {alone:.1f} s."
        yield at_most(f"{name}: processor of the page and its workers", used, "s", RENDERER_SECONDS / 2, note)

    def _near(self) -> Iterator[Row]:
        name, source = "1 GiB, loopback", one_file(self._folder / "one")
        turns = self._turns(name, source, NEAR)
        yield from self._against(name, turns, self._copy, 0.85)
        memory = Memory(of_chromium)
        self._sending.by_browser(source, memory)
        note = "Proportional set size of all of Chromium’s processes: the most while sending, less the idle page’s."
        yield at_most(f"{name}: browser memory", memory.above / 1e6, "MB", 150, note)
        requests = median(turns.browser, lambda turn: len([url for url in turn.asked if not url.endswith(("/start", "/finish"))]))
        yield at_most(f"{name}: requests to the control plane", requests, "", 2, "Beside those that begin and finish a file.")

    def _compare(
        self, name: str, source: Path, line: Line, peer_name: str, ratio: float, of_least: float | None = None
    ) -> Iterator[Row]:
        turns = self._turns(name, source, line)
        yield from self._against(name, turns, peer_name, ratio)
        asked = median(turns.browser, lambda turn: len(turn.asked))
        most = 2 * sum(path.is_file() for path in source.rglob("*")) // FILES_A_REQUEST + 2
        note = f"One begins {FILES_A_REQUEST} files or ends them, and two more."
        yield at_most(f"{name}: requests to the control plane", asked, "", most, note)
        if of_least is not None:
            seconds, least = _seconds(turns.browser), [line.least_seconds(turn.counters) for turn in turns.browser]
            yield at_least(f"{name}: of the best possible", seconds, least, LEAST, of_least, "s")

    def _against(self, name: str, turns: Turns, peer_name: str, ratio: float) -> Iterator[Row]:
        yield at_least(name, _seconds(turns.browser), _seconds(turns.peer), peer_name, ratio, "s", turns.note)
        ours, theirs = (median(side, lambda turn: turn.requests) for side in (turns.browser, turns.peer))
        yield at_most_times(f"{name}: requests to S3", ours, "", theirs, peer_name, 2)

    def _turns(self, name: str, source: Path, line: Line) -> Turns:
        self._relay.set_line(line)
        return self._sending.in_turns(name, source, self._rounds)


def _seconds(turns: list[Turn]) -> list[float]:
    return [turn.seconds for turn in turns]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Peer.installed())

"""What lies in the folder that `test_files_page` looks into."""

import struct
import zlib

DAY = "inputs/day 1/"


def png() -> bytes:
    """A small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(bytes((x * 2, y * 2, 120)) for x in range(128)) for y in range(96))
    header = struct.pack(">IIBBBBB", 128, 96, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FILES = {
    f"{DAY}Ünï cödé 😀 (1).txt": "Grüße aus dem Labor\n".encode() * 5000,
    f"{DAY}spikes.csv": b'time,"channel, name",note\n' + b'1,"a ""b""","two\nlines"\n' * 150,
    f"{DAY}frame.png": png(),
    f"{DAY}evil.html": b"<script>document.title = 'taken over'</script><b>not bold</b>",
    f"{DAY}evil.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'><script>document.title='taken over'</script>"
    b"<rect width='40' height='40' fill='teal'/></svg>",
    f"{DAY}params.json": b'{"threshold": 4.5}',
    f"{DAY}recording.bin": bytes(range(256)) * 20_000,
    f"{DAY}empty.log": b"",
    f"{DAY}deep/er/trace 1.dat": b"deep",
    f"{DAY}update.txt": b"internal",
    "results/job-1/internal_ec2_logs/boot": b"internal",
    "results/job-1/summary.md": b"# Done",
}

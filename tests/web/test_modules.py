"""The pages' modules without a browser, file by file in `modules/`; and the QR code by a reader that is not ours."""

import json
import subprocess
from pathlib import Path

import numpy as np
import zxingcpp

MODULES = Path(__file__).parent / "modules"
TEXTS = ["http://127.0.0.1:8080/listen/golden-eagle-427", "https://example.org/ü?x=" + "y" * 700, "z" * 2331]


def test_every_module_does_what_its_test_says() -> None:
    files = [str(path) for path in sorted(MODULES.glob("*/*.test.js"))]
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]


def test_every_module_without_a_document_has_its_test() -> None:
    web = Path(__file__).parents[2] / "web"
    shells = {"dom.js", "view.js", "player.js", "capture.js", "capture-worklet.js"}  # driven in the browser
    pure = {path.relative_to(web) for path in web.glob("*/*.js") if path.name not in shells}
    assert {path.with_suffix(".test.js") for path in pure} == {
        path.relative_to(MODULES) for path in MODULES.glob("*/*.test.js")
    }
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 400 for path in web.rglob("*.*"))


def test_a_reader_of_qr_codes_reads_them() -> None:
    script = f"""
        import {{ encode }} from "{MODULES.parents[2] / "web/speaking/qr.js"}";
        console.log(JSON.stringify({json.dumps(TEXTS)}.map((text) => encode(text).map((row) => row.map(Number)))));
    """
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    for text, rows in zip(TEXTS, json.loads(done.stdout), strict=True):
        assert read_code(np.asarray(rows, np.uint8)) == (text, "M")


def read_code(dark: np.ndarray) -> tuple[str, str]:
    """Text and error correction level of a code. dark: a row of 0 and 1 for each row of modules."""
    picture = np.kron(255 * (1 - np.pad(dark, 4)), np.ones((4, 4))).astype(np.uint8)
    (found,) = zxingcpp.read_barcodes(picture)
    return found.text, found.ec_level

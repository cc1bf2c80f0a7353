"""Put pip into a virtual environment of a Python that comes without ensurepip (Debian's and Ubuntu's).

    python3 .ci/pip_without_ensurepip.py .venv

The wheel comes from the package index (PIP_INDEX_URL, or PyPI), is checked by its SHA-256, and installs
itself.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

PIP = "26.2"


def main(environment: str) -> None:
    """Fetch, verify, install."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    asked = urllib.request.Request(index, headers={"Accept": "application/vnd.pypi.simple.v1+json"})  # noqa: S310
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        files = json.load(answer)["files"]
    wheel = next(file for file in files if file["filename"] == f"pip-{PIP}-py3-none-any.whl")
    with urllib.request.urlopen(urllib.parse.urljoin(index, wheel["url"])) as answer:  # noqa: S310
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != wheel["hashes"]["sha256"]:
        sys.exit(f"Error: {wheel['url']} does not match the digest that the index gives")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / wheel["filename"]
        path.write_bytes(content)
        python = Path(environment) / "bin" / "python"
        subprocess.run([python, f"{path}/pip", "install", "--quiet", "--no-index", path], check=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""Whatever is sent, the answer is a documented one that says nothing about the machine."""

import random
from typing import Any

from toy_site import Site, picture

DOCUMENTED = {200, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429}
NAMES: list[Any] = [
    "other.h5",
    "models/other.h5",
    "broken.h5",
    "new.h5",
    "new.unknown",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "\0",
    "é",
    "a" * 70,
    "",
    None,
    1,
    1.5,
    True,
    [],
    {},
    [[]],
]
ADDRESSES = ["/", "/v1", "/v1/models", "/find_models/", "/%2e%2e/x", "/plugins/x", "//evil", "/v1/predict"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
HEADERS = ["Host", "Origin", "Authorization", "X-Forwarded-Host", "Content-Type", "Sec-Fetch-Site"]
VALUES = ["x", "", "http://localhost", "localhost", "\x7f", "Bearer x", "application/json"]


def any_request(site: Site, pick: random.Random, drawn: bytes) -> Any:
    kind = pick.randrange(4)
    if kind == 0:
        keys = pick.sample(["model_paths", "output_path"], pick.randrange(3))
        body = {key: pick.choice([pick.choice(NAMES), pick.sample(NAMES, 2)]) for key in keys}
        return site.client.post("/smart_merge", json=body if pick.random() < 0.9 else pick.choice(NAMES))
    if kind == 1:
        damaged = bytearray(drawn)
        for _ in range(pick.randrange(6)):
            damaged[pick.randrange(len(damaged))] = pick.randrange(256)
        return site.client.post(
            "/v1/predict",
            query_string={"model": str(pick.choice(NAMES)), "top": pick.choice(["3", "", "x", "-1"])},
            data=bytes(damaged[: pick.choice([len(damaged), 100, 0])]),
            headers={"Content-Type": pick.choice(["image/png", "image/jpeg", "text/plain"])},
        )
    if kind == 2:
        return site.client.open(pick.choice(ADDRESSES), method=pick.choice(METHODS))
    return site.client.get("/find_models", headers={pick.choice(HEADERS): pick.choice(VALUES)})


def test_every_answer_is_documented(site: Site) -> None:
    (site.models / "broken.h5").write_bytes(b"no model")
    pick = random.Random(0)
    drawn = picture()
    statuses = set()
    for _ in range(400):
        answer = any_request(site, pick, drawn)
        statuses.add(answer.status_code)
        assert answer.status_code in DOCUMENTED, answer.text
        assert str(site.root) not in answer.text
        assert "Traceback" not in answer.text
        assert answer.status_code < 400 or answer.is_json or answer.request.method == "HEAD"
    assert {200, 400, 404, 405, 415, 422} <= statuses

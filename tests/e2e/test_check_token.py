"""`python -m app check --token`, which says why a token is rejected and what would accept it."""

import io
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from app.__main__ import CHECK_FAILED, MISCONFIGURED
from app.common.http_limits import MAX_HEAD_BYTES
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.canaille_server import Canaille, missing
from tests.support.checking import Check

MAIN = "IDENTITY__ISSUERS__MAIN"
SETTINGS_FOR_CANAILLE = {
    f"{MAIN}__ALGORITHMS": "RS512",
    f"{MAIN}__TOKEN_TYPE": "any",
    f"{MAIN}__CLAIMS__CONSUMER_ID": "sub",
}
INTROSPECTION = {"CLIENT_ID": "vault-bff", "CLIENT_SECRET": "opens-nothing"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a token can be written."""
    return tmp_path / "token"


def failures(lines: list[str]) -> dict[str, str]:
    """Return what failed, and the detail of each."""
    failed = [line.removeprefix("FAIL ") for line in lines if line.startswith("FAIL ")]
    return dict(line.split(": ", 1) for line in failed)


def introspecting(environment: dict[str, str], issuer: str = MAIN) -> None:
    """Have an issuer introspect its tokens."""
    for name, value in INTROSPECTION.items():
        environment[f"{issuer}__INTROSPECTION__{name}"] = value


def other_issuer(environment: dict[str, str], url: str, **more: str) -> None:
    """Add a second issuer of users."""
    own = {"ISSUER": url, "AUDIENCE": "other", "CONSUMER_PREFIX": "o-", **more}
    environment |= {f"IDENTITY__ISSUERS__OTHER__{name}": value for name, value in own.items()}
    environment[f"{MAIN}__CONSUMER_PREFIX"] = "m-"


def test_a_valid_token_passes_every_check(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, check: Check, file: Path
) -> None:
    """Each rule has a line; the signature is verified with the keys of the issuer."""
    file.write_text(f"Bearer {issuer.token()}\n")

    status, lines = check("--token", str(file))

    assert status == 0
    assert failures(lines) == {}
    for rule in ("alg", "typ", "iss", "audience", "exp", "consumer", "signature"):
        assert any(line.startswith(f"ok   {MAIN} {rule}: ") for line in lines), rule
    assert lines[-1] == "ok   token: accepted by main"
    assert apideck.requests == []


def test_all_that_is_wrong_is_found_in_one_run(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """After the settings that the lines name are changed, the token is accepted."""
    environment[f"{MAIN}__CLAIMS__CONSUMER_ID"] = "org_id"
    token = issuer.token(algorithm="RS512", typ="JWT", omit=["org_id"])
    file.write_text(token)

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    failed = failures(lines)
    assert set(failed) == {f"{MAIN} alg", f"{MAIN} typ", f"{MAIN} consumer", "token"}
    assert "received 'RS512', expected 'RS256' or" in failed[f"{MAIN} alg"]
    assert failed[f"{MAIN} alg"].endswith(f"; {MAIN}__ALGORITHMS changes this")
    assert "received 'JWT', expected 'at+jwt'" in failed[f"{MAIN} typ"]
    assert f"{MAIN}__TOKEN_TYPE changes this, which weakens security" in failed[f"{MAIN} typ"]
    assert "missing claim org_id: present are 'aud'" in failed[f"{MAIN} consumer"]
    assert f"{MAIN}__CLAIMS__CONSUMER_ID changes this, which weakens" in failed[f"{MAIN} consumer"]

    environment |= SETTINGS_FOR_CANAILLE
    assert check("--token", str(file))[0] == 0


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_token_of_canaille_takes_one_edit(
    environment: dict[str, str], canaille: Canaille, check: Check, file: Path
) -> None:
    """It is signed with RS512, has `typ: JWT` and no `org_id`: one run names the three settings."""
    environment[f"{MAIN}__ISSUER"] = canaille.issuer
    environment[f"{MAIN}__CLAIMS__CONSUMER_ID"] = "org_id"
    file.write_text(canaille.users_token())

    _, lines = check("--token", str(file))
    assert {name.removeprefix(f"{MAIN} ") for name in failures(lines)} == {
        "alg",
        "typ",
        "consumer",
        "token",
    }

    environment |= SETTINGS_FOR_CANAILLE
    assert check("--token", str(file))[0] == 0


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_an_opaque_token_of_canaille_is_introspected(
    environment: dict[str, str], canaille: Canaille, check: Check, file: Path
) -> None:
    """The lines say that the response lacks `sub`, and show what it has."""
    environment[f"{MAIN}__ISSUER"] = canaille.issuer
    introspecting(environment)
    file.write_text(canaille.services_token())

    _, lines = check("--token", str(file), "--issuer", "main")

    assert f"{MAIN} sub" in failures(lines)
    assert any("'client_id'" in line for line in lines)


def test_only_names_of_claims_are_printed(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The values of `iss`, `aud`, `typ`, `alg`, `exp` and `scope` are printed, too."""
    environment[f"{MAIN}__CLAIMS__CONSUMER_ID"] = "org_id"
    environment[f"{MAIN}__REQUIRED_ROLE"] = "admin"
    environment[f"{MAIN}__REQUIRED_CLAIMS"] = '{"tenant": "acme"}'
    environment[f"{MAIN}__USERINFO"] = "true"
    canaries = [f"canary-{number}" for number in range(7)]
    claims: dict[str, Any] = {
        "sub": canaries[0],
        "org_id": canaries[1] + " ",
        "name": 5,
        "email": canaries[2],
        "roles": [canaries[3]],
        "tenant": {"x": canaries[4]},
        "act": {"sub": canaries[5]},
        "jti": canaries[6],
        "scope": "shown-scope\x1b[31m",
        "aud": ["shown-audience"],
    }
    token = issuer.token(**claims)
    file.write_text(token)

    status, lines = check("--token", str(file))

    text = "\n".join(lines)
    assert status == CHECK_FAILED
    assert not [canary for canary in canaries if canary in text]
    assert not any(part in text for part in token.split("."))
    assert "shown-audience" in text
    assert "shown-scope\\x1b[31m" in text
    assert "\x1b" not in text
    assert issuer.issuer in text


def test_a_token_is_not_an_argument(
    issuer: DevelopmentIssuer, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shells keep a history. The message does not repeat the token."""
    for argument in (
        issuer.token(),
        f"Bearer {issuer.token()}",
        "eyJhbGciOi",
        "a" * 9 + ".bbbbbbbbb.",
    ):
        with pytest.raises(SystemExit) as stopped:
            check("--token", argument)
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert "looks like a token, which shells keep in their history" in error
        assert argument not in error


@pytest.mark.parametrize(
    "argument", ["LjtuXnjnRVXjwpSFUdunS3KsAFWFRUGuajBllo7J", "/", "x" * 5000, "a\0b"]
)
def test_a_file_that_cannot_be_read_is_not_named(check: Check, argument: str) -> None:
    """The argument may be an opaque token."""
    status, lines = check("--token", argument)

    assert status == MISCONFIGURED
    assert len(lines) == 1
    assert lines[0].startswith("--token: ")
    assert (
        argument not in lines[0].removeprefix("--token: ").replace("give the name", "")
        or argument == "/"
    )


def test_the_token_can_be_on_the_standard_input(
    issuer: DevelopmentIssuer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be in a file."""
    data = io.BytesIO(issuer.token().encode())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=data))

    assert check("--token", "-")[0] == 0


def test_a_token_is_sent_only_to_the_issuer_that_it_names(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """Another issuer could use it. An opaque token names none, so it is sent to none."""
    introspecting(environment)
    other_issuer(environment, "https://other.example", USERINFO="true")
    for token in (issuer.opaque_token(), issuer.token(iss="https://other.example")):
        file.write_text(token)
        _, lines = check("--token", str(file))
        assert issuer.counts["introspection"] == 0
        assert any(line.startswith(f"note {MAIN} introspection: not sent") for line in lines)

    file.write_text(issuer.opaque_token())
    status, lines = check("--token", str(file), "--issuer", "main")

    assert (status, issuer.counts["introspection"]) == (0, 1)
    assert lines[-1] == "ok   token: accepted by main"


def test_the_keys_of_an_issuer_that_the_token_does_not_name_are_not_requested(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The local checks need no network."""
    file.write_text(issuer.token(iss="https://other.example"))

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    assert f"received 'https://other.example', expected '{issuer.issuer}'" in "\n".join(lines)
    assert issuer.counts["jwks"] == 0
    assert environment[f"{MAIN}__ISSUER"] == issuer.issuer


def test_every_issuer_is_checked(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The verdict names the one that accepts the token."""
    other_issuer(environment, "https://other.example")
    file.write_text(issuer.token())

    status, lines = check("--token", str(file))

    assert status == 0
    assert set(failures(lines)) == {
        "IDENTITY__ISSUERS__OTHER iss",
        "IDENTITY__ISSUERS__OTHER audience",
    }
    assert lines[-1] == "ok   token: accepted by main"


def test_a_forged_signature_is_reported(
    issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """All local checks pass, and the issuer's key does not verify it."""
    file.write_text(issuer.token(key=RSAKey.generate_key(2048)))

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    assert set(failures(lines)) == {f"{MAIN} signature", "token"}


def test_members_of_wrong_types_are_reported(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """An `iat` that is no number, and a `kid` that is no string."""
    environment[f"{MAIN}__MAX_TOKEN_AGE_SECONDS"] = "60"
    _, claims, signature = issuer.token(iat="yesterday").split(".")
    header = {"alg": "RS256", "typ": "at+jwt", "kid": ["one"]}
    encoded = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    file.write_text(f"{encoded}.{claims}.{signature}")

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    failed = failures(lines)
    assert "iat is not a number" in failed[f"{MAIN} iat"]
    assert failed[f"{MAIN} signature"] == "not checked: the kid is not a string"


def test_an_unreachable_issuer_is_reported(
    issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The line says what happened."""
    file.write_text(issuer.token())
    issuer.fault = "down"

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    assert "responded with" in failures(lines)[f"{MAIN} signature"]


@pytest.mark.parametrize(
    ("fault", "well"), [(None, True), ("wrong-subject", False), ("forbidden", False)]
)
def test_userinfo_is_requested(
    environment: dict[str, str],
    issuer: DevelopmentIssuer,
    check: Check,
    file: Path,
    fault: str | None,
    well: bool,
) -> None:
    """The line has the names of the claims, or what went wrong."""
    environment |= {f"{MAIN}__USERINFO": "true", f"{MAIN}__JWKS_URI": f"{issuer.issuer}/jwks"}
    file.write_text(issuer.token())
    issuer.fault = fault

    _, lines = check("--token", str(file))

    assert (f"{MAIN} userinfo" not in failures(lines)) is well
    assert "Byron" not in str(lines)


def test_a_service_needs_a_grant(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The line names the setting, and not the subject."""
    environment |= {f"{MAIN}__KIND": "services", f"{MAIN}__GRANTS": '{"robot": ["*"]}'}
    file.write_text(issuer.service_token("robot"))
    assert check("--token", str(file))[0] == 0
    file.write_text(issuer.service_token("mailer-7"))

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    assert "mailer-7" not in str(lines)
    assert f"{MAIN}__GRANTS changes this" in failures(lines)[f"{MAIN} grant"]


def test_the_claims_of_the_consumer_and_of_the_unify_app_are_checked_separately(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """One missing claim does not hide the other."""
    environment |= {
        f"{MAIN}__CLAIMS__CONSUMER_ID": "tenant",
        f"{MAIN}__APIDECK__CLAIM": "region",
        f"{MAIN}__APIDECK__ALLOWED": "eu",
        "APIDECK__UNIFY_APPS": json.dumps(
            {"eu": {"api_key": "sk_live_x-y-z-12345", "app_id": "eu"}}
        ),
    }
    file.write_text(issuer.token())

    _, lines = check("--token", str(file))

    assert {f"{MAIN} consumer", f"{MAIN} Unify app"} <= set(failures(lines))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("x" * (MAX_HEAD_BYTES + 1), f"expected at most {MAX_HEAD_BYTES}"),
        ("e30.bm90IGpzb24.c2ln", "the payload is not JSON"),
        ("", "the file is empty"),
        ("opaque", "no issuer accepts it"),
        ("\xff\xfe", "no issuer accepts it"),
    ],
)
def test_what_is_no_token_is_reported(check: Check, file: Path, content: str, problem: str) -> None:
    """No content makes the command fail in another way."""
    file.write_text(content, encoding="latin-1")

    status, lines = check("--token", str(file))

    assert status in {CHECK_FAILED, MISCONFIGURED}
    assert problem in lines[-1]


def test_the_issuer_has_to_be_configured(
    check: Check, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names of issuers are listed, and `--issuer` needs `--token`."""
    file.write_text("opaque")

    status, lines = check("--token", str(file), "--issuer", "mian")
    assert (status, lines) == (
        MISCONFIGURED,
        ["--issuer: is not the name of an issuer; expected one of main"],
    )
    with pytest.raises(SystemExit):
        check("--issuer", "main")
    assert "--issuer needs --token" in capsys.readouterr().err

"""`python -m app check --token` reports why a token is rejected, and which settings accept it."""

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
    """Return the path of a file for a token."""
    return tmp_path / "token"


def failures(lines: list[str]) -> dict[str, str]:
    """Return the failed checks, with their details."""
    failed = [line.removeprefix("FAIL ") for line in lines if line.startswith("FAIL ")]
    return dict(line.split(": ", 1) for line in failed)


def enable_introspection(environment: dict[str, str], issuer: str = MAIN) -> None:
    """Enable introspection for the tokens of an issuer."""
    for name, value in INTROSPECTION.items():
        environment[f"{issuer}__INTROSPECTION__{name}"] = value


def add_issuer(environment: dict[str, str], url: str, **more: str) -> None:
    """Add a second issuer of users."""
    own = {"ISSUER": url, "AUDIENCE": "other", "CONSUMER_PREFIX": "o-", **more}
    environment |= {f"IDENTITY__ISSUERS__OTHER__{name}": value for name, value in own.items()}
    environment[f"{MAIN}__CONSUMER_PREFIX"] = "m-"


def test_a_valid_token_passes_every_check(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, check: Check, file: Path
) -> None:
    """Each rule has a line of output; the signature is verified with the issuer's keys."""
    file.write_text(f"Bearer {issuer.token()}\n")

    status, lines = check("--token", str(file))

    assert status == 0
    assert failures(lines) == {}
    for rule in ("alg", "typ", "iss", "audience", "exp", "consumer", "signature"):
        assert any(line.startswith(f"ok   {MAIN} {rule}: ") for line in lines), rule
    assert lines[-1] == "ok   token: accepted by main"
    assert apideck.requests == []


def test_all_problems_are_reported_in_one_run(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """After the operator has changed the settings that the output names, the token is accepted."""
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
def test_one_run_names_all_settings_for_a_token_of_canaille(
    environment: dict[str, str], canaille: Canaille, check: Check, file: Path
) -> None:
    """With the three settings that the output names, the token is accepted."""
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
    """The output reports that the response lacks `sub`, and names the claims that it has."""
    environment[f"{MAIN}__ISSUER"] = canaille.issuer
    enable_introspection(environment)
    file.write_text(canaille.services_token())

    _, lines = check("--token", str(file), "--issuer", "main")

    assert f"{MAIN} sub" in failures(lines)
    assert any("'client_id'" in line for line in lines)


def test_the_values_of_most_claims_are_not_printed(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """Only the values of `iss`, `aud`, `typ`, `alg`, `exp` and `scope` are printed."""
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


def test_a_token_as_an_argument_is_rejected(
    issuer: DevelopmentIssuer, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shells keep arguments in their history; the error message does not repeat the token."""
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
def test_the_name_of_an_unreadable_file_is_not_printed(check: Check, argument: str) -> None:
    """The argument may be an opaque token."""
    status, lines = check("--token", argument)

    assert status == MISCONFIGURED
    assert len(lines) == 1
    assert lines[0].startswith("--token: ")
    assert (
        argument not in lines[0].removeprefix("--token: ").replace("give the name", "")
        or argument == "/"
    )


def test_the_token_can_be_read_from_stdin(
    issuer: DevelopmentIssuer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--token -` the command reads the token from stdin."""
    data = io.BytesIO(issuer.token().encode())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=data))

    assert check("--token", "-")[0] == 0


def test_a_token_is_sent_only_to_the_issuer_that_it_names(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """Another issuer could misuse it. An opaque token is sent only to the issuer in `--issuer`."""
    enable_introspection(environment)
    add_issuer(environment, "https://other.example", USERINFO="true")
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
    """For such an issuer, only the local checks run."""
    file.write_text(issuer.token(iss="https://other.example"))

    status, lines = check("--token", str(file))

    assert status == CHECK_FAILED
    assert f"received 'https://other.example', expected '{issuer.issuer}'" in "\n".join(lines)
    assert issuer.counts["jwks"] == 0
    assert environment[f"{MAIN}__ISSUER"] == issuer.issuer


def test_every_issuer_is_checked(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The last line names the issuer that accepts the token."""
    add_issuer(environment, "https://other.example")
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
    """All local checks pass, and the check of the signature fails."""
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
    """The line contains the issuer's response."""
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
    """The check fails if UserInfo has another subject or is forbidden; no value is printed."""
    environment |= {f"{MAIN}__USERINFO": "true", f"{MAIN}__JWKS_URI": f"{issuer.issuer}/jwks"}
    file.write_text(issuer.token())
    issuer.fault = fault

    _, lines = check("--token", str(file))

    assert (f"{MAIN} userinfo" not in failures(lines)) is well
    assert "Byron" not in str(lines)


def test_a_service_needs_a_grant(
    environment: dict[str, str], issuer: DevelopmentIssuer, check: Check, file: Path
) -> None:
    """The line names the setting, but not the subject."""
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
def test_content_that_is_not_a_token_is_reported(
    check: Check, file: Path, content: str, problem: str
) -> None:
    """The command reports each such content, and does not crash."""
    file.write_text(content, encoding="latin-1")

    status, lines = check("--token", str(file))

    assert status in {CHECK_FAILED, MISCONFIGURED}
    assert problem in lines[-1]


def test_an_unknown_issuer_name_is_rejected(
    check: Check, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message lists the names of the issuers; `--issuer` requires `--token`."""
    file.write_text("opaque")

    status, lines = check("--token", str(file), "--issuer", "mian")
    assert (status, lines) == (
        MISCONFIGURED,
        ["--issuer: is not the name of an issuer; expected one of main"],
    )
    with pytest.raises(SystemExit):
        check("--issuer", "main")
    assert "--issuer needs --token" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--live", "--print-config"])
def test_no_option_is_ignored(
    check: Check, file: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """A token is checked alone."""
    with pytest.raises(SystemExit):
        check("--token", str(file), option)
    assert "--token cannot be combined" in capsys.readouterr().err

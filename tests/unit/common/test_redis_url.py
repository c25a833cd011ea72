"""The Redis URLs that are accepted, and the error messages for other URLs."""

from pathlib import Path

import pytest

from app.common.redis_client import check_redis_url
from app.common.redis_url import RedisUrl


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://redis", "redis:6379"),
        ("redis://redis/", "redis:6379"),
        ("redis://redis:6380/15", "redis:6380"),
        ("redis://user:p%40ss@redis/0", "redis:6379"),
        ("redis://:p@ss@redis/0", "redis:6379"),
        ("redis://redis?db=1&username=u&password=p&protocol=3", "redis:6379"),
        ("rediss://redis?ssl_cert_reqs=none&ssl_check_hostname=false", "redis:6379"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
        ("redis://[2001:db8::1]:6380/0", "[2001:db8::1]:6380"),
        ("redis+cluster://node", "node:6379"),
        ("rediss+cluster://u:p@a:1,[::1]:2,c/0?ssl_cert_reqs=none", "a:1,[::1]:2,c:6379"),
        ("redis+sentinel://a,b:2/mymaster", "a:26379,b:2/mymaster"),
        ("rediss+sentinel://:p@a:1/my.master-1/3?sentinel_password=q", "a:1/my.master-1"),
        ("unix://:secret@/run/redis%20one.sock", "/run/redis one.sock"),
    ],
)
def test_a_valid_url_is_accepted_and_its_address_contains_no_secrets(
    url: str, address: str
) -> None:
    """The address contains no user name, password or parameter."""
    assert check_redis_url(url).address == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://redis/0?family=0", "has the query parameter family; with redis:// the accepted"),
        ("redis://redis/0?foo=bar", "has the query parameter foo; "),
        ("redis://redis/0?foo", "has the query parameter foo; "),
        ("redis://redis/0?decode_responses=true", "has the query parameter decode_responses; "),
        ("redis://redis?ssl_cert_reqs=none", "ssl_cert_reqs; with redis:// the accepted ones"),
        ("redis://redis?a%0Ab%E2%80%AEc=1", "has the query parameter a?b?c; "),
        ("rediss://redis?ssl_cert_reqs=CERT_NONE", "Requirements Flag: CERT_NONE"),
        ("rediss://redis?ssl_ca_certs=/nowhere.pem", "No such file or directory"),
        ("rediss://redis?ssl_min_version=1", "is not accepted by the Redis client: Unsupported"),
        ("rediss://redis?ssl_ciphers=none-such", "No cipher can be selected"),
        ("redis://redis?protocol=4", "protocol must be either 2 or 3"),
        ("redis://redis?db=one", "Invalid value for 'db'"),
        ("redis://redis/one", "must end with the number of a database, such as /0"),
        ("redis://redis/0/1", "must end with the number of a database, such as /0"),
        ("redis://redis:99999", "must be a URL with a port that is a number up to 65535"),
        ("redis://redis:port", "must be a URL with a port that is a number up to 65535"),
        ("redis://[::1/0", "must be a URL with a port that is a number up to 65535"),
        ("redis://", "must name a host, such as redis://redis:6379/0"),
        ("redis:///0", "must name a host, such as redis://redis:6379/0"),
        ("unix://", "must name a socket, such as unix:///run/redis.sock"),
        ("redis://a,b/0", "must name one host; several go with redis+cluster://"),
        ("redis+cluster://a,,b", "must name a host"),
        ("redis+cluster://a:1,b:port", "must be a URL with a port that is a number up to 65535"),
        ("redis+cluster://a/1", "must end after the nodes: a cluster has no database but 0"),
        ("redis+cluster://a?db=1", "has the query parameter db; with redis+cluster://"),
        ("redis+cluster://a?sentinel_password=p", "has the query parameter sentinel_password; "),
        ("redis+sentinel://a:1", "must end with the name of the primary in Sentinel, such as"),
        ("redis+sentinel://a:1/my master", "must end with the name of the primary in Sentinel"),
        ("redis+sentinel://a:1/mymaster/one", "must end with the name of the primary"),
        ("redis+sentinel://a/m?ssl_cert_reqs=none", "has the query parameter ssl_cert_reqs; "),
        ("redis://redis/0#one", "must have no fragment"),
        ("http://redis", "must be memory, or a URL that begins with redis://"),
        ("disk", "must be memory, or a URL that begins with redis://"),
    ],
)
def test_an_invalid_url_is_rejected_with_a_reason(url: str, message: str) -> None:
    """The message names the parameter or the part that is wrong."""
    with pytest.raises(ValueError, match=r"[a-z]") as raised:
        check_redis_url(url)

    assert message in str(raised.value)


@pytest.mark.parametrize("character", ["/", "?", "#"])
def test_a_password_that_is_not_percent_encoded_is_not_quoted(character: str) -> None:
    """A URL parser reads part of such a password as the path, the query or the fragment."""
    with pytest.raises(ValueError, match="must percent-encode") as raised:
        check_redis_url(f"redis://:hun{character}zebra=2@redis:6379/0")

    assert "zebra" not in str(raised.value)


def test_a_message_of_the_redis_client_that_quotes_a_password_is_omitted(tmp_path: Path) -> None:
    """A library's message is shown only if it contains no secret of the URL."""
    (tmp_path / "empty.pem").touch()
    url = f"rediss://:CERT@redis?ssl_cert_reqs=CERT_NONE&ssl_ca_certs={tmp_path}/empty.pem"

    with pytest.raises(ValueError, match=r"^is not accepted by the Redis client: RedisError$"):
        check_redis_url(url)


def test_the_secrets_of_a_url_include_every_form() -> None:
    """They are the URL itself, and each password both as written and as sent."""
    url = "rediss://user:p%40ss@redis/0?password=other%20one&ssl_password=third&db=1"

    assert RedisUrl.parse(url).secrets == {url, "p%40ss", "p@ss", "other one", "third"}
    assert RedisUrl.parse("redis://redis/0").secrets == {"redis://redis/0"}


def test_redis_py_gets_a_url_with_one_host_and_without_sentinel_parameters() -> None:
    """The other parameters are kept, and percent-encoded names are recognized."""
    text = (
        "rediss+sentinel://u:p%40@a,b:2/main/7?ssl_ca_certs=%2Fca&sentinel%5Fusername=s&protocol=3"
    )

    url = RedisUrl.parse(text)

    assert url.single == "rediss://u:p%40@a:26379/7?ssl_ca_certs=%2Fca&protocol=3"
    assert (url.hosts, url.service) == ((("a", 26379), ("b", 2)), "main")
    assert url.sentinel == {"username": "s"}

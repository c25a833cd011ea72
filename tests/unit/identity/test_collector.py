from app.identity.collector import JwksCollector
from app.identity.sources import build_sources
from tests.support.in_process import Network, identity_with

KEYS = "https://id.example/keys"


async def test_each_issuer_with_keys_has_gauges() -> None:
    """An issuer with introspection has none; there is no age before the first fetch."""
    own = {"client_id": "vault", "client_secret": "s3cret"}
    issuer = {"issuer": "https://id.example", "jwks_uri": KEYS}
    settings = identity_with(
        main={**issuer, "audience": "a", "consumer_prefix": "a-"},
        opaque={**issuer, "audience": "b", "consumer_prefix": "b-", "introspection": own},
    )
    sources = list(build_sources(settings, Network({KEYS: 503}).fetcher))
    [main] = [source for source in sources if source.refresh is not None]
    assert main.refresh is not None
    await main.refresh()

    samples = [
        (sample.name, sample.labels, sample.value)
        for metric in JwksCollector(sources).collect()
        for sample in metric.samples
    ]

    labels = {"issuer": "main"}
    assert samples == [
        ("vault_bff_jwks_keys", labels, 0),
        ("vault_bff_jwks_usable", labels, 0),
        ("vault_bff_jwks_failing", labels, 1),
    ]


async def test_each_issuer_url_of_an_entry_has_its_own_gauges() -> None:
    """Their keys can fail separately, so the label also contains the URL."""
    settings = identity_with(
        main={"issuer": ["https://a.example", "https://b.example"], "audience": "a"}
    )
    sources = list(build_sources(settings, Network().fetcher))

    labels = [
        sample.labels["issuer"]
        for metric in JwksCollector(sources).collect()
        for sample in metric.samples
        if sample.name == "vault_bff_jwks_usable"
    ]

    assert labels == ["main https://a.example", "main https://b.example"]
    assert {source.name for source in sources} == {"main"}

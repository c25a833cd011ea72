"""A few connectors of each unified API, and their symbols."""

import re
from pathlib import Path

LOOK = Path(__file__).parent.parent.parent / "look"
"""The palette and the symbols, which the emulated Vault shares with the demo."""

CATALOGUE: dict[str, dict[str, str]] = {
    "accounting": {"quickbooks": "QuickBooks", "xero": "Xero", "netsuite": "NetSuite"},
    "crm": {
        "hubspot": "HubSpot",
        "salesforce": "Salesforce",
        "pipedrive": "Pipedrive",
        "zoho-crm": "Zoho CRM",
    },
    "hris": {"bamboohr": "BambooHR", "personio": "Personio"},
    "ats": {"greenhouse": "Greenhouse", "lever": "Lever"},
    "ecommerce": {"shopify": "Shopify", "woocommerce": "WooCommerce"},
    "file-storage": {"google-drive": "Google Drive", "dropbox": "Dropbox"},
    "issue-tracking": {"jira": "Jira", "github": "GitHub"},
}
_SYMBOLS = frozenset(re.findall(r'<symbol id="([\w-]+)"', (LOOK / "symbols.svg").read_text()))
_ABBREVIATIONS = {"ats", "crm", "csp", "hris", "pos", "sms"}


def api_title(api: str) -> str:
    """Return a unified API's id as a heading."""
    return api.upper() if api in _ABBREVIATIONS else api.replace("-", " ").capitalize()


def service_name(api: str, service: str) -> str:
    """Return the name of a connector, or its id if the catalogue does not list it."""
    return CATALOGUE.get(api, {}).get(service, service)


def symbol(api: str, service: str) -> str:
    """Return the id of a connector's symbol, or that of its unified API."""
    if service in CATALOGUE.get(api, {}) and service in _SYMBOLS:
        return service
    return api if api in CATALOGUE else "other"

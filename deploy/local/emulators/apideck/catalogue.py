"""A few connectors of each unified API."""

CATALOGUE: dict[str, dict[str, str]] = {
    "accounting": {"quickbooks": "QuickBooks", "xero": "Xero", "netsuite": "NetSuite"},
    "crm": {"hubspot": "HubSpot", "salesforce": "Salesforce", "pipedrive": "Pipedrive"},
    "hris": {"bamboohr": "BambooHR", "personio": "Personio"},
    "ats": {"greenhouse": "Greenhouse", "lever": "Lever"},
    "ecommerce": {"shopify": "Shopify", "woocommerce": "WooCommerce"},
    "file-storage": {"google-drive": "Google Drive", "dropbox": "Dropbox"},
    "issue-tracking": {"jira": "Jira", "github": "GitHub"},
}
_ABBREVIATIONS = {"ats", "crm", "csp", "hris", "pos", "sms"}


def api_title(api: str) -> str:
    """Return a unified API's id as a heading."""
    return api.upper() if api in _ABBREVIATIONS else api.replace("-", " ").capitalize()


def service_name(api: str, service: str) -> str:
    """Return the name of a connector, or its id if the catalogue does not list it."""
    return CATALOGUE.get(api, {}).get(service, service)

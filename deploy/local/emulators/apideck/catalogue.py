"""A few connectors of each unified API, so that there is something to connect."""

CATALOGUE: dict[str, dict[str, str]] = {
    "accounting": {"quickbooks": "QuickBooks", "xero": "Xero", "netsuite": "NetSuite"},
    "crm": {"hubspot": "HubSpot", "salesforce": "Salesforce", "pipedrive": "Pipedrive"},
    "hris": {"bamboohr": "BambooHR", "personio": "Personio"},
    "ats": {"greenhouse": "Greenhouse", "lever": "Lever"},
    "file-storage": {"google-drive": "Google Drive", "dropbox": "Dropbox"},
    "issue-tracking": {"jira": "Jira", "github": "GitHub"},
}
